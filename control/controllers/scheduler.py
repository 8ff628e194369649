"""The scheduler: gives each pod without a node the best one (`placement`), or says why there is none.

It schedules the pods of schedulerName `default-scheduler` that are not being deleted, unless scheduling gates hold them
back or their volumes cannot be had (`volumeneeds`); claims that wait for their first consumer are bound for the node
first. A pod that fits nowhere gets the condition PodScheduled=False with the reason Unschedulable (or SchedulingGated)
and the event FailedScheduling; it is tried again when a node, a claim or a volume changes, or a pod frees its place.
There is no preemption: priorities are stored but evict nobody.

Each pod is bound at once; the world then holds it on its node (the shell's read-your-writes), so the next pod counts
it. On a stale world the server refuses a second binding; a node may then be overcommitted, which the kubelet's own
admission refuses as on any Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS, Kind
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
from control.api.storage import claims_of
from control.controllers.action import SETTLED, Bind, Emit, Outcome, Patch
from control.controllers.controller import Wakes
from control.controllers.fleet import Fleet
from control.controllers.placement import Refusal, place
from control.controllers.pods import is_finished, node_of
from control.controllers.volumeneeds import VolumeNeeds
from control.mirror.world import World

DEFAULT = "default-scheduler"
REMEMBERED_MAX = 10_000  # pods whose volumes are being bound; beyond that all are forgotten and placed again
NODE_NAME = "spec.nodeName"
GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Scheduler:
    name = DEFAULT
    kind = POD

    def __init__(self) -> None:
        self._fleet = Fleet()  # a cache: what it says depends on the world only
        self._meant: dict[str, str] = {}  # by UID: the node for which a pod's volumes are being bound

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            POD: _of_pod,
            NODE: lambda world, obj: waiting(world),
            PERSISTENT_VOLUME_CLAIM: _of_claim,
            PERSISTENT_VOLUME: lambda world, obj: waiting_for_volumes(world),
            STORAGE_CLASS: lambda world, obj: waiting_for_volumes(world),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        pod = world.get(POD, *key)
        if pod is None or not _is_ours(pod):
            return SETTLED
        if spec_of(pod).get("schedulingGates"):
            return _told(pod, "SchedulingGated", GATED, now)
        self._fleet.look(world)
        needs = VolumeNeeds.of(world, pod)
        if needs is not None and needs.fault:
            return _told(pod, "Unschedulable", f"0/{len(self._fleet)} nodes are available: {needs.fault}.", now)
        found = self._place(pod, needs)
        if isinstance(found, Refusal):
            self._meant.pop(uid_of(pod), None)
            return _told(pod, "Unschedulable", found.message, now)
        if needs is not None and needs.open:
            if len(self._meant) >= REMEMBERED_MAX:
                self._meant.clear()
            self._meant[uid_of(pod)] = found
            return Outcome(tuple(needs.deeds(self._fleet.seats([found])[0].node)))
        self._meant.pop(uid_of(pod), None)
        message = f"Successfully assigned {key} to {found}"
        bind = Bind(key.namespace, key.name, uid_of(pod), found)
        return Outcome((bind, Emit(pod, "Normal", "Scheduled", message)))

    def _place(self, pod: Object, needs: VolumeNeeds | None) -> str | Refusal:
        """A pod whose volumes were bound for a node goes there, if it still can."""
        if needs is None:
            return self._fleet.place(pod)
        meant = self._meant.get(uid_of(pod))
        found = place(pod, self._fleet.seats([meant]), needs.refusal) if meant else None
        return found if isinstance(found, str) else place(pod, self._fleet.seats(), needs.refusal)


def waiting(world: World) -> Iterable[Key]:
    """The pods that were told that there is no node for them; others without a node have their turn anyway."""
    return [key_of(pod) for pod in world.naming(POD, told_of, "Unschedulable") if _is_ours(pod)]


def told_of(pod: Object) -> Iterable[str]:
    """Why the pod is not on a node, if it was told."""
    if node_of(pod):
        return ()
    return (str((condition_of(pod, "PodScheduled") or {}).get("reason") or ""),)


def waiting_for_volumes(world: World) -> Iterable[Key]:
    return [key_of(pod) for pod in world.by_field(POD, NODE_NAME, "") if claims_of(pod) and _is_ours(pod)]


def _of_claim(world: World, claim: Object) -> Iterable[Key]:
    """The pods that wait for it."""
    waiting = world.by_field(POD, NODE_NAME, "", namespace_of(claim))
    return [
        key_of(pod) for pod in waiting if _is_ours(pod) and any(name == name_of(claim) for _, name in claims_of(pod))
    ]


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
