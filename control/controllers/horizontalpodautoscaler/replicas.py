"""How many replicas a metric asks for: the target's share of what is measured, times the pods that it was measured on.

    replicas = ceil(ratio x ready pods),  ratio = current / target

A ratio within the tolerance of 1 asks for no change. Where pods are missing or not ready, the ratio is taken again with
assumptions that lean against the first one: on the way up such pods use nothing, on the way down a missing pod uses its
whole request (or the target). If that turns the direction round, nothing changes. Divisions of whole numbers cut off,
as in Kubernetes: a utilization is a whole percentage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import ceil, inf
from typing import NamedTuple

from control.api.objects import Object
from control.controllers.horizontalpodautoscaler.census import Census, census, ready_count, requests_of
from control.controllers.horizontalpodautoscaler.readings import Sample, Samples, Unreadable
from control.controllers.horizontalpodautoscaler.tuning import Tuning


class Tolerances(NamedTuple):
    """How far a ratio may be from 1 without anything being done (KEP-4951: one for each direction)."""

    down: float
    up: float

    def covers(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(NamedTuple):
    replicas: int
    average: int  # what was measured, a pod, in thousandths (of metrics that are not a pod's: the value)
    percent: int | None = None  # the same as a share of the requests


def by_utilization(
    pods: Iterable[Object],
    samples: Samples,
    resource: str,
    container: str,
    target_percent: int,
    current: int,
    tolerances: Tolerances,
    now: datetime,
    tuning: Tuning,
) -> Proposal:
    """Of a resource, relative to what the pods request; raises Unreadable."""
    pods = list(pods)
    counted = census(pods, samples, resource, now, tuning)
    requests = requests_of(pods, resource, container)
    ratio, percent, average = _utilization(counted.used, requests, target_percent)
    whole = max(100, target_percent)
    assumed = {name: requests[name] * whole // 100 for name in counted.missing}

    def again(used: Samples) -> float:
        return _utilization(used, requests, target_percent)[0]

    return Proposal(_settled(counted, ratio, current, tolerances, assumed, again), average, percent)


def by_usage(
    pods: Iterable[Object],
    samples: Samples,
    resource: str,
    target: int,
    current: int,
    tolerances: Tolerances,
    now: datetime,
    tuning: Tuning,
) -> Proposal:
    """Of anything measured pod by pod, as an average; `resource` is "" unless it is one; raises Unreadable."""
    counted = census(pods, samples, resource, now, tuning)
    ratio, average = _usage(counted.used, target)
    assumed = dict.fromkeys(counted.missing, target)
    replicas = _settled(counted, ratio, current, tolerances, assumed, lambda used: _usage(used, target)[0])
    return Proposal(replicas, average)


def by_value(pods: Iterable[Object], value: int, target: int, current: int, tolerances: Tolerances) -> Proposal:
    """Of something measured as a whole, against a target for the whole; raises Unreadable."""
    ratio = value / target
    if current == 0:
        return Proposal(ceil(ratio), value)  # from zero: there are no pods to count with
    if tolerances.covers(ratio):
        return Proposal(current, value)
    return Proposal(ceil(ratio * ready_count(pods)), value)


def by_share(value: int, target: int, counted: int, tolerances: Tolerances) -> Proposal:
    """Of something measured as a whole, against a target a pod; `counted` is how many there are."""
    ratio = value / (target * counted) if counted else inf
    replicas = counted if tolerances.covers(ratio) else ceil(value / target)
    return Proposal(replicas, ceil(value / counted) if counted else value)


def _settled(
    counted: Census,
    ratio: float,
    current: int,
    tolerances: Tolerances,
    assumed: Mapping[str, int],
    again: Callable[[Samples], float],
) -> int:
    up_with_unready = bool(counted.unready) and ratio > 1.0
    if not up_with_unready and not counted.missing:
        return current if tolerances.covers(ratio) else ceil(ratio * counted.ready)
    used = dict(counted.used)
    some = next(iter(used.values()))
    if ratio < 1.0:
        used |= {name: Sample(milli, some.at, some.window_s) for name, milli in assumed.items()}
    elif ratio > 1.0:
        used |= {name: Sample(0, some.at, some.window_s) for name in counted.missing}
    if up_with_unready:
        used |= {name: Sample(0, some.at, some.window_s) for name in counted.unready}
    leaning = again(used)
    if tolerances.covers(leaning) or (ratio < 1.0 < leaning) or (leaning < 1.0 < ratio):
        return current
    replicas = ceil(leaning * len(used))
    if (leaning < 1.0 and replicas > current) or (leaning > 1.0 and replicas < current):
        return current
    return replicas


def _utilization(used: Samples, requests: Mapping[str, int], target_percent: int) -> tuple[float, int, int]:
    """(ratio, percent, average) over the pods that have both a sample and a request."""
    known = [name for name in used if name in requests]
    total, requested = sum(used[name].milli for name in known), sum(requests[name] for name in known)
    if not requested:
        raise Unreadable("no metrics returned matched known pods")
    percent = total * 100 // requested
    return percent / target_percent, percent, total // len(known)


def _usage(used: Samples, target: int) -> tuple[float, int]:
    average = sum(sample.milli for sample in used.values()) // len(used)
    return average / target, average
