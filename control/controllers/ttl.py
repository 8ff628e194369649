"""Finished Jobs with ttlSecondsAfterFinished: they and their pods are deleted when the time is over.

The time begins with the transition of the condition Complete or Failed. The deletion is the foreground sort, so that
the pods go first, and it carries the resourceVersion: a TTL that was raised in time counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from control.api.kinds import JOB, Kind
from control.api.objects import (
    Key,
    Object,
    condition_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    uid_of,
)
from control.controllers.action import SETTLED, Delete, Outcome
from control.controllers.controller import Wakes
from control.controllers.pods import time_of
from control.mirror.world import World


class TtlController:
    name = "ttl-after-finished-controller"
    kind = JOB
    concurrency = 5  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {JOB: lambda world, obj: (key_of(obj),) if _ends_at(obj) else ()}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        job = world.get(JOB, *key)
        if job is None or is_deleting(job):
            return SETTLED
        at = _ends_at(job)
        if at is None:
            return SETTLED
        if now < at:
            return Outcome(wake_at=at)
        version = resource_version_of(job)
        return Outcome((Delete(JOB, namespace_of(job), name_of(job), uid_of(job), version, "Foreground"),))


def _ends_at(job: Object) -> datetime | None:
    seconds = spec_of(job).get("ttlSecondsAfterFinished")
    if seconds is None:
        return None
    for type_ in ("Complete", "Failed"):
        condition = condition_of(job, type_) or {}
        since = time_of(condition.get("lastTransitionTime"))
        if condition.get("status") == "True" and since is not None:
            return since + timedelta(seconds=int(seconds))
    return None
