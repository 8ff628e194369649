"""Pods that nobody else will remove.

Three sorts, as in Kubernetes. Orphaned: the pod's node does not exist (the server is asked, a mirror may lag); it is
marked Failed with the condition DisruptionTarget and removed without grace, since no kubelet is there to end it. A pod
may be bound to a node that is still to register, so one younger than the quarantine waits for its node. Unscheduled
and being deleted: no kubelet has ever heard of it; it is marked Failed too. Finished, beyond the threshold of 12,500 in
the cluster: the oldest go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.api.kinds import NODE, POD, Kind
from control.api.objects import (
    Key,
    Object,
    format_time,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from control.controllers.action import SETTLED, Absent, Action, Delete, Outcome, Patch
from control.controllers.controller import Wakes
from control.controllers.pods import created_at, is_finished, node_of
from control.mirror.world import World

TERMINATED_MAX = 12_500  # kube-controller-manager's --terminated-pod-gc-threshold
QUARANTINE_S = 40.0  # kube-controller-manager's podgc quarantineTime


@dataclass(frozen=True)
class PodGarbageController:
    terminated_max: int = TERMINATED_MAX
    quarantine_s: float = QUARANTINE_S
    name: str = "pod-garbage-collector"
    kind: Kind = POD

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {POD: _of_pod, NODE: _of_node}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        pod = world.get(POD, *key)
        if pod is None:
            return SETTLED
        node = node_of(pod)
        if not node:
            return Outcome((*_marked(pod), _remove(pod))) if is_deleting(pod) else self._finished(world, pod)
        if world.get(NODE, "", node) is not None or not world.knows(NODE):
            return self._finished(world, pod)
        due = created_at(pod) + timedelta(seconds=self.quarantine_s)
        if now < due:
            return Outcome(wake_at=due)
        return Outcome((Absent(NODE, "", node, ""), *_marked(pod, _lost_its_node(now)), _remove(pod)))

    def _finished(self, world: World, pod: Object) -> Outcome:
        """The oldest finished pods beyond the threshold, whichever finished pod woke us."""
        if not is_finished(pod):
            return SETTLED
        finished = [other for other in world.list(POD) if is_finished(other) and not is_deleting(other)]
        excess = len(finished) - self.terminated_max
        if excess <= 0:
            return SETTLED
        oldest = sorted(finished, key=lambda other: (created_at(other), key_of(other)))[:excess]
        return Outcome(tuple(_remove(other) for other in oldest))


def _remove(pod: Object) -> Delete:
    return Delete(POD, namespace_of(pod), name_of(pod), uid_of(pod), grace_period_s=0)


def _lost_its_node(now: datetime) -> Object:
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
    }


def _marked(pod: Object, *conditions: Object) -> Iterable[Action]:
    """No kubelet will ever say how the pod ended; a Job that replaces only failed pods waits to hear it."""
    if is_finished(pod):
        return
    patch: Object = {"status": {"phase": "Failed"}}
    if conditions:
        patch["status"]["conditions"] = list(conditions)
    where = (namespace_of(pod), name_of(pod), uid_of(pod))
    yield Patch(POD, *where, patch, "status", "application/strategic-merge-patch+json")


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    """Most pods are of no concern: theirs is a node that exists."""
    node = node_of(pod)
    orphaned = bool(node) and world.get(NODE, "", node) is None
    return (key_of(pod),) if orphaned or is_finished(pod) or (not node and is_deleting(pod)) else ()


def _of_node(world: World, node: Object) -> Iterable[Key]:
    if world.get(NODE, "", name_of(node)) is not None:
        return ()
    return [key_of(pod) for pod in world.by_field(POD, "spec.nodeName", name_of(node))]
