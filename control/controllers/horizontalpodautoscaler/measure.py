"""One metric of the spec, evaluated: how many replicas it asks for, and what the status says of it.

A metric that cannot be used is told by an event and, if it decides, by the condition ScalingActive; both carry
Kubernetes' chain of causes, from "failed to get cpu utilization" down to what the metrics API answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.api.objects import Object, namespace_of
from control.api.quantity import NANO, Quantity, parse
from control.controllers.horizontalpodautoscaler.readings import (
    Answers,
    Unreadable,
    external_value,
    object_value,
    path_of,
    pod_samples,
    resource_samples,
)
from control.controllers.horizontalpodautoscaler.replicas import (
    Proposal,
    Tolerances,
    by_share,
    by_usage,
    by_utilization,
    by_value,
)
from control.controllers.horizontalpodautoscaler.target import Scale
from control.controllers.horizontalpodautoscaler.tuning import Tuning

Metric = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """`name` is the metric in the words of SuccessfulRescale's reason."""

    replicas: int
    name: str
    status: Object


@dataclass(frozen=True, slots=True)
class Failed:
    """`reason` is the event's and the condition's, `cause` their text, `chain` what the summary of all metrics says."""

    reason: str
    cause: str
    chain: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What all metrics of an object are evaluated in."""

    hpa: Object
    scale: Scale
    pods: Sequence[Object]
    answers: Answers
    now: datetime
    tuning: Tuning
    tolerances: Tolerances

    def path(self, metric: Metric) -> str:
        return path_of(metric, namespace_of(self.hpa), self.scale.selector_text)


def tolerances_of(behavior: Mapping[str, Any] | None, tuning: Tuning) -> Tolerances:
    """The object's own, or the cluster's (KEP-4951)."""

    def own(direction: str) -> float:
        text = ((behavior or {}).get(direction) or {}).get("tolerance")
        return tuning.tolerance if text is None else parse(str(text)).nano / NANO

    return Tolerances(own("scaleDown"), own("scaleUp"))


def quantity(milli: int) -> str:
    return str(Quantity(milli * NANO // 1000, "decimal"))


def milli_of(text: object) -> int:
    return parse(str(text)).milli


def measure(metric: Metric, situation: Situation) -> Measured | Failed:
    match metric.get("type"):
        case "Resource":
            return _resource(metric["resource"], metric, situation)
        case "ContainerResource":
            return _resource(metric["containerResource"], metric, situation)
        case "Pods":
            return _pods(metric["pods"], metric, situation)
        case "Object":
            return _object(metric["object"], metric, situation)
        case "External":
            return _external(metric["external"], metric, situation)
        case other:
            text = f'unknown metric source type "{other}"'
            return Failed("InvalidMetricSourceType", text, text)


def _resource(source: Metric, metric: Metric, at: Situation) -> Measured | Failed:
    name, container, target = source["name"], source.get("container") or "", source["target"]
    field = "containerResource" if container else "resource"
    wants_usage = target.get("averageValue") is not None
    try:
        try:
            samples = resource_samples(at.answers, at.path(metric), name, container)
        except Unreadable as error:
            raise Unreadable(f"unable to get metrics for resource {name}: {error}") from None
        common = (at.scale.replicas, at.tolerances, at.now, at.tuning)
        if wants_usage:
            found = by_usage(at.pods, samples, name, milli_of(target["averageValue"]), *common)
        else:
            percent = target["averageUtilization"]
            found = by_utilization(at.pods, samples, name, container, percent, *common)
    except Unreadable as error:
        cause = f"failed to get {name} {'usage' if wants_usage else 'utilization'}: {error}"
        whose = f"{container} container" if container else f"{name} resource"
        reason = f"FailedGet{'Container' if container else ''}ResourceMetric"
        return Failed(reason, cause, f"failed to get {whose} metric value: {cause}")
    current: Object = {"averageValue": quantity(found.average)}
    if found.percent is not None:
        current["averageUtilization"] = found.percent
    status: Object = {"name": name, "current": current}
    if container:
        status["container"] = container
    kind = f"{name} container resource" if container and not wants_usage else f"{name} resource"
    told = kind if wants_usage else f"{kind} utilization (percentage of request)"
    return Measured(found.replicas, told, {"type": metric["type"], field: status})


def _pods(source: Metric, metric: Metric, at: Situation) -> Measured | Failed:
    name = source["metric"]["name"]
    try:
        try:
            samples = pod_samples(at.answers, at.path(metric))
        except Unreadable as error:
            raise Unreadable(f"unable to get metric {name}: {error}") from None
        target = milli_of(source["target"]["averageValue"])
        found = by_usage(at.pods, samples, "", target, at.scale.replicas, at.tolerances, at.now, at.tuning)
    except Unreadable as error:
        return Failed("FailedGetPodsMetric", str(error), f"failed to get pods metric value: {error}")
    status = {"metric": dict(source["metric"]), "current": {"averageValue": quantity(found.average)}}
    return Measured(found.replicas, f"pods metric {name}", {"type": "Pods", "pods": status})


def _object(source: Metric, metric: Metric, at: Situation) -> Measured | Failed:
    name, reference, target = source["metric"]["name"], source["describedObject"], source["target"]
    status: Object = {"metric": dict(source["metric"]), "describedObject": dict(reference)}
    try:
        try:
            value = object_value(at.answers, at.path(metric))
        except Unreadable as error:
            where = f"{reference['kind']} {namespace_of(at.hpa)}/{reference['name']}"
            raise Unreadable(f"unable to get metric {name}: {error} on {where}") from None
        found = _of_a_whole(value, target, at)
    except Unreadable as error:
        chain = str(error) if _has_value(target) else f"failed to get {name} object metric: {error}"
        return Failed("FailedGetObjectMetric", str(error), f"failed to get object metric value: {chain}")
    status["current"] = _current(found, target)
    told = f"{reference['kind']} metric {name}" if _has_value(target) else _external_name(source["metric"])
    return Measured(found.replicas, told, {"type": "Object", "object": status})


def _external(source: Metric, metric: Metric, at: Situation) -> Measured | Failed:
    name, target = source["metric"]["name"], source["target"]
    try:
        try:
            value = external_value(at.answers, at.path(metric))
        except Unreadable as error:
            selector = go_selector(source["metric"].get("selector"))
            where = f"{namespace_of(at.hpa)}/{name}/{selector}"
            raise Unreadable(f"unable to get external metric {where}: {error}") from None
        found = _of_a_whole(value, target, at)
    except Unreadable as error:
        chain = f"external metric {name}" if _has_value(target) else f"{name} external metric"
        text = f"failed to get {name} external metric value: failed to get {chain}: {error}"
        return Failed("FailedGetExternalMetric", str(error), text)
    status = {"metric": dict(source["metric"]), "current": _current(found, target)}
    return Measured(found.replicas, _external_name(source["metric"]), {"type": "External", "external": status})


def _has_value(target: Metric) -> bool:
    """Whether a target is for the whole; where both are given, its type says which is meant."""
    return target.get("averageValue") is None or (target.get("type") == "Value" and target.get("value") is not None)


def _of_a_whole(value: int, target: Metric, at: Situation) -> Proposal:
    if _has_value(target):
        return by_value(at.pods, value, milli_of(target["value"]), at.scale.replicas, at.tolerances)
    return by_share(value, milli_of(target["averageValue"]), at.scale.counted, at.tolerances)


def _current(found: Proposal, target: Metric) -> Object:
    return {"value" if _has_value(target) else "averageValue": quantity(found.average)}


def _external_name(identifier: Metric) -> str:
    return f"external metric {identifier['name']}({go_selector(identifier.get('selector'))})"


def go_selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as Go's generated String() prints it: it is part of messages that people search for."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    listed = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement"
        f"{{{listed}}},}}"
    )
