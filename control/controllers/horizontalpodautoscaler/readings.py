"""Metrics as the controller asks for them and as they are answered: paths of the three metrics APIs, and samples.

Everything is counted in thousandths, as Kubernetes does (MilliValue): of a core, of a byte, of a request per second.
An API that cannot answer, or answers with nothing, is a reason why a metric cannot be used (`Unreadable`), told in the
words of Kubernetes' metrics client.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from control.api.kinds import NAMESPACE
from control.api.objects import Object, name_of, namespace_of, parse_time
from control.api.quantity import parse
from control.api.selectors import format_selector
from control.api.status import StatusError
from control.controllers.horizontalpodautoscaler.target import NoScale, kind_of_reference
from control.controllers.horizontalpodautoscaler.tuning import DEFAULT_WINDOW_S

RESOURCE_METRICS = "/apis/metrics.k8s.io/v1beta1"
CUSTOM_METRICS = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL_METRICS = "/apis/external.metrics.k8s.io/v1beta1"

Answers = Mapping[str, Object | StatusError]
"""By path."""


class Unreadable(Exception):
    """A metric cannot be used."""


class Sample(NamedTuple):
    """A pod's value, in thousandths, averaged over the window that ended at `at`."""

    milli: int
    at: datetime
    window_s: float


Samples = dict[str, Sample]
"""By the pod's name."""


def path_of(metric: Mapping[str, Any], namespace: str, selector: str) -> str:
    """Where a metric of the spec is read; raises Unreadable."""
    match metric["type"]:
        case "Resource" | "ContainerResource":
            return f"{RESOURCE_METRICS}/namespaces/{namespace}/pods?{urlencode({'labelSelector': selector})}"
        case "Pods":
            identifier = metric["pods"]["metric"]
            query = {"labelSelector": selector, **_narrowed(identifier, "metricLabelSelector")}
            return f"{CUSTOM_METRICS}/namespaces/{namespace}/pods/*/{quote(identifier['name'])}?{urlencode(query)}"
        case "Object":
            identifier = metric["object"]["metric"]
            place = _object_path(metric["object"]["describedObject"], namespace)
            query = _narrowed(identifier, "metricLabelSelector")
            return f"{CUSTOM_METRICS}/{place}/{quote(identifier['name'])}?{urlencode(query)}".rstrip("?")
        case "External":
            identifier = metric["external"]["metric"]
            query = _narrowed(identifier, "labelSelector")
            place = f"{EXTERNAL_METRICS}/namespaces/{namespace}/{quote(identifier['name'])}"
            return f"{place}?{urlencode(query)}".rstrip("?")
        case other:
            raise Unreadable(f'unknown metric source type "{other}"')


def _narrowed(identifier: Mapping[str, Any], parameter: str) -> dict[str, str]:
    selector = identifier.get("selector")
    return {parameter: format_selector(selector)} if selector else {}


def _object_path(reference: Mapping[str, Any], namespace: str) -> str:
    try:
        kind = kind_of_reference(reference)
    except NoScale as error:
        raise Unreadable(f"unable to fetch metrics from custom metrics API: {error}") from None
    if kind == NAMESPACE:
        return f"namespaces/{quote(reference['name'])}/metrics"
    place = f"{kind.resource}/{quote(reference['name'])}"
    return f"namespaces/{namespace}/{place}" if kind.namespaced else place


def _items(answers: Answers, path: str, api: str) -> list[Object]:
    answer = answers[path]
    if isinstance(answer, StatusError):
        raise Unreadable(f"unable to fetch metrics from {api} metrics API: {answer.message}")
    found: list[Object] = list(answer.get("items") or ())
    if not found:
        raise Unreadable(f"no metrics returned from {api} metrics API")
    return found


def _milli(text: object) -> int:
    return parse(str(text)).milli


def resource_samples(answers: Answers, path: str, resource: str, container: str = "") -> Samples:
    """Of all containers together, or of one; a pod without a value for each of them is left out."""
    found: Samples = {}
    for item in _items(answers, path, "resource"):
        usages = [each.get("usage") or {} for each in item.get("containers") or ()]
        if container:
            named = [each for each in item.get("containers") or () if each.get("name") == container]
            if not named:
                place = f"{namespace_of(item)}/{name_of(item)}"
                text = f"container {container} not present in metrics for pod {place}"
                raise Unreadable(f"failed to get container metrics: {text}")
            usages = [named[0].get("usage") or {}]
        if usages and all(resource in usage for usage in usages):
            milli = sum(_milli(usage[resource]) for usage in usages)
            at, window_s = parse_time(item["timestamp"]), _seconds(str(item.get("window") or "0s"))
            found[name_of(item)] = Sample(milli, at, window_s)
    return found


def pod_samples(answers: Answers, path: str) -> Samples:
    return {
        str((item.get("describedObject") or {}).get("name") or ""): Sample(
            _milli(item["value"]),
            parse_time(item["timestamp"]),
            float(item["windowSeconds"]) if item.get("windowSeconds") is not None else DEFAULT_WINDOW_S,
        )
        for item in _items(answers, path, "custom")
    }


def object_value(answers: Answers, path: str) -> int:
    return _milli(_items(answers, path, "custom")[0]["value"])


def external_value(answers: Answers, path: str) -> int:
    """The sum of all series that the selector leaves."""
    return sum(_milli(item["value"]) for item in _items(answers, path, "external"))


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


def _seconds(text: str) -> float:
    """A Go duration as metav1.Duration writes it: 15s, 1m0s, 1.5s."""
    total, number, unit = 0.0, "", ""
    for char in [*text, "0"]:
        if (char.isdigit() or char == ".") and unit:
            total += float(number) * _UNITS.get(unit, 0.0)
            number, unit = char, ""
        elif char.isdigit() or char == ".":
            number += char
        else:
            unit += char
    return total
