"""StatefulSets, DaemonSets, Jobs and CronJobs as the API server would have stored them, defaults included."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object
from tests.fakes.objects import template


def stateful_set(name: str = "web", replicas: int = 3, *, version: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": "web"}},
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "template": template(version),
            **spec,
        },
    }


def daemon_set(name: str = "web", *, version: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "revisionHistoryLimit": 10,
            "template": template(version),
            **spec,
        },
    }


def job(name: str = "work", *, uid: str = "", node: str = "", **spec: Any) -> Object:
    uid = uid or f"uid-of-{name}"
    own = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    pod_template = template(**own)
    pod_template["spec"]["restartPolicy"] = "Never"
    if node:
        pod_template["spec"]["nodeName"] = node
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default", "uid": uid},
        "spec": {
            "completions": 3,
            "parallelism": 2,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
            "template": pod_template,
            **spec,
        },
    }


def cron_job(name: str = "tick", schedule: str = "*/5 * * * *", **spec: Any) -> Object:
    pod_template = template()
    pod_template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {"completions": 1, "parallelism": 1, "template": pod_template}},
            **spec,
        },
    }


def ended(pod: Object, phase: str, code: int = 0, at: str = "2026-01-01T00:00:00Z") -> Object:
    """The pod, finished."""
    exited = {"name": "main", "state": {"terminated": {"exitCode": code, "finishedAt": at}}}
    return {**pod, "status": {"phase": phase, "containerStatuses": [exited]}}
