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
from control.api.validation.job_policies import validate_failure_policy, validate_success_policy
from control.api.validation.meta import validate_label_selector
from control.api.validation.pod import validate_template

PARALLELISM_INDEXED_MAX = 100_000
FAILED_INDEXES_MAX = 100_000
COMPLETIONS_MANY = 100_000  # above it, with backoffLimitPerIndex, at most MANY_LIMIT may run or fail
MANY_LIMIT = 10_000
MANAGED_BY_MAX = 63
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
    found += _completion(spec, path)
    if "managedBy" in spec:
        name = spec["managedBy"]
        found += faults.each_invalid(f"{path}.managedBy", name, names.prefixed_name(name))
        if len(name) > MANAGED_BY_MAX:
            found.append(faults.too_long(f"{path}.managedBy", MANAGED_BY_MAX))
    found += validate_failure_policy(spec.get("podFailurePolicy"), spec, f"{path}.podFailurePolicy")
    found += validate_success_policy(spec.get("successPolicy"), spec, f"{path}.successPolicy")
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


def _completion(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """How many pods, and what may be limited by index. Many completions are dear where failures are kept by index."""
    mode, completions, parallelism = spec.get("completionMode"), spec.get("completions"), spec.get("parallelism") or 0
    per_index, failed_max = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    found = faults.one_of(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"), optional=True)
    if failed_max is not None and per_index is None:
        found.append(faults.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if mode != "Indexed":
        for field, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", failed_max)):
            if value is not None:
                found.append(faults.invalid(f"{path}.{field}", value, "requires indexed completion mode"))
        return found
    if completions is None:
        found.append(faults.required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism > PARALLELISM_INDEXED_MAX:
        why = f"must be less than or equal to {PARALLELISM_INDEXED_MAX} when completion mode is Indexed"
        found.append(faults.invalid(f"{path}.parallelism", parallelism, why))
    if failed_max is not None and completions is not None and failed_max > completions:
        found.append(
            faults.invalid(f"{path}.maxFailedIndexes", failed_max, "must be less than or equal to completions")
        )
    if failed_max is not None and failed_max > FAILED_INDEXES_MAX:
        why = f"must be less than or equal to {FAILED_INDEXES_MAX}"
        found.append(faults.invalid(f"{path}.maxFailedIndexes", failed_max, why))
    if per_index is not None and completions is not None and completions > COMPLETIONS_MANY:
        if failed_max is None:
            why = f"must be specified when completions is above {COMPLETIONS_MANY}"
            found.append(faults.required(f"{path}.maxFailedIndexes", why))
        why = (
            f"must be less than or equal to {MANY_LIMIT} when completions are above {COMPLETIONS_MANY} "
            "and used with backoff limit per index"
        )
        for field, value in (("parallelism", parallelism), ("maxFailedIndexes", failed_max or 0)):
            if value > MANY_LIMIT:
                found.append(faults.invalid(f"{path}.{field}", value, why))
    return found


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
