"""How a Job ends, and why: in two steps, as Kubernetes does it.

When the end is decided, the condition FailureTarget or SuccessCriteriaMet says so, and the pods that still run are
stopped; it cannot change any more. When nothing of the Job runs and every pod is counted, the condition Failed or
Complete follows, with the same reason and message. The reasons, the first that holds:

PodFailurePolicy (a FailJob rule), BackoffLimitExceeded, DeadlineExceeded, MaxFailedIndexesExceeded, FailedIndexes,
SuccessPolicy, CompletionsReached.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from control.api.objects import Object, format_time, spec_of, status_of
from control.controllers.conditions import find
from control.controllers.job import failures, indexes
from control.controllers.job.tally import Tally, completions_of, is_indexed
from control.controllers.pods import phase_of, time_of

INTERIM = {"Failed": "FailureTarget", "Complete": "SuccessCriteriaMet"}


class Verdict(NamedTuple):
    end: str  # "Failed" or "Complete"
    reason: str
    message: str


def is_over(job: Object) -> bool:
    """Whether the Job is Complete or Failed for good."""
    conditions = status_of(job).get("conditions") or ()
    return any(one.get("type") in INTERIM and one.get("status") == "True" for one in conditions)


def is_suspended(job: Object) -> bool:
    return bool(spec_of(job).get("suspend"))


def condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Object:
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": format_time(now),
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }


def deadline(job: Object) -> datetime | None:
    """When activeDeadlineSeconds end."""
    seconds = spec_of(job).get("activeDeadlineSeconds")
    started = time_of(status_of(job).get("startTime"))
    if seconds is None or started is None or is_suspended(job):
        return None
    return started + timedelta(seconds=int(seconds))


def reached(job: Object, tally: Tally, now: datetime) -> Verdict | None:
    """The verdict that the status holds already, or the one that is due; None while the Job goes on."""
    conditions = status_of(job).get("conditions") or ()
    for end in ("Complete", "Failed"):
        held = find(conditions, INTERIM[end])
        if held is not None and held.get("status") == "True":
            return Verdict(end, held.get("reason") or "", held.get("message") or "")
    for pod in tally.pods:
        if failures.has_failed(job, pod):
            judgement = failures.judged(job, pod)
            if judgement.action == "FailJob":
                return Verdict("Failed", "PodFailurePolicy", judgement.message)
    if _is_past_back_off(job, tally):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    until = deadline(job)
    if until is not None and now >= until:
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    return _by_indexes(job, tally) or _by_success(job, tally) or _by_completions(job, tally)


def _is_past_back_off(job: Object, tally: Tally) -> bool:
    limit = spec_of(job).get("backoffLimit")
    limit = 6 if limit is None else int(limit)
    if tally.failed > limit:
        return True
    if (spec_of(spec_of(job).get("template") or {}).get("restartPolicy")) != "OnFailure":
        return False
    restarts = sum(map(_restarts, tally.active))
    return restarts > 0 if limit == 0 else restarts >= limit


def _restarts(pod: Object) -> int:
    if phase_of(pod) not in ("Running", "Pending"):
        return 0
    status = status_of(pod)
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return sum(one.get("restartCount") or 0 for one in containers)


def _by_indexes(job: Object, tally: Tally) -> Verdict | None:
    if not is_indexed(job) or not tally.failed_indexes:
        return None
    limit = spec_of(job).get("maxFailedIndexes")
    if limit is not None and len(tally.failed_indexes) > int(limit):
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict("Failed", "MaxFailedIndexesExceeded", message)
    if len(tally.failed_indexes | tally.completed_indexes) >= completions_of(job):
        return Verdict("Failed", "FailedIndexes", "Job has failed indexes")
    return None


def _by_success(job: Object, tally: Tally) -> Verdict | None:
    rules: Sequence[Object] = (spec_of(job).get("successPolicy") or {}).get("rules") or ()
    for position, rule in enumerate(rules):
        text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        wanted = indexes.parse(text, completions_of(job)) if text is not None else tally.completed_indexes
        got = len(wanted & tally.completed_indexes)
        if got >= (len(wanted) if count is None else int(count)) and (text is not None or count is not None):
            return Verdict("Complete", "SuccessPolicy", f"Matched rules at index {position}")
    return None


def _by_completions(job: Object, tally: Tally) -> Verdict | None:
    if tally.active:
        return None
    if spec_of(job).get("completions") is None:
        done = tally.succeeded > 0
    else:
        done = tally.succeeded >= completions_of(job)
    reached_ = Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
    return reached_ if done else None
