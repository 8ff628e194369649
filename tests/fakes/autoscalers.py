"""HorizontalPodAutoscalers and their metrics, as users write them."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object


def target(**value: Any) -> Object:
    """`target(averageUtilization=50)`: the type follows from the field."""
    kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
    return {"type": kinds[next(iter(value))], **value}


def resource(name: str = "cpu", **value: Any) -> Object:
    return {"type": "Resource", "resource": {"name": name, "target": target(**value)}}


def container_resource(container: str, name: str = "cpu", **value: Any) -> Object:
    source = {"name": name, "container": container, "target": target(**value)}
    return {"type": "ContainerResource", "containerResource": source}


def pods(metric: str, **value: Any) -> Object:
    return {"type": "Pods", "pods": {"metric": {"name": metric}, "target": target(**value)}}


def described(metric: str, kind: str = "Service", name: str = "web", **value: Any) -> Object:
    reference = {"apiVersion": "v1", "kind": kind, "name": name}
    source = {"describedObject": reference, "metric": {"name": metric}, "target": target(**value)}
    return {"type": "Object", "object": source}


def external(metric: str, labels: dict[str, str] | None = None, **value: Any) -> Object:
    identifier: Object = {"name": metric}
    if labels:
        identifier["selector"] = {"matchLabels": labels}
    return {"type": "External", "external": {"metric": identifier, "target": target(**value)}}


def rules(*policies: tuple[str, int, int], select: str = "Max", window_s: int = 0, **more: Any) -> Object:
    """Scaling rules; a policy is (type, value, periodSeconds)."""
    listed = [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies]
    return {"policies": listed, "selectPolicy": select, "stabilizationWindowSeconds": window_s, **more}


def autoscaler(
    name: str = "web",
    *metrics: Object,
    minimum: int = 1,
    maximum: int = 10,
    kind: str = "Deployment",
    behavior: Object | None = None,
) -> Object:
    """Of the workload with the same name."""
    api_version = "v1" if kind == "ReplicationController" else "apps/v1"
    spec: Object = {
        "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name},
        "minReplicas": minimum,
        "maxReplicas": maximum,
        "metrics": list(metrics) or [resource(averageUtilization=50)],
    }
    if behavior is not None:
        spec["behavior"] = behavior
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
