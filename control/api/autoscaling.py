"""HorizontalPodAutoscalers in two versions: `autoscaling/v2` is stored, `autoscaling/v1` is the older way to say it.

v1 has a field for one metric only, the CPU utilization. Everything else that v2 can say travels in four annotations, as
JSON in v1's own (older) words, so that a client of v1 that reads an object and writes it back loses nothing. Reading
the annotations takes them away: v2 has fields for what they say. An annotation that is no JSON is dropped, as
Kubernetes drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from control.api.kinds import HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER_V1
from control.api.objects import Object, annotations_of, spec_of, status_of

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
ANNOTATIONS = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)

Renamed = tuple[tuple[str, str], ...]
SPEC_FIELDS: Mapping[str, Renamed] = {
    "object": (
        ("describedObject", "target"), ("metric.name", "metricName"), ("metric.selector", "selector"),
        ("target.value", "targetValue"), ("target.averageValue", "averageValue"),
    ),
    "pods": (
        ("metric.name", "metricName"), ("metric.selector", "selector"), ("target.averageValue", "targetAverageValue"),
    ),
    "resource": (
        ("name", "name"), ("target.averageUtilization", "targetAverageUtilization"),
        ("target.averageValue", "targetAverageValue"),
    ),
    "containerResource": (
        ("name", "name"), ("container", "container"), ("target.averageUtilization", "targetAverageUtilization"),
        ("target.averageValue", "targetAverageValue"),
    ),
    "external": (
        ("metric.name", "metricName"), ("metric.selector", "metricSelector"), ("target.value", "targetValue"),
        ("target.averageValue", "targetAverageValue"),
    ),
}  # fmt: skip
"""By source: how v2 (a path) and v1 (a field) call the same thing in a metric of the spec."""

STATUS_FIELDS: Mapping[str, Renamed] = {
    "object": (
        ("describedObject", "target"), ("metric.name", "metricName"), ("metric.selector", "selector"),
        ("current.value", "currentValue"), ("current.averageValue", "averageValue"),
    ),
    "pods": (
        ("metric.name", "metricName"), ("metric.selector", "selector"), ("current.averageValue", "currentAverageValue"),
    ),
    "resource": (
        ("name", "name"), ("current.averageUtilization", "currentAverageUtilization"),
        ("current.averageValue", "currentAverageValue"),
    ),
    "containerResource": (
        ("name", "name"), ("container", "container"), ("current.averageUtilization", "currentAverageUtilization"),
        ("current.averageValue", "currentAverageValue"),
    ),
    "external": (
        ("metric.name", "metricName"), ("metric.selector", "metricSelector"), ("current.value", "currentValue"),
        ("current.averageValue", "currentAverageValue"),
    ),
}  # fmt: skip
"""The same in a metric of the status."""


def source_of(metric: Mapping[str, Any]) -> str:
    """The field that a metric's type names: "Resource" -> "resource"."""
    kind = str(metric.get("type") or "")
    return kind[:1].lower() + kind[1:]


def is_cpu_utilization(metric: Mapping[str, Any]) -> bool:
    """Whether v1 has a field for a metric of the spec."""
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and "averageUtilization" in target


def to_v1(hpa: Object) -> Object:
    """An autoscaler of v2 as clients of v1 see it."""
    spec, status = spec_of(hpa), status_of(hpa)
    kept = {name: value for name, value in spec.items() if name not in ("metrics", "behavior")}
    others = []
    for metric in spec.get("metrics") or ():
        if not is_cpu_utilization(metric):
            others.append(metric)
        elif "targetCPUUtilizationPercentage" not in kept:
            kept["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
    annotations = dict(annotations_of(hpa))
    _write(annotations, METRICS, _renamed(others, SPEC_FIELDS))
    _write(annotations, BEHAVIOR, spec.get("behavior"))
    _write(annotations, CURRENT_METRICS, _renamed(status.get("currentMetrics") or (), STATUS_FIELDS))
    _write(annotations, CONDITIONS, status.get("conditions"))
    shown = {name: value for name, value in status.items() if name not in ("currentMetrics", "conditions")}
    shown.setdefault("currentReplicas", 0)
    shown.setdefault("desiredReplicas", 0)
    cpu = _current_cpu(status.get("currentMetrics") or ())
    if cpu is not None:
        shown["currentCPUUtilizationPercentage"] = cpu
    made = {**hpa, "apiVersion": HORIZONTAL_POD_AUTOSCALER_V1.api_version, "spec": kept, "status": shown}
    return _annotated(made, annotations)


def from_v1(hpa: Object) -> Object:
    """What is stored of an autoscaler that came in v1."""
    spec, status = dict(spec_of(hpa)), dict(status_of(hpa))
    annotations = dict(annotations_of(hpa))
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [_restored(each, SPEC_FIELDS, "target") for each in _read(annotations, METRICS, list)]
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    behavior = _read(annotations, BEHAVIOR, dict)
    if behavior:
        spec["behavior"] = behavior
    current = status.pop("currentCPUUtilizationPercentage", None)
    measured = [_restored(each, STATUS_FIELDS, "current") for each in _read(annotations, CURRENT_METRICS, list)]
    if not measured and current is not None:
        measured = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}]
    if measured:
        status["currentMetrics"] = measured
    conditions = _read(annotations, CONDITIONS, list)
    if conditions:
        status["conditions"] = conditions
    for name in ANNOTATIONS:
        annotations.pop(name, None)
    made = {**hpa, "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version, "spec": spec, "status": status}
    return _annotated(made, annotations)


def _annotated(hpa: Object, annotations: Mapping[str, str]) -> Object:
    metadata = {name: value for name, value in (hpa.get("metadata") or {}).items() if name != "annotations"}
    return {**hpa, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}


def _write(annotations: dict[str, str], name: str, value: Any) -> None:
    if value:
        annotations[name] = orjson.dumps(value).decode()


def _read(annotations: Mapping[str, str], name: str, shape: type[Any]) -> Any:
    try:
        found = orjson.loads(annotations[name]) if name in annotations else None
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, shape) else shape()


def _current_cpu(metrics: Iterable[Mapping[str, Any]]) -> int | None:
    for metric in metrics:
        resource = metric.get("resource") or {}
        found = (resource.get("current") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and resource.get("name") == "cpu" and found is not None:
            return int(found)
    return None


def _renamed(metrics: Iterable[Mapping[str, Any]], table: Mapping[str, Renamed]) -> list[Object]:
    """Metrics of v2 in v1's words."""
    return [_in_v1(metric, table) for metric in metrics]


def _in_v1(metric: Mapping[str, Any], table: Mapping[str, Renamed]) -> Object:
    source = source_of(metric)
    said = metric.get(source)
    if source not in table or said is None:
        return {"type": metric.get("type", "")}
    old = {field: value for path, field in table[source] if (value := _at(said, path)) is not None}
    return {"type": metric["type"], source: old}


def _at(value: Mapping[str, Any], path: str) -> Any:
    found: Any = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _restored(metric: Any, table: Mapping[str, Renamed], values: str) -> Object:
    """A metric of v1 in v2's words; the target's type follows from which of its values is set."""
    if not isinstance(metric, Mapping):
        return {}
    source = source_of(metric)
    said = metric.get(source)
    if source not in table or not isinstance(said, Mapping):
        return {"type": metric.get("type", "")}
    made: Object = {}
    for path, field in table[source]:
        if field in said:
            *above, last = path.split(".")
            place = made
            for part in above:
                place = place.setdefault(part, {})
            place[last] = said[field]
    if values == "target":
        target = made.setdefault("target", {})
        target["type"] = next((name for name, field in _TYPES if field in target), "")
    return {"type": metric["type"], source: made}


_TYPES = (("Utilization", "averageUtilization"), ("AverageValue", "averageValue"), ("Value", "value"))
