"""Jobs: pods until enough of them succeeded, each counted once.

A wake puts together what the pods say (`tally`), whether that is the end (`verdict`), and the next status; writes it
with the version that was read, as the fence; and does behind it what follows: finalizers of counted pods are removed,
pods that are too many are deleted. Pods are made only in a round of its own, when the status has nothing new to say: it
begins with the fence, unchanged, and ends with the status that announces the pods as active. So a finished round moves
the Job's version, pod names come from it (`pods`), and a decision on any older world can make none too many. (The same
is done by ReplicaSets; see there.)

How many pods run: parallelism, but no more than completions are missing; without completions, until one has succeeded.
After failures the next pods wait (`failures`). A suspended Job deletes its active pods without counting them. What
`spec.managedBy` gives to another controller is left alone.

The finalizer would keep pods of a Job that is gone for ever. So a key whose Job is not there any more, as the server
confirms, means: free the pods that name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from control.api.kinds import JOB, NAMESPACE, POD, Kind
from control.api.objects import (
    Key,
    Object,
    controller_of,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    meta,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import SETTLED, Absent, Action, Emit, Outcome, Patch, Update
from control.controllers.adoption import Claim, claim, orphans_wake
from control.controllers.conditions import find, with_condition
from control.controllers.controller import Wakes
from control.controllers.job import failures, pods, verdict
from control.controllers.job.failures import FINALIZER, is_tracked
from control.controllers.job.tally import Account, Tally, account, completions_of, is_indexed, release
from control.controllers.job.verdict import INTERIM, Verdict, is_suspended
from control.controllers.podmaking import fenced, is_leaving, step, told_deletion
from control.controllers.pods import is_ready
from control.mirror.world import World

NAME_LABEL = "batch.kubernetes.io/job-name"
UID_LABEL = "batch.kubernetes.io/controller-uid"
OURS = "kubernetes.io/job-controller"


class JobController:
    name = "job-controller"
    kind = JOB
    concurrency = 5  # kube-controller-manager's default for it

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {JOB: lambda world, obj: (key_of(obj),), POD: _of_pod, NAMESPACE: lambda world, obj: ()}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        job = world.get(JOB, *key)
        strays = _strays(world, key, job)
        if strays:
            return Outcome(tuple(_freed(key, strays)))
        if job is None or spec_of(job).get("managedBy", OURS) != OURS:
            return SETTLED
        if verdict.is_over(job):
            late = [pod for pod in world.controlled_by(POD, uid_of(job)) if is_tracked(pod)]
            return Outcome(tuple(map(release, late)))
        claimed = claim(world, POD, JOB, job, spec_of(job).get("selector") or {})
        if claimed.patches:
            return step(JOB, job, _tracking(claimed))
        return _reconciled(world, job, claimed.held, now)


def _reconciled(world: World, job: Object, held: Sequence[Object], now: datetime) -> Outcome:
    tally = Tally.of(job, held)
    decided = verdict.reached(job, tally, now)
    has_failed = decided is not None and decided.end == "Failed"
    book = account(job, tally, has_failed=has_failed, is_over=decided is not None)
    status = {**_counted(job, tally, now), **book.fields}
    deeds: list[Action] = list(book.releases)
    wake_at = None
    creations: list[Action] = []
    if decided is not None:
        deeds += [deed for pod in tally.active for deed in told_deletion(job, pod)]
        deeds += _end(job, tally, decided, book, status, now)
    elif not is_deleting(job) and not is_leaving(world, job):
        _note_suspension(job, status, deeds, now)
        doomed = _too_many(job, tally, now)
        deeds += pods.removals(job, doomed)
        if not doomed and not is_suspended(job):
            creations, wake_at = _due(job, tally, now)
    status = {name: value for name, value in status.items() if value or name in _ALWAYS}
    if creations and not deeds and status == status_of(job):
        more = sum(not isinstance(one, Emit) for one in creations)
        announced = {**status, "active": len(tally.active) + more}
        unversioned = {name: value for name, value in meta(job).items() if name != "resourceVersion"}
        closing = Update(JOB, {**job, "metadata": unversioned, "status": announced}, "status")
        return Outcome((Update(JOB, job, "status"), *creations, closing), wake_at)
    times = [at for at in (wake_at, verdict.deadline(job) if decided is None else None) if at is not None]
    return Outcome(fenced(JOB, job, status, deeds), min(times, default=None))


_ALWAYS = frozenset({"ready", "terminating", "uncountedTerminatedPods", "failedIndexes"})


def _counted(job: Object, tally: Tally, now: datetime) -> Object:
    """The status with what can be seen of pods that still run."""
    status = {**status_of(job)}
    if not status.get("startTime") and not is_suspended(job):
        status["startTime"] = format_time(now)
    status["active"] = len(tally.active)
    status["ready"] = sum(map(is_ready, tally.active))
    status["terminating"] = len(tally.terminating)
    return status


def _note_suspension(job: Object, status: Object, deeds: list[Action], now: datetime) -> None:
    """The condition Suspended and its event; a Job that goes on starts its time anew."""
    conditions = list(status.get("conditions") or ())
    held = (find(conditions, "Suspended") or {}).get("status") == "True"
    if is_suspended(job) == held:
        return
    if is_suspended(job):
        told = verdict.condition("Suspended", "True", "JobSuspended", "Job suspended", now)
    else:
        told = verdict.condition("Suspended", "False", "JobResumed", "Job resumed", now)
        status["startTime"] = format_time(now)
    status["conditions"] = with_condition(conditions, told)
    deeds.append(Emit(job, "Normal", "Suspended" if is_suspended(job) else "Resumed", told["message"]))


def _wanted(job: Object, tally: Tally) -> int:
    parallelism = spec_of(job).get("parallelism")
    most = 1 if parallelism is None else int(parallelism)
    if spec_of(job).get("completions") is None:
        return len(tally.active) if tally.succeeded else most
    return max(0, min(most, completions_of(job) - tally.succeeded))


def _too_many(job: Object, tally: Tally, now: datetime) -> list[Object]:
    if is_suspended(job):
        return tally.active[: pods.BURST]
    return pods.surplus(job, tally, max(0, len(tally.active) - _wanted(job, tally)), now)


def _due(job: Object, tally: Tally, now: datetime) -> tuple[list[Action], datetime | None]:
    """The pods to make now, and when to look again for those that wait after failures."""
    terminating = len(tally.terminating) if failures.replaces_only_failed(job) else 0
    room = min(pods.BURST, _wanted(job, tally) - len(tally.active) - terminating)
    if room <= 0:
        return [], None
    if spec_of(job).get("backoffLimitPerIndex") is not None:
        return _due_by_index(job, tally, room, now)
    at = failures.next_try_at(job, tally.pods)
    if at is not None and at > now:
        return [], at
    wanted = pods.pending_indexes(job, tally)[:room] if is_indexed(job) else room
    return list(pods.creations(job, tally, wanted)), None


def _due_by_index(job: Object, tally: Tally, room: int, now: datetime) -> tuple[list[Action], datetime | None]:
    ready: list[int] = []
    times: list[datetime] = []
    for index in pods.pending_indexes(job, tally):
        last = tally.last_failed.get(index)
        at = now if last is None else failures.finished_at(last) + failures.delay(sum(_row(job, last)))
        if at > now:
            times.append(at)
        elif len(ready) < room:
            ready.append(index)
    return list(pods.creations(job, tally, ready)), min(times, default=None)


def _row(job: Object, last: Object) -> tuple[int, int]:
    return failures.successors_counts(job, last)


def _end(job: Object, tally: Tally, decided: Verdict, book: Account, status: Object, now: datetime) -> Iterable[Action]:
    """Writes the conditions of the end into `status`; the events of the last one."""
    interim = verdict.condition(INTERIM[decided.end], "True", decided.reason, decided.message, now)
    status["conditions"] = with_condition(list(status.get("conditions") or ()), interim)
    if tally.active or tally.terminating or not book.is_closed:
        return
    last = verdict.condition(decided.end, "True", decided.reason, decided.message, now)
    status["conditions"] = with_condition(status["conditions"], last)
    if decided.end == "Failed":
        yield Emit(job, "Warning", decided.reason, decided.message)
        return
    status["completionTime"] = format_time(now)
    if spec_of(job).get("completions") is not None and status["succeeded"] > completions_of(job):
        text = "Too many succeeded pods running after completion count reached"
        yield Emit(job, "Warning", "TooManySucceededPods", text)
    yield Emit(job, "Normal", "Completed", "Job completed")


# --- whose pods ---------------------------------------------------------------------------------------------------


def _tracking(claimed: Claim) -> list[Action]:
    """Adoptions that set the finalizer too, and releases that take it away."""
    held = {uid_of(pod) for pod in claimed.held}

    def finalizers(patch: Patch) -> Object:
        if patch.uid in held:
            return {"finalizers": [FINALIZER]}
        return {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}

    return [
        replace(patch, patch={"metadata": {**patch.patch["metadata"], **finalizers(patch)}})
        for patch in claimed.patches
    ]


def _strays(world: World, key: Key, job: Object | None) -> list[Object]:
    """Pods with the finalizer that name a Job which is not there (another one may have its name)."""
    labelled = world.by_field(POD, f"metadata.labels['{NAME_LABEL}']", key.name, key.namespace)
    if job is None:
        named = [pod for pod in world.list(POD, key.namespace) if (controller_of(pod) or {}).get("name") == key.name]
        labelled = list({uid_of(pod): pod for pod in (*labelled, *named)}.values())
    return [pod for pod in labelled if is_tracked(pod) and _job_uid(pod) not in ("", uid_of(job or {}))]


def _job_uid(pod: Object) -> str:
    """The UID of the Job that the pod belongs, or belonged, to; "" if it is another kind's."""
    ref = controller_of(pod)
    if ref is None:
        return labels_of(pod).get(UID_LABEL, "")
    return str(ref.get("uid") or "") if ref.get("kind") == JOB.kind else ""


def _freed(key: Key, strays: Sequence[Object]) -> Iterable[Action]:
    for uid in sorted({_job_uid(pod) for pod in strays}):
        yield Absent(JOB, key.namespace, key.name, uid)
        yield from (release(pod) for pod in strays if _job_uid(pod) == uid)


def _of_pod(world: World, pod: Object) -> Iterable[Key]:
    ref = controller_of(pod)
    if ref is not None:
        return (Key(namespace_of(pod), ref.get("name") or ""),) if ref.get("kind") == JOB.kind else ()
    found = orphans_wake(world, JOB, pod, lambda job: spec_of(job).get("selector") or {})
    if found:
        return [key_of(job) for job in found]
    name = labels_of(pod).get(NAME_LABEL)
    return (Key(namespace_of(pod), name),) if name and is_tracked(pod) else ()
