"""Disruptions that did not happen: a pod says that it is about to go, and two minutes later it is still there.

Whoever wants a pod away writes the condition DisruptionTarget before the deletion (an eviction, a taint's manager); if
the deletion then fails, the condition would stay and a Job's podFailurePolicy would one day forgive a failure that had
nothing to do with it. So a stale one is set to False. What the kubelet wrote is never stale, since it may take as long
as it likes to end a pod; nor is anything on a pod that is being deleted or has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from control.api.kinds import POD, Kind
from control.api.objects import (
    Key,
    Object,
    condition_of,
    format_time,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from control.controllers.action import SETTLED, Outcome, Patch
from control.controllers.controller import Wakes
from control.controllers.pods import is_finished, time_of
from control.mirror.world import World

TIMEOUT = timedelta(minutes=2)  # the disruption controller's stalePodDisruptionTimeout
BY_KUBELET = "TerminationByKubelet"


class StaleDisruptionController:
    name = "stale-disruption-controller"
    kind = POD

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {POD: _of_pod}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        pod = world.get(POD, *key)
        stale_at = _stale_at(pod) if pod is not None else None
        if pod is None or stale_at is None:
            return SETTLED
        if stale_at > now:
            return Outcome((), stale_at)
        condition = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": format_time(now)}
        gone = {"reason": None, "message": None}
        patch = {"status": {"conditions": [condition | gone]}}
        strategic = Patch(
            POD,
            namespace_of(pod),
            name_of(pod),
            uid_of(pod),
            patch,
            "status",
            "application/strategic-merge-patch+json",
        )
        return Outcome((strategic,))


def _stale_at(pod: Object) -> datetime | None:
    """When the pod's condition has been true for too long; None where it is nobody's business."""
    condition = condition_of(pod, "DisruptionTarget") or {}
    if condition.get("status") != "True" or condition.get("reason") == BY_KUBELET:
        return None
    if is_deleting(pod) or is_finished(pod):
        return None
    since = time_of(condition.get("lastTransitionTime"))
    return since + TIMEOUT if since else None


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    return (key_of(pod),) if _stale_at(pod) is not None else ()
