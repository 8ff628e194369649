"""Small valid objects of many kinds, as a client would write them; each call makes a new one."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object


def metadata(name: str = "a", namespace: str = "default", **more: Any) -> Object:
    own: Object = {"name": name, **more}
    if namespace:
        own["namespace"] = namespace
    return own


def container(name: str = "c", image: str = "nginx:1.29", **more: Any) -> Object:
    return {"name": name, "image": image, **more}


def pod_spec(**more: Any) -> Object:
    return {"containers": [container()], **more}


def pod(spec: Object | None = None, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(**more), "spec": spec or pod_spec()}


def template(spec: Object | None = None) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec or pod_spec()}


def workload(kind: str, api_version: str = "apps/v1", **spec: Any) -> Object:
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet whose selector selects its template."""
    body: Object = {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(), "spec": body}


def deployment(**spec: Any) -> Object:
    return workload("Deployment", **spec)


def service(**spec: Any) -> Object:
    body: Object = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(), "spec": body}


def ingress(path: Object | None = None, host: str = "a.example.com", **spec: Any) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    entry = {"path": "/", "pathType": "Prefix", "backend": backend, **(path or {})}
    body: Object = {"rules": [{"host": host, "http": {"paths": [entry]}}], **spec}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata(), "spec": body}


def job(pod_spec_: Object | None = None, **spec: Any) -> Object:
    own = pod_spec_ or pod_spec(restartPolicy="Never")
    body: Object = {"template": {"spec": own}, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(uid="u-1"), "spec": body}


def cron_job(schedule: str = "*/5 * * * *", **spec: Any) -> Object:
    body: Object = {"schedule": schedule, "jobTemplate": {"spec": job()["spec"]}, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata(), "spec": body}
