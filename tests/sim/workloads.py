"""Random workloads, each a valid manifest of its kind as a user would write it, small and with every policy."""

from __future__ import annotations

from random import Random
from typing import Any

from control.api.objects import Object

IMAGES = ("app:v1", "app:v2", "app:v3")
FIRST = IMAGES[0]
BROKEN = "app:broken"
"""Pods with it never become ready."""


def template(app: str, image: str = FIRST, **spec: Any) -> Object:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "main", "image": image}], **spec}}


def _object(api_version: str, kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _selector(app: str) -> Object:
    return {"matchLabels": {"app": app}}


def deployment(name: str, rng: Random) -> Object:
    spec: Object = {"replicas": rng.randint(0, 4), "selector": _selector(name), "template": template(name)}
    bounds: tuple[Any, ...] = (0, 1, 2, "25%", "50%", "100%")
    surge, unavailable = rng.choice(bounds), rng.choice(bounds)
    if not surge and not unavailable:
        surge = 1
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    recreate = rng.random() < 0.2
    spec["strategy"] = {"type": "Recreate"} if recreate else {"type": "RollingUpdate", "rollingUpdate": rolling}
    spec["minReadySeconds"] = rng.choice((0, 0, 2))
    spec["progressDeadlineSeconds"] = rng.choice((10, 600))
    spec["revisionHistoryLimit"] = rng.choice((0, 1, 10))
    return _object("apps/v1", "Deployment", name, spec)


def stateful_set(name: str, rng: Random) -> Object:
    rolling: Object = {"partition": rng.choice((0, 0, 1, 2))}
    if rng.random() < 0.4:
        rolling["maxUnavailable"] = rng.choice((1, 2, "50%"))
    spec: Object = {
        "replicas": rng.randint(0, 3),
        "serviceName": name,
        "selector": _selector(name),
        "template": template(name),
        "podManagementPolicy": rng.choice(("OrderedReady", "Parallel")),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "minReadySeconds": rng.choice((0, 0, 2)),
        "ordinals": {"start": rng.choice((0, 0, 3))},
    }
    if rng.random() < 0.3:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    return _object("apps/v1", "StatefulSet", name, spec)


def daemon_set(name: str, rng: Random) -> Object:
    rolling = rng.choice((
        {"maxUnavailable": 1}, {"maxUnavailable": "50%"}, {"maxUnavailable": 0, "maxSurge": 1},
        {"maxUnavailable": 0, "maxSurge": "50%"},
    ))  # fmt: skip
    spec: Object = {
        "selector": _selector(name),
        "template": template(name),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "minReadySeconds": rng.choice((0, 0, 2)),
    }
    if rng.random() < 0.3:
        spec["template"]["spec"]["nodeSelector"] = {"pool": "a"}
    return _object("apps/v1", "DaemonSet", name, spec)


def replica_set(name: str, rng: Random) -> Object:
    spec = {"replicas": rng.randint(0, 4), "selector": _selector(name), "template": template(name)}
    return _object("apps/v1", "ReplicaSet", name, spec)


def replication_controller(name: str, rng: Random) -> Object:
    spec = {"replicas": rng.randint(0, 4), "selector": {"app": name}, "template": template(name)}
    return _object("v1", "ReplicationController", name, spec)


def job_spec(name: str, rng: Random) -> Object:
    spec: Object = {
        "completions": rng.randint(1, 4),
        "parallelism": rng.randint(1, 3),
        "backoffLimit": rng.choice((0, 2, 6)),
        "template": template(name, restartPolicy="Never"),
    }
    if rng.random() < 0.5:
        spec["completionMode"] = "Indexed"
        if rng.random() < 0.4:
            spec["backoffLimitPerIndex"] = rng.choice((0, 1))
            if rng.random() < 0.5:
                spec["maxFailedIndexes"] = 1
    if rng.random() < 0.3:
        spec["podReplacementPolicy"] = "Failed"
    return spec


def job(name: str, rng: Random) -> Object:
    spec = job_spec(name, rng)
    if rng.random() < 0.3:
        spec["ttlSecondsAfterFinished"] = rng.choice((0, 5, 60))
    if rng.random() < 0.2:
        spec["suspend"] = True
    if rng.random() < 0.2:
        spec["activeDeadlineSeconds"] = 30
    return _object("batch/v1", "Job", name, spec)


def cron_job(name: str, rng: Random) -> Object:
    spec: Object = {
        "schedule": rng.choice(("* * * * *", "*/2 * * * *")),
        "concurrencyPolicy": rng.choice(("Allow", "Forbid", "Forbid", "Replace")),
        "successfulJobsHistoryLimit": rng.choice((0, 1, 3)),
        "failedJobsHistoryLimit": rng.choice((0, 1)),
        "jobTemplate": {"spec": job_spec(name, rng)},
    }
    if rng.random() < 0.3:
        spec["startingDeadlineSeconds"] = rng.choice((30, 300))
    if rng.random() < 0.3:
        spec["timeZone"] = "Europe/Berlin"
    return _object("batch/v1", "CronJob", name, spec)


def service(name: str) -> Object:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return _object("v1", "Service", name, spec)


def budget(name: str, rng: Random) -> Object:
    limit = rng.choice(({"minAvailable": 1}, {"minAvailable": "50%"}, {"maxUnavailable": 1}))
    return _object("policy/v1", "PodDisruptionBudget", name, {"selector": _selector(name), **limit})


def node(name: str, pool: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "pool": pool}},
    }


NODE_STATUS: Object = {
    "status": {
        "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
}
