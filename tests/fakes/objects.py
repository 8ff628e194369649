"""Objects as the API server would have stored them, defaults included, for the tests of controllers."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object

START = "2026-01-01T00:00:00Z"


def node(name: str, *, cpu: str = "8", memory: str = "16Gi", pods: str = "110", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def template(version: str = "v1", **labels: str) -> Object:
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": f"loopkube/echo:{version}",
                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                }
            ]
        },
    }


def deployment(name: str = "web", replicas: int = 3, *, version: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "template": template(version),
            **spec,
        },
    }


def replica_set(name: str = "web", replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "127.96.0.10",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
            **spec,
        },
    }


def pod(
    name: str,
    *,
    owner: Object | None = None,
    labels: dict[str, str] | None = None,
    ip: str = "",
    ready: bool = False,
    phase: str = "",
    node: str = "",
    deleting: bool = False,
    ready_since: str = START,
    **spec: Any,
) -> Object:
    """A pod; with an address it runs, unless `phase` says otherwise."""
    metadata: Object = {
        "name": name,
        "namespace": "default",
        "labels": {"app": "web"} if labels is None else labels,
        "uid": f"uid-of-{name}",
        "creationTimestamp": START,
    }
    if owner is not None:
        metadata["ownerReferences"] = [owned_by(owner)]
    if deleting:
        metadata["deletionTimestamp"] = START
    status: Object = {"phase": phase or ("Running" if ip else "Pending")}
    if ip:
        status["podIP"] = ip
    if ready:
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": ready_since}]
    body = {**template()["spec"], **spec}
    if node:
        body["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body, "status": status}


def owned_by(owner: Object, *, controller: bool = True, blocks: bool = True) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": blocks,
    }


def namespace(name: str = "default") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def budget(**spec: Any) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }
