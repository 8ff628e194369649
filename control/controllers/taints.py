"""Taint-based eviction: a NoExecute taint drives pods off its node, at once or after what they tolerate.

A pod stays while every NoExecute taint of its node is tolerated, and then for the shortest of the matching tolerations'
tolerationSeconds (without any: for ever; below zero: not at all), counted from the taint's `timeAdded`. A taint that
comes without a time gets one here first, so that the count survives a restart. An evicted pod gets the condition
DisruptionTarget, the event TaintManagerEviction and a deletion with its own grace period. Keys are nodes.

Nodes are never tainted here for being silent: all virtual nodes share one process, and a restart of it must not cost a
pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    spec_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Delete, Emit, Outcome, Patch, Update
from control.controllers.controller import Wakes
from control.controllers.pods import is_finished, node_of, time_of
from control.controllers.tolerance import taints_of, tolerates
from control.mirror.world import World

EFFECT = "NoExecute"


class TaintController:
    name = "taint-eviction-controller"
    kind = NODE

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {NODE: lambda world, obj: (key_of(obj),), POD: _of_pod}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        node = world.get(NODE, *key)
        taints = [taint for taint in taints_of(node) if taint.get("effect") == EFFECT] if node else []
        if node is None or not taints:
            return SETTLED
        if any(not taint.get("timeAdded") for taint in taints):
            return Outcome((_timed(node, now),))
        deeds: list[Action] = []
        wakes: list[datetime] = []
        for pod in world.by_field(POD, "spec.nodeName", key.name):
            if is_deleting(pod) or is_finished(pod):
                continue
            at = evicted_at(pod, taints)
            if at is not None and at <= now:
                deeds += evict(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", now)
            elif at is not None:
                wakes.append(at)
        return Outcome(tuple(deeds), min(wakes, default=None))


def evicted_at(pod: Object, taints: Iterable[Object]) -> datetime | None:
    """When the pod has to go; None for never."""
    tolerations = spec_of(pod).get("tolerations") or ()
    deadlines = []
    for taint in taints:
        since = time_of(taint.get("timeAdded"))
        matching = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if since is None:
            continue
        if not matching:
            deadlines.append(since)
        limits = [int(t["tolerationSeconds"]) for t in matching if t.get("tolerationSeconds") is not None]
        if limits:
            deadlines.append(since + timedelta(seconds=max(0, min(limits))))
    return min(deadlines, default=None)


def evict(pod: Object, reason: str, message: str, now: datetime) -> tuple[Action, ...]:
    """The condition that says why, the event, and the deletion."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
    namespace, name, uid = namespace_of(pod), name_of(pod), uid_of(pod)
    patch = {"status": {"conditions": [condition]}}
    return (
        Patch(POD, namespace, name, uid, patch, "status", "application/strategic-merge-patch+json"),
        Emit(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}"),
        Delete(POD, namespace, name, uid),
    )


def _timed(node: Object, now: datetime) -> Update:
    def timed(taint: Object) -> Object:
        return {**taint, "timeAdded": format_time(now)} if taint.get("effect") == EFFECT else taint

    taints = [taint if taint.get("timeAdded") else timed(taint) for taint in taints_of(node)]
    return Update(NODE, {**node, "spec": {**spec_of(node), "taints": taints}})


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    """The pod's node, if it has such a taint at all."""
    node = world.get(NODE, "", node_of(pod)) if node_of(pod) else None
    tainted = node is not None and any(taint.get("effect") == EFFECT for taint in taints_of(node))
    return (Key("", node_of(pod)),) if tainted else ()
