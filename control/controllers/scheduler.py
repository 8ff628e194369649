"""The scheduler: gives each pod without a node the best one (`placement`), or says why there is none.

It schedules the pods of schedulerName `default-scheduler` that are not being deleted, unless scheduling gates hold them
back. A pod that fits nowhere gets the condition PodScheduled=False with the reason Unschedulable (or SchedulingGated)
and the event FailedScheduling; it is tried again when a node changes or a pod frees its place. There is no preemption:
priorities are stored but evict nobody.

Each pod is bound at once; the world then holds it on its node (the shell's read-your-writes), so the next pod counts
it. On a stale world the server refuses a second binding; a node may then be overcommitted, which the kubelet's own
admission refuses as on any Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import NODE, POD, Kind
from control.api.objects import (
    Key,
    Object,
    condition_of,
    format_time,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from control.controllers.action import SETTLED, Bind, Emit, Outcome, Patch
from control.controllers.controller import Wakes
from control.controllers.placement import Needs, Occupancy, Refusal, place
from control.controllers.pods import is_finished, node_of
from control.mirror.world import World

DEFAULT = "default-scheduler"
REMEMBERED_MAX = 10_000  # pods whose needs are remembered; beyond that all are forgotten and counted again
NODE_NAME = "spec.nodeName"
GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Scheduler:
    name = DEFAULT
    kind = POD

    def __init__(self) -> None:
        self._needs: dict[str, tuple[Object, Needs]] = {}  # by UID: what a pod asks for, as long as it is the same one
        self._occupied: dict[str, tuple[World, int, Occupancy]] = {}  # by node, as long as its pods are the same ones

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {POD: _of_pod, NODE: lambda world, obj: waiting(world)}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        pod = world.get(POD, *key)
        if pod is None or not _is_ours(pod):
            return SETTLED
        if spec_of(pod).get("schedulingGates"):
            return _told(pod, "SchedulingGated", GATED, now)
        nodes = [(node, self._occupancy(world, node)) for node in world.list(NODE) if not is_deleting(node)]
        found = place(pod, nodes)
        if isinstance(found, Refusal):
            return _told(pod, "Unschedulable", found.message, now)
        message = f"Successfully assigned {key} to {found}"
        bind = Bind(key.namespace, key.name, uid_of(pod), found)
        return Outcome((bind, Emit(pod, "Normal", "Scheduled", message)))

    def _occupancy(self, world: World, node: Object) -> Occupancy:
        name = name_of(node)
        version = world.version(POD, NODE_NAME, name)
        known = self._occupied.get(name)
        if known is not None and known[0] is world and known[1] == version:
            return known[2]
        pods = world.by_field(POD, NODE_NAME, name)
        found = Occupancy.of((pod for pod in pods if not is_finished(pod)), self._needs_of)
        if len(self._occupied) >= REMEMBERED_MAX:
            self._occupied.clear()
        self._occupied[name] = (world, version, found)
        return found

    def _needs_of(self, pod: Object) -> Needs:
        known = self._needs.get(uid_of(pod))
        if known is not None and known[0] is pod:
            return known[1]
        if len(self._needs) >= REMEMBERED_MAX:
            self._needs.clear()
        needs = Needs.of(pod)
        self._needs[uid_of(pod)] = (pod, needs)
        return needs


def waiting(world: World) -> Iterable[Key]:
    """The pods that have no node."""
    return [key_of(pod) for pod in world.by_field(POD, NODE_NAME, "") if _is_ours(pod)]


def _is_ours(pod: Object) -> bool:
    scheduler = spec_of(pod).get("schedulerName") or DEFAULT
    return scheduler == DEFAULT and not node_of(pod) and not is_deleting(pod) and not is_finished(pod)


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    """Itself while it has no node; all that wait, when it gives up its place on one."""
    if not node_of(pod):
        return (key_of(pod),) if _is_ours(pod) else ()
    gone = world.get(POD, namespace_of(pod), name_of(pod)) is None
    return waiting(world) if gone or is_finished(pod) else ()


def _told(pod: Object, reason: str, message: str, now: datetime) -> Outcome:
    """The condition and the event, once for each message."""
    known = condition_of(pod, "PodScheduled") or {}
    if known.get("reason") == reason and known.get("message") == message:
        return SETTLED
    since = known.get("lastTransitionTime") if known.get("status") == "False" else None
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "lastTransitionTime": since or format_time(now),
        "reason": reason,
        "message": message,
        "observedGeneration": meta(pod).get("generation") or 0,
    }
    patch = Patch(
        POD,
        namespace_of(pod),
        name_of(pod),
        uid_of(pod),
        {"status": {"conditions": [condition]}},
        "status",
        "application/strategic-merge-patch+json",
    )
    told = () if reason == "SchedulingGated" else (Emit(pod, "Warning", "FailedScheduling", message),)
    return Outcome((patch, *told))
