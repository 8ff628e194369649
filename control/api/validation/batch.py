"""Jobs and CronJobs: pods that run to an end, so their template must not be restarted for ever.

What a Job is doing is decided at its birth: completions, template and policies never change. Only while a Job is
suspended and has not started may the place where its pods run still be chosen.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any

from control.api import cron, faults, names
from control.api.objects import Object, labels_of, name_of, spec_of, status_of
from control.api.selectors import selector_of
from control.api.status import FieldError
from control.api.validation.meta import validate_label_selector
from control.api.validation.pod import validate_template

PARALLELISM_INDEXED_MAX = 100_000
CRON_JOB_NAME_MAX = 52  # a Job's name is the CronJob's plus eleven characters
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_FOREVER = 'valid values: "OnFailure", "Never"'
_IMMUTABLE = ("podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy", "completionMode", "selector")
_PLACEMENT = ("nodeSelector", "tolerations", "affinity", "schedulingGates")


def validate_job(job: Object) -> list[FieldError]:
    spec = spec_of(job)
    found: list[FieldError] = []
    selector = spec.get("selector")
    if selector is None:
        found.append(faults.required("spec.selector"))
    else:
        found += validate_label_selector(selector, "spec.selector")
    found += _job_spec(spec, "spec") + _last_hostname(job)
    labels = labels_of(spec.get("template") or {})
    if selector and not found and not selector_of(selector)(labels):
        why = "`selector` does not match template `labels`"
        found.append(faults.invalid("spec.template.metadata.labels", dict(labels), why))
    return found


def _last_hostname(job: Object) -> list[FieldError]:
    """The pods of an Indexed Job have hostnames of their own, of which the last is the longest."""
    spec, name = spec_of(job), name_of(job)
    completions = spec.get("completions")
    if spec.get("completionMode") != "Indexed" or not isinstance(completions, int) or completions < 1:
        return []
    problems = names.dns_label(f"{name}-{completions - 1}")
    prefix = "will not able to create pod with invalid DNS label: "
    return [faults.invalid("metadata.name", name, f"{prefix}{name}-{completions - 1}")] if problems else []


def _job_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in _COUNTS:
        found += faults.nonnegative(f"{path}.{field}", spec.get(field))
    mode = spec.get("completionMode")
    found += faults.one_of(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"), optional=True)
    if mode == "Indexed":
        if spec.get("completions") is None:
            found.append(faults.required(f"{path}.completions", "when completion mode is Indexed"))
        if (spec.get("parallelism") or 0) > PARALLELISM_INDEXED_MAX:
            why = f"must be less than or equal to {PARALLELISM_INDEXED_MAX} when completion mode is Indexed"
            found.append(faults.invalid(f"{path}.parallelism", spec["parallelism"], why))
    elif "backoffLimitPerIndex" in spec:
        why = "requires indexed completion mode"
        found.append(faults.invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], why))
    if "managedBy" in spec:
        name = spec["managedBy"]
        found += faults.each_invalid(f"{path}.managedBy", name, names.prefixed_name(name))
    found += _failed_indexes(spec, path)
    found += _failure_policy(spec.get("podFailurePolicy"), spec, f"{path}.podFailurePolicy")
    found += _success_policy(spec.get("successPolicy"), spec, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    policies = ("Failed", "TerminatingOrFailed") if spec.get("podFailurePolicy") is None else ("Failed",)
    found += faults.one_of(f"{path}.podReplacementPolicy", replacement, policies, optional=True)
    template = spec.get("template") or {}
    found += validate_template(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy == "Always":
        found.append(faults.required(f"{path}.template.spec.restartPolicy", _FOREVER))
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(faults.invalid(f"{path}.template.spec.restartPolicy", policy or "", why))
    return found


def _failure_policy(policy: Object | None, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    known = {container.get("name") for container in containers}
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        at = f"{path}.rules[{index}]"
        actions = ("Count", "FailIndex", "FailJob", "Ignore")
        found += faults.one_of(f"{at}.action", rule.get("action"), actions)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes and conditions:
            found.append(faults.invalid(at, "", "specifying both OnExitCodes and OnPodConditions is not supported"))
        elif not codes and not conditions:
            found.append(faults.invalid(at, "", "specifying one of OnExitCodes and OnPodConditions is required"))
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            found.append(faults.invalid(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
        if codes:
            if codes.get("operator") == "In" and 0 in (codes.get("values") or ()):
                place = f"{at}.onExitCodes.values[{codes['values'].index(0)}]"
                found.append(faults.invalid(place, 0, "must not be 0 for the In operator"))
            found += faults.one_of(f"{at}.onExitCodes.operator", codes.get("operator"), ("In", "NotIn"))
            name = codes.get("containerName")
            if name is not None and name not in known:
                why = "must be one of the container or initContainer names in the pod template"
                found.append(faults.invalid(f"{at}.onExitCodes.containerName", name, why))
            if not codes.get("values"):
                found.append(faults.invalid(f"{at}.onExitCodes.values", [], "at least one value is required"))
    return found


def _failed_indexes(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    most, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    if most is None:
        return []
    found: list[FieldError] = []
    if spec.get("backoffLimitPerIndex") is None:
        found.append(faults.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if completions is not None and most > completions:
        found.append(faults.invalid(f"{path}.maxFailedIndexes", most, "must be less than or equal to completions"))
    return found


def _success_policy(policy: Object | None, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    if policy is None:
        return []
    found: list[FieldError] = []
    if spec.get("completionMode") != "Indexed":
        found.append(faults.invalid(path, policy, "requires indexed completion mode"))
    rules = policy.get("rules") or ()
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(faults.required(f"{path}.rules", why))
    for index, rule in enumerate(rules):
        found += _success_rule(rule, spec.get("completions"), f"{path}.rules[{index}]")
    return found


def _success_rule(rule: Object, completions: int | None, path: str) -> list[FieldError]:
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        return [faults.required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    found = faults.nonnegative(f"{path}.succeededCount", count)
    total = _indexes(text, completions) if text is not None else None
    if isinstance(total, str):
        why = f"error parsing succeededIndexes: {total}"
        found.append(faults.invalid(f"{path}.succeededIndexes", text, why))
    if count is not None and completions is not None and count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        found.append(faults.invalid(f"{path}.succeededCount", count, why))
    elif count is not None and isinstance(total, int) and count > total:
        why = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        found.append(faults.invalid(f"{path}.succeededCount", count, why))
    return found


def _indexes(text: str, completions: int | None) -> int | str:
    """How many indexes a text such as `1,3-5` names, or what is wrong with it."""
    total, previous = 0, -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            return f'the fragment "{part}" violates the requirement that an index interval can have at most two parts'
        for end in ends:
            if not end.isdecimal():
                return f'cannot convert string to integer for index: "{end}"'
            if completions is not None and int(end) >= completions:
                return f'too large index: "{end}"'
        first, last = int(ends[0]), int(ends[-1])
        if first <= previous:
            return f"non-increasing order, previous: {previous}, current: {first}"
        if last < first or (len(ends) == 2 and last == first):
            return f"non-increasing order, previous: {first}, current: {last}"
        total, previous = total + last - first + 1, last
    return total


def validate_job_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new), spec_of(old)
    found: list[FieldError] = []
    elastic = after.get("completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")
    if not elastic:
        found += faults.immutable("spec.completions", after.get("completions"), before.get("completions"))
    found += faults.immutable("spec.template", _fixed(after, old), _fixed(before, old))
    for field in _IMMUTABLE:
        found += faults.immutable(f"spec.{field}", after.get(field), before.get(field))
    return found


def _fixed(spec: Mapping[str, Any], old: Object) -> Object:
    """The part of the template that may not change: all of it, unless the Job waits, suspended, for its first start."""
    template: Object = spec.get("template") or {}
    waiting = spec_of(old).get("suspend") and not status_of(old).get("startTime")
    if not waiting:
        return template
    kept = {key: value for key, value in (template.get("spec") or {}).items() if key not in _PLACEMENT}
    described = {key: value for key, value in (template.get("metadata") or {}).items() if key not in _DESCRIPTIONS}
    return {"metadata": described, "spec": kept}


_DESCRIPTIONS = ("labels", "annotations")


def validate_job_status(new: Object, old: Object) -> list[FieldError]:
    status = status_of(new)
    found: list[FieldError] = []
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        found += faults.nonnegative(f"status.{field}", status.get(field))
    if status_of(old).get("startTime") and "startTime" not in status and not spec_of(new).get("suspend"):
        found.append(faults.required("status.startTime", "startTime cannot be removed for unsuspended job"))
    return found


def validate_cron_job(cron_job: Object) -> list[FieldError]:
    spec = spec_of(cron_job)
    found: list[FieldError] = []
    name = name_of(cron_job)
    if len(name) > CRON_JOB_NAME_MAX:
        why = f"must be no more than {CRON_JOB_NAME_MAX} characters"
        found.append(faults.invalid("metadata.name", name, why))
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        found.append(faults.required("spec.schedule"))
    else:
        found += _schedule(schedule)
    if zone is not None:
        found += _time_zone(zone)
    found += faults.nonnegative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    policies = ("Allow", "Forbid", "Replace")
    found += faults.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("manualSelector"):
        found.append(faults.not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
    found += _job_spec(job, "spec.jobTemplate.spec")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found += faults.nonnegative(f"spec.{field}", spec.get(field))
    return found


def _schedule(schedule: str) -> list[FieldError]:
    if "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        return [faults.invalid("spec.schedule", schedule, why)]
    problem = cron.problem(schedule)
    return [faults.invalid("spec.schedule", schedule, problem)] if problem else []


def _time_zone(zone: str) -> list[FieldError]:
    path = "spec.timeZone"
    if not zone:
        return [faults.invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [faults.invalid(path, zone, why)]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [faults.invalid(path, zone, f"unknown time zone {zone}")]
    return []
