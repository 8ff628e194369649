"""A Job's status: what may be written there, by whichever controller manages the Job.

A finished Job has nothing running and nothing left to count; an end is announced (FailureTarget, SuccessCriteriaMet)
before it is reached, and never taken back; counters do not fall. A fault that the old status had already is not held
against a writer who changes something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from control.api import faults
from control.api.objects import Object, is_condition_true, parse_time, spec_of, status_of
from control.api.status import FieldError
from control.api.validation.job_policies import count_indexes

_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")


def validate_job_status(new: Object, old: Object) -> list[FieldError]:
    known = {str(fault) for fault in _faults(old)}
    return [fault for fault in _faults(new) if str(fault) not in known] + list(_changes(new, old))


def _faults(job: Object) -> list[FieldError]:
    status = status_of(job)
    found: list[FieldError] = []
    for field in _COUNTS:
        found += faults.nonnegative(f"status.{field}", status.get(field))
    found += _uncounted(status.get("uncountedTerminatedPods") or {})
    found += _ends(job, status)
    found += _finished(job, status)
    found += _indexes(spec_of(job), status)
    if (status.get("ready") or 0) > (status.get("active") or 0):
        found.append(faults.invalid("status.ready", status.get("ready") or 0, "cannot set more ready pods than active"))
    return found


def _uncounted(uncounted: Mapping[str, Any]) -> Iterator[FieldError]:
    seen = set()
    for kind in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(kind) or ()):
            path = f"status.uncountedTerminatedPods.{kind}[{index}]"
            if not uid:
                yield faults.invalid(path, uid, "must not be empty")
            elif uid in seen:
                yield faults.duplicate(path, uid)
            seen.add(uid)


def _conditions(why: str) -> FieldError:
    return FieldError("status.conditions", "FieldValueInvalid", f"Invalid value: {why}")


def _ends(job: Object, status: Mapping[str, Any]) -> Iterator[FieldError]:
    complete, failed, target, met = (
        is_condition_true(job, type_) for type_ in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
    )
    if complete and failed:
        yield _conditions("cannot set Complete=True and Failed=true conditions")
    if complete and target:
        yield _conditions("cannot set Complete=True and FailureTarget=true conditions")
    started, completed = status.get("startTime"), status.get("completionTime")
    if completed and not complete:
        why = "cannot set completionTime when there is no Complete=True condition"
        yield faults.invalid("status.completionTime", completed, why)
    if complete and not completed:
        yield faults.required("status.completionTime", "completionTime is required for Complete jobs")
    if started and completed and parse_time(completed) < parse_time(started):
        yield faults.invalid("status.completionTime", completed, "completionTime cannot be set before startTime")
    if failed and not target:
        yield _conditions("cannot set Failed=True condition without the FailureTarget=true condition")
    if complete and not met:
        yield _conditions("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
    if met and failed:
        yield _conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and target:
        yield _conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")


def _finished(job: Object, status: Mapping[str, Any]) -> Iterator[FieldError]:
    if not (is_condition_true(job, "Complete") or is_condition_true(job, "Failed")):
        return
    for field in ("active", "terminating"):
        if status.get(field):
            yield faults.invalid(f"status.{field}", status[field], f"{field}>0 is invalid for finished job")
    if not status.get("startTime"):
        yield faults.required("status.startTime", "startTime is required for finished job")
    uncounted = status.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()):
        why = "uncountedTerminatedPods needs to be empty for finished job"
        yield faults.invalid("status.uncountedTerminatedPods", uncounted, why)


def _indexes(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[FieldError]:
    completed, failed, limit = (
        status.get("completedIndexes") or "",
        status.get("failedIndexes"),
        spec.get("completions"),
    )
    by_index = spec.get("backoffLimitPerIndex") is not None
    broken = limit is None or not by_index
    for field, text in (("completedIndexes", completed), ("failedIndexes", failed if by_index else None)):
        problem = count_indexes(text, limit) if text is not None and limit is not None else 0
        if isinstance(problem, str):
            broken = True
            yield faults.invalid(f"status.{field}", text, f"error parsing {field}: {problem}")
    if completed and spec.get("completionMode") != "Indexed":
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        yield faults.invalid("status.completedIndexes", completed, why)
    if failed is not None and not by_index:
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield faults.invalid("status.failedIndexes", failed, why)
    both = set() if broken or not failed else _set_of(completed) & _set_of(failed)
    if both:
        why = f"failedIndexes and completedIndexes overlap at index: {min(both)}"
        yield faults.invalid("status.failedIndexes", failed, why)


def _set_of(text: str) -> set[int]:
    ends = [part.split("-") for part in text.split(",") if part]
    return {index for each in ends for index in range(int(each[0]), int(each[-1]) + 1)}


def _changes(new: Object, old: Object) -> Iterator[FieldError]:
    after, before = status_of(new), status_of(old)
    for type_ in ("Failed", "Complete", "FailureTarget"):
        if is_condition_true(old, type_) and not is_condition_true(new, type_):
            yield _conditions(f"cannot disable the terminal {type_}=True condition")
    for field in ("failed", "succeeded"):
        if (after.get(field) or 0) < (before.get(field) or 0) and not _may_fall(field, new):
            yield faults.invalid(f"status.{field}", after.get(field) or 0, f"cannot decrease the {field} counter")
    completed = after.get("completionTime")
    if completed and before.get("completionTime") and completed != before["completionTime"]:
        yield faults.invalid("status.completionTime", completed, "completionTime cannot be mutated")
    started = before.get("startTime")
    if started and after.get("startTime") != started and not (spec_of(new).get("suspend") or _resumes(new, old)):
        yield faults.required("status.startTime", "startTime cannot be removed for unsuspended job")
    if is_condition_true(old, "SuccessCriteriaMet") and not is_condition_true(new, "SuccessCriteriaMet"):
        yield _conditions("cannot disable the SuccessCriteriaMet=True condition")


def _may_fall(field: str, job: Object) -> bool:
    """An elastic Indexed Job that was scaled down forgets the successes beyond its completions."""
    return field == "succeeded" and spec_of(job).get("completionMode") == "Indexed"


def _resumes(new: Object, old: Object) -> bool:
    """A Job that goes on after a suspension starts its time anew."""
    return is_condition_true(old, "Suspended") and not is_condition_true(new, "Suspended")
