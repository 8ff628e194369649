"""The autoscaling group (pkg/apis/autoscaling/validation).

A metric names its source by `type` and brings that source alone. What may be compared with what depends on the source:
a resource has a utilization or an average value, pods an average value, objects and external metrics a value of their
own or one a pod. v1 is judged by what it means in v2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from control.api import faults, names
from control.api.autoscaling import from_v1, source_of
from control.api.objects import Object, spec_of, status_of
from control.api.quantity import parse
from control.api.status import FieldError

WINDOW_MAX_S = 3600  # MaxStabilizationWindowSeconds
PERIOD_MAX_S = 1800  # MaxPeriodSeconds
TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
SOURCES = ("object", "external", "pods", "resource", "containerResource")  # in the order in which they are looked for
CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")

Said = Mapping[str, Any]


def validate_autoscaler(hpa: Object) -> list[FieldError]:
    spec = spec_of(hpa)
    metrics = spec.get("metrics") or ()
    minimum, maximum = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    found = []
    if minimum is not None and minimum < 0:
        found.append(faults.invalid("spec.minReplicas", minimum, "must be greater than or equal to 0"))
    if maximum < 1:
        found.append(faults.invalid("spec.maxReplicas", maximum, "must be greater than 0"))
    if minimum is not None and maximum < minimum:
        found.append(faults.invalid("spec.maxReplicas", maximum, "must be greater than or equal to `minReplicas`"))
    found += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(metrics):
        found += _metric(metric, f"spec.metrics[{index}]")
    if minimum == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(faults.forbidden("spec.metrics", why))
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if behavior.get(direction) is not None:
            found += _rules(behavior[direction], f"spec.behavior.{direction}")
    return found


def validate_autoscaler_v1(hpa: Object) -> list[FieldError]:
    return validate_autoscaler(from_v1(hpa))


def validate_autoscaler_status(new: Object, _old: Object) -> list[FieldError]:
    status = status_of(new)
    found = faults.nonnegative("status.currentReplicas", status.get("currentReplicas"))
    return found + faults.nonnegative("status.desiredReplicas", status.get("desiredReplicas"))


def _reference(reference: Said, path: str) -> list[FieldError]:
    found = []
    for field in ("kind", "name"):
        value = reference.get(field)
        if value:
            found += faults.each_invalid(f"{path}.{field}", value, names.path_segment(value))
        else:
            found.append(faults.required(f"{path}.{field}"))
    return found


# --- metrics ------------------------------------------------------------------------------------------------------


def _metric(metric: Said, path: str) -> list[FieldError]:
    kind = metric.get("type") or ""
    found = [] if kind else [faults.required(f"{path}.type", "must specify a metric source type")]
    if kind not in TYPES:
        found.append(faults.not_supported(f"{path}.type", kind, TYPES))
    present = [source for source in SOURCES if metric.get(source) is not None]
    if present:
        found += _CHECKS[present[0]](metric[present[0]], f"{path}.{present[0]}")
    expected = source_of(metric)
    if kind in TYPES and expected not in present:
        why = "must populate information for the given metric source"
        found.append(faults.required(f"{path}.{expected}", why))
    if len(present) != 1:
        why = "must populate the given metric source only"
        found += [faults.forbidden(f"{path}.{source}", why) for source in present if source != expected]
    return found


def _identifier(metric: Said, path: str) -> list[FieldError]:
    name = metric.get("name")
    if not name:
        return [faults.required(f"{path}.name", "must specify a metric name")]
    return faults.each_invalid(f"{path}.name", name, names.path_segment(name))


def _target(target: Said, path: str) -> list[FieldError]:
    kind = target.get("type") or ""
    found = [] if kind else [faults.required(f"{path}.type", "must specify a metric target type")]
    if kind not in ("Utilization", "Value", "AverageValue"):
        found.append(faults.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    given = [(field, str(target[field])) for field in ("value", "averageValue") if target.get(field) is not None]
    found += [faults.invalid(f"{path}.{field}", text, "must be positive") for field, text in given if _sign(text) <= 0]
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        found.append(faults.invalid(f"{path}.averageUtilization", percent, "must be greater than 0"))
    return found


def _sign(text: str) -> int:
    return parse(text).nano


def _common(source: Said, path: str) -> list[FieldError]:
    """What metrics with a name of their own share."""
    found = _identifier(source.get("metric") or {}, f"{path}.metric")
    return found + _target(source.get("target") or {}, f"{path}.target")


def _object(source: Said, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    found = _reference(source.get("describedObject") or {}, f"{path}.describedObject") + _common(source, path)
    if target.get("value") is None and target.get("averageValue") is None:
        found.append(faults.required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return found


def _external(source: Said, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    found = _common(source, path)
    given = [field for field in ("value", "averageValue") if target.get(field) is not None]
    if not given:
        why = "must set either a target value for metric or a per-pod target"
        found.append(faults.required(f"{path}.target.averageValue", why))
    if len(given) == 2:
        why = "may not set both a target value for metric and a per-pod target"
        found.append(faults.forbidden(f"{path}.target.value", why))
    return found


def _pods(source: Said, path: str) -> list[FieldError]:
    found = _common(source, path)
    if (source.get("target") or {}).get("averageValue") is None:
        found.append(faults.required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return found


def _resource(source: Said, path: str) -> list[FieldError]:
    found = [] if source.get("name") else [faults.required(f"{path}.name", "must specify a resource name")]
    return found + _usage_target(source.get("target") or {}, f"{path}.target")


def _container_resource(source: Said, path: str) -> list[FieldError]:
    name, container = source.get("name"), source.get("container")
    found = []
    if not name:
        found.append(faults.required(f"{path}.name", "must specify a resource name"))
    elif name not in CONTAINER_RESOURCES and "/" not in name and not name.startswith("hugepages-"):
        found.append(faults.invalid(f"{path}.name", name, "must be a standard resource for containers"))
    if not container:
        found.append(faults.required(f"{path}.container", "must specify a container"))
    else:
        found += faults.each_invalid(f"{path}.container", container, names.dns_label(container))
    return found + _usage_target(source.get("target") or {}, f"{path}.target")


def _usage_target(target: Said, path: str) -> list[FieldError]:
    found = _target(target, path)
    given = [field for field in ("averageUtilization", "averageValue") if target.get(field) is not None]
    if not given:
        why = "must set either a target raw value or a target utilization"
        found.append(faults.required(f"{path}.averageUtilization", why))
    if len(given) == 2:
        why = "may not set both a target raw value and a target utilization"
        found.append(faults.forbidden(f"{path}.averageValue", why))
    return found


_CHECKS: Mapping[str, Callable[[Said, str], list[FieldError]]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}


# --- behaviour ----------------------------------------------------------------------------------------------------


def _rules(rules: Said, path: str) -> list[FieldError]:
    found = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        why = "must be greater than or equal to zero"
        found.append(faults.invalid(f"{path}.stabilizationWindowSeconds", window, why))
    if window is not None and window > WINDOW_MAX_S:
        why = f"must be less than or equal to {WINDOW_MAX_S}"
        found.append(faults.invalid(f"{path}.stabilizationWindowSeconds", window, why))
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Disabled", "Max", "Min"):
        found.append(faults.not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min")))
    policies = rules.get("policies") or ()
    if not policies:
        found.append(faults.required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        found += _policy(policy, f"{path}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and _sign(str(tolerance)) < 0:
        found.append(faults.invalid(f"{path}.tolerance", str(tolerance), "must be greater than or equal to 0"))
    return found


def _policy(policy: Said, path: str) -> list[FieldError]:
    kind, value, period = policy.get("type") or "", policy.get("value") or 0, policy.get("periodSeconds") or 0
    found = []
    if kind not in ("Pods", "Percent"):
        found.append(faults.not_supported(f"{path}.type", kind, ("Percent", "Pods")))
    if value <= 0:
        found.append(faults.invalid(f"{path}.value", value, "must be greater than zero"))
    if period <= 0:
        found.append(faults.invalid(f"{path}.periodSeconds", period, "must be greater than zero"))
    if period > PERIOD_MAX_S:
        why = f"must be less than or equal to {PERIOD_MAX_S}"
        found.append(faults.invalid(f"{path}.periodSeconds", period, why))
    return found
