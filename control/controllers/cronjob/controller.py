"""CronJobs: a Job for each scheduled time, named after it.

A wake first keeps the books (which of its Jobs run, when the last one succeeded) and clears away finished Jobs beyond
the history limits; when there is nothing of that to do it looks whether a run is due (`due`) and makes its Job. The
Job's name is the CronJob's with the scheduled time in minutes since 1970, so however often a run is decided, it is one
Job. The update of the books is the fence: who missed that a run was made, or that the CronJob was suspended, makes
none. lastScheduleTime is written behind the run and, should that not have happened, read off the Job before it can be
cleared away; so no time has two.

A Job that has the CronJob as its controller and was not made by it (`kubectl create job --from`) is not among the
active ones; an event says so. A run that is not made, since the one before still runs or the deadline has passed,
leaves lastScheduleTime as it was, and so may still come when the one before ends.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from control.api.kinds import CRON_JOB, JOB, NAMESPACE, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    controller_of,
    copy_of,
    format_time,
    is_condition_true,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Action, Create, Delete, Emit, Outcome, Update
from control.controllers.adoption import owner_reference
from control.controllers.controller import Wakes
from control.controllers.cronjob.due import due
from control.controllers.cronjob.schedule import Schedule
from control.controllers.podmaking import fenced, is_leaving
from control.controllers.pods import created_at, time_of
from control.mirror.world import World

TIMESTAMP = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobController:
    name = "cronjob-controller"
    kind = CRON_JOB
    concurrency = 5  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {CRON_JOB: lambda world, obj: (key_of(obj),), JOB: _of_job, NAMESPACE: lambda world, obj: ()}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        cron_job = world.get(CRON_JOB, *key)
        if cron_job is None:
            return SETTLED
        jobs = [job for job in world.controlled_by(JOB, uid_of(cron_job)) if namespace_of(job) == key.namespace]
        status, told = _books(cron_job, jobs)
        deeds = [*told, *_history(cron_job, jobs)]
        if is_deleting(cron_job) or is_leaving(world, cron_job):
            return Outcome(fenced(CRON_JOB, cron_job, status, told))
        at_rest = status == status_of(cron_job) and not any(isinstance(deed, Delete) for deed in deeds)
        if not at_rest:
            return Outcome(fenced(CRON_JOB, cron_job, status, deeds))
        outcome = _run(cron_job, jobs, now)
        return Outcome((*told, *outcome.actions), outcome.wake_at)


# --- the books ----------------------------------------------------------------------------------------------------


def end_of(job: Object) -> str:
    """ "Complete", "Failed", or "" while the Job is not finished."""
    return next((type_ for type_ in ("Complete", "Failed") if is_condition_true(job, type_)), "")


def _scheduled_at(cron_job: Object, job: Object) -> datetime | None:
    """The time for which this controller made the Job, whose name says so; None for other Jobs."""
    at = time_of(annotations_of(job).get(TIMESTAMP))
    return at if at is not None and name_of(job) == job_name(cron_job, at) else None


def _is_ours(cron_job: Object, job: Object) -> bool:
    return _scheduled_at(cron_job, job) is not None


def _books(cron_job: Object, jobs: Sequence[Object]) -> tuple[Object, list[Action]]:
    """The status, and what there is to say about its changes."""
    before = {ref.get("uid"): ref.get("name") for ref in status_of(cron_job).get("active") or ()}
    told: list[Action] = []
    active: list[Object] = []
    succeeded = time_of(status_of(cron_job).get("lastSuccessfulTime"))
    for job in jobs:
        end = end_of(job)
        known = before.pop(uid_of(job), None) is not None
        if end and known:
            text = f"Saw completed job: {name_of(job)}, condition: {end}"
            told.append(Emit(cron_job, "Normal", "SawCompletedJob", text))
        if not end and (known or _is_ours(cron_job, job)):
            active.append(_reference(job))
        elif not end:
            text = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
            told.append(Emit(cron_job, "Warning", "UnexpectedJob", text))
        at = time_of(status_of(job).get("completionTime"))
        if end == "Complete" and at is not None and (succeeded is None or at > succeeded):
            succeeded = at
    told += [Emit(cron_job, "Normal", "MissingJob", f"Active job went missing: {name}") for name in before.values()]
    status = {**status_of(cron_job), "active": active}
    if not active:
        del status["active"]
    if succeeded is not None:
        status["lastSuccessfulTime"] = format_time(succeeded)
    runs = [at for job in jobs if (at := _scheduled_at(cron_job, job)) is not None]
    last = time_of(status.get("lastScheduleTime"))
    if runs and (last is None or max(runs) > last):
        status["lastScheduleTime"] = format_time(max(runs))
    return status, told


def _reference(job: Object) -> Object:
    """As the status keeps it; without resourceVersion, else every change of the Job would change the status."""
    return {
        "kind": JOB.kind,
        "namespace": namespace_of(job),
        "name": name_of(job),
        "uid": uid_of(job),
        "apiVersion": JOB.api_version,
    }


def _history(cron_job: Object, jobs: Sequence[Object]) -> list[Action]:
    """Deletions of finished Jobs beyond the limits, the oldest first."""
    spec = spec_of(cron_job)
    doomed: list[Object] = []
    for end, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        limit = spec.get(field)
        if limit is None:
            continue
        finished = sorted((job for job in jobs if end_of(job) == end and not is_deleting(job)), key=_age)
        doomed += finished[: max(0, len(finished) - int(limit))]
    return [deed for job in doomed for deed in _deletion(cron_job, job)]


def _age(job: Object) -> tuple[datetime, str]:
    return time_of(status_of(job).get("startTime")) or created_at(job), name_of(job)


def _deletion(cron_job: Object, job: Object) -> tuple[Action, Action]:
    def refused(message: str) -> tuple[Action, ...]:
        return (Emit(cron_job, "Warning", "FailedDelete", f"Deleted job: {message}"),)

    return (
        Delete(JOB, namespace_of(job), name_of(job), uid_of(job), propagation="Background", refused=refused),
        Emit(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name_of(job)}"),
    )


# --- a run --------------------------------------------------------------------------------------------------------


def _run(cron_job: Object, jobs: Sequence[Object], now: datetime) -> Outcome:
    """The run that is due, if any, and when to look again."""
    spec = spec_of(cron_job)
    if spec.get("suspend"):
        return SETTLED
    try:
        zone: tzinfo = zoneinfo.ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f'invalid timeZone: "{spec["timeZone"]}": {error}'
        return Outcome((Emit(cron_job, "Warning", "UnknownTimeZone", text),))
    try:
        schedule = Schedule.parse(spec.get("schedule") or "", zone)
    except ValueError as error:
        text = f'unparseable schedule: "{spec.get("schedule")}" : {error}'
        return Outcome((Emit(cron_job, "Warning", "UnparseableSchedule", text),))
    found = due(cron_job, schedule, now)
    if found.at is None:
        return Outcome(wake_at=found.next_at)
    told: list[Action] = []
    if found.missed_many:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        told.append(Emit(cron_job, "Warning", "TooManyMissedTimes", text))
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and found.at + timedelta(seconds=int(deadline)) < now:
        at = found.at.strftime("%a, %d %b %Y %H:%M:%S +0000")
        told.append(Emit(cron_job, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {at}"))
        return Outcome(tuple(told), found.next_at)
    active = [job for job in jobs if not end_of(job) and _is_ours(cron_job, job)]
    policy = spec.get("concurrencyPolicy") or "Allow"
    if active and policy == "Forbid":
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return Outcome((*told, Emit(cron_job, "Normal", "JobAlreadyActive", text)), found.next_at)
    same = [job for job in jobs if name_of(job) == job_name(cron_job, found.at) and _is_ours(cron_job, job)]
    if same and not (policy == "Replace" and same[0] in active):
        return Outcome((*told, _noted(cron_job, found.at)), found.next_at)  # made already, and not in the books yet
    deeds: list[Action] = [Update(CRON_JOB, cron_job, "status"), *told]
    if policy == "Replace":
        deeds += [deed for job in active if not is_deleting(job) for deed in _deletion(cron_job, job)]
    deeds += _creation(cron_job, found.at, zone)
    return Outcome(tuple(deeds), found.next_at)


def job_name(cron_job: Object, at: datetime) -> str:
    return f"{name_of(cron_job)}-{int(at.timestamp()) // 60}"


def _creation(cron_job: Object, at: datetime, zone: tzinfo) -> Iterable[Action]:
    job = _job(cron_job, at, zone)

    def refused(message: str) -> tuple[Action, ...]:
        return (Emit(cron_job, "Warning", "FailedCreate", f"Error creating job: {message}"),)

    yield Create(JOB, job, refused)
    yield Emit(cron_job, "Normal", "SuccessfulCreate", f"Created job {name_of(job)}")
    yield _noted(cron_job, at)


def _noted(cron_job: Object, at: datetime) -> Update:
    """The books with the time of the last run."""
    status = {**status_of(cron_job), "lastScheduleTime": format_time(at)}
    return Update(CRON_JOB, {**cron_job, "status": status}, "status")


def _job(cron_job: Object, at: datetime, zone: tzinfo) -> Object:
    template = spec_of(cron_job).get("jobTemplate") or {}
    metadata: Object = {
        "name": job_name(cron_job, at),
        "namespace": namespace_of(cron_job),
        "annotations": {**annotations_of(template), TIMESTAMP: _stamp(at, zone)},
        "ownerReferences": [owner_reference(CRON_JOB, cron_job)],
    }
    if labels_of(template):
        metadata["labels"] = dict(labels_of(template))
    spec = copy_of(template.get("spec") or {})
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": spec}


def _stamp(at: datetime, zone: tzinfo) -> str:
    """RFC 3339 on the schedule's clock."""
    return at.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")


def _of_job(world: World, job: Object) -> Iterable[Key]:
    ref = controller_of(job)
    if ref is None or ref.get("kind") != CRON_JOB.kind:
        return ()
    return (Key(namespace_of(job), ref.get("name") or ""),)
