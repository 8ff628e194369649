"""Defaults of the batch group (pkg/apis/batch/v1/defaults.go).

A CronJob's template gets the defaults of its pods but not those of its Job: they are set when the Job is made.
"""

from __future__ import annotations

from control.api.defaults.pod import default_template
from control.api.objects import Object, labels_of

BACKOFF_LIMIT = 6
NO_BACKOFF_LIMIT = 2**31 - 1


def default_job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", NO_BACKOFF_LIMIT if "backoffLimitPerIndex" in spec else BACKOFF_LIMIT)
    labels = labels_of(spec.get("template") or {})
    if labels and not labels_of(job):
        job.setdefault("metadata", {})["labels"] = dict(labels)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    failure_policy = spec.get("podFailurePolicy")
    spec.setdefault("podReplacementPolicy", "Failed" if failure_policy is not None else "TerminatingOrFailed")
    for rule in (failure_policy or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    default_template(spec)


def default_cron_job(cron_job: Object) -> None:
    spec = cron_job.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    default_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))
