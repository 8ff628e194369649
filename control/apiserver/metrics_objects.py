"""The documents of the three metrics APIs, and what discovery says of them.

    metrics.k8s.io/v1beta1             nodes, pods: CPU (over a window) and memory, as metrics-server answers
    custom.metrics.k8s.io/v1beta2      http_requests_per_second of pods, services and ingresses.networking.k8s.io
    external.metrics.k8s.io/v1beta1    service_http_requests_per_second, ingress_http_requests_per_second

An external metric has one series for each Service (label `service`) or Ingress (label `ingress`) of the namespace; a
selector chooses, and who asks without one gets all. Nothing of this is stored, so it can only be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control.api.columns.cells import NAME
from control.api.kinds import INGRESS, NODE, POD, SERVICE, Kind
from control.api.objects import Object, format_time, labels_of, name_of, namespace_of
from control.api.quantity import NANO, Quantity, parse
from control.api.scheme import Column
from control.apiserver.metrics_rates import NodeUsage, PodUsage, Rate

RESOURCE, CUSTOM, EXTERNAL = "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"
GROUPS = (RESOURCE, CUSTOM, EXTERNAL)

NODE_METRICS = Kind(RESOURCE, "v1beta1", "NodeMetrics", "nodes", namespaced=False)
POD_METRICS = Kind(RESOURCE, "v1beta1", "PodMetrics", "pods")
METRIC_VALUES = Kind(CUSTOM, "v1beta2", "MetricValueList", "")
EXTERNAL_VALUES = Kind(EXTERNAL, "v1beta1", "ExternalMetricValueList", "")

REQUESTS = "http_requests_per_second"
MEASURED = (POD, SERVICE, INGRESS)
"""The kinds that have `REQUESTS` as a custom metric."""

EXTERNAL_METRICS: Mapping[str, tuple[Kind, str]] = {
    "service_http_requests_per_second": (SERVICE, "service"),
    "ingress_http_requests_per_second": (INGRESS, "ingress"),
}
"""Name -> (whose, the label that says whose)."""


def cpu(nanocores: int) -> str:
    return str(Quantity(nanocores, "decimal"))


def memory(count: int) -> str:
    return str(Quantity(count * NANO, "binary"))


def per_second(rate: float) -> str:
    """In thousandths, rounded."""
    return str(Quantity(round(rate * 1000) * (NANO // 1000), "decimal"))


def duration(seconds: float) -> str:
    """A metav1.Duration."""
    text = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return f"{text}s"


def _usage(rate: Rate) -> Object:
    return {"cpu": cpu(rate.cpu_nano), "memory": memory(rate.memory_bytes)}


def _shown(obj: Object, now: datetime) -> Object:
    shown: Object = {"name": name_of(obj), "creationTimestamp": format_time(now)}
    if namespace_of(obj):
        shown["namespace"] = namespace_of(obj)
    if labels_of(obj):
        shown["labels"] = dict(labels_of(obj))
    return shown


def pod_metrics(pod: Object, usage: PodUsage, now: datetime) -> Object:
    return {
        "kind": "PodMetrics",
        "apiVersion": POD_METRICS.api_version,
        "metadata": _shown(pod, now),
        "timestamp": format_time(usage.at),
        "window": duration(usage.window_s),
        "containers": [{"name": name, "usage": _usage(rate)} for name, rate in sorted(usage.containers.items())],
    }


def node_metrics(node: Object, usage: NodeUsage, now: datetime) -> Object:
    return {
        "kind": "NodeMetrics",
        "apiVersion": NODE_METRICS.api_version,
        "metadata": _shown(node, now),
        "timestamp": format_time(usage.at),
        "window": duration(usage.window_s),
        "usage": _usage(usage.total),
    }


def listed(kind: Kind, items: Sequence[Object]) -> Object:
    return {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": {}, "items": list(items)}


def metric_values(
    metric: str, kind: Kind, objects: Iterable[tuple[Object, float]], at: datetime, window_s: float
) -> Object:
    """custom.metrics.k8s.io's MetricValueList: an item for each object that is described."""
    items = [
        {
            "describedObject": {
                "kind": kind.kind,
                "namespace": namespace_of(obj),
                "name": name_of(obj),
                "apiVersion": f"{kind.group}/{kind.version}",  # "/v1" for the core group, as the adapters say it
            },
            "metric": {"name": metric, "selector": None},
            "timestamp": format_time(at),
            "windowSeconds": max(1, round(window_s)),
            "value": per_second(rate),
        }
        for obj, rate in objects
    ]
    return {"kind": "MetricValueList", "apiVersion": METRIC_VALUES.api_version, "metadata": {}, "items": items}


def external_values(
    metric: str, series: Iterable[tuple[Mapping[str, str], float]], at: datetime, window_s: float
) -> Object:
    items = [
        {
            "metricName": metric,
            "metricLabels": dict(labels),
            "timestamp": format_time(at),
            "window": max(1, round(window_s)),
            "value": per_second(rate),
        }
        for labels, rate in series
    ]
    made = {"kind": "ExternalMetricValueList", "apiVersion": EXTERNAL_VALUES.api_version}
    return {**made, "metadata": {}, "items": items}


# --- tables -------------------------------------------------------------------------------------------------------


def _of_container(resource: str) -> Column:
    def cell(obj: Object, now: datetime) -> Any:
        if "usage" in obj:
            return obj["usage"][resource]
        parts = [each["usage"][resource] for each in obj["containers"]]
        return parts[0] if len(parts) == 1 else _sum(parts)

    return Column(resource, cell)


def _sum(texts: Iterable[str]) -> str:
    amounts = [parse(text) for text in texts]
    return str(Quantity(sum(each.nano for each in amounts), amounts[0].family)) if amounts else "0"


def _window(obj: Object, now: datetime) -> Any:
    return obj["window"]


COLUMNS = (NAME, _of_container("cpu"), _of_container("memory"), Column("Window", _window))


# --- discovery ----------------------------------------------------------------------------------------------------


def resources_of(group: str) -> list[Object]:
    """The rows of a group's APIResourceList."""
    if group == RESOURCE:
        return [_row(kind.plural, kind, ["get", "list"]) for kind in (NODE_METRICS, POD_METRICS)]
    if group == CUSTOM:
        return [_row(f"{kind.resource}/{REQUESTS}", METRIC_VALUES, ["get"]) for kind in MEASURED]
    return [_row(name, EXTERNAL_VALUES, ["get"]) for name in EXTERNAL_METRICS]


def _row(name: str, kind: Kind, verbs: list[str]) -> Object:
    namespaced = kind is not NODE_METRICS
    return {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind.kind, "verbs": verbs}


def measured_kind(plural: str) -> Kind | None:
    """The kind that a custom metric's path names by its group resource."""
    return next((kind for kind in MEASURED if kind.resource == plural), None)


OBJECTS: Mapping[Kind, Kind] = {NODE_METRICS: NODE, POD_METRICS: POD}
"""Whose metrics."""


def version_of(group: str) -> str:
    return {RESOURCE: NODE_METRICS, CUSTOM: METRIC_VALUES, EXTERNAL: EXTERNAL_VALUES}[group].version
