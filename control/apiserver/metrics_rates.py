"""From counters to rates: what the metrics APIs answer with is the difference of the last two readings.

Two kinds of readings come in. A kubelet's summary has for each container a counter of CPU time and the memory of that
moment; a worker's exposition has counters of requests. A counter that is new, or that fell, began in between: a
container's at its start, which the summary tells, a worker's at nothing. A container that has started since the last
reading is measured from its start, once that is `FRESH_S` ago (metrics-server's freshContainerMinMetricsResolution, or
the resolution where that is finer); until then it has no value, and a pod has one only when all its containers have.
The first reading of all gives no value: whatever runs then may have run for days.

Times and windows are cluster time, as everything in the API; rates are per second of the machine, which is what load is
made of. `scale` is how many of the former one of the latter has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from control.api.objects import Key, Object, parse_time

FRESH_S = 10.0
NANO = 10**9


class Rate(NamedTuple):
    """Of one container: nanocores over the window, and bytes at its end."""

    cpu_nano: int
    memory_bytes: int


class PodUsage(NamedTuple):
    at: datetime
    window_s: float
    containers: Mapping[str, Rate]


class NodeUsage(NamedTuple):
    at: datetime
    window_s: float
    total: Rate


class _Reading(NamedTuple):
    at: datetime
    started_at: datetime
    cpu_ns: int
    memory_bytes: int


class Usages:
    """The kubelet's side: `take` summaries, then look at `pods` (by namespace and name) and `nodes`."""

    def __init__(self, fresh_s: float = FRESH_S, scale: float = 1.0) -> None:
        self._fresh_s = fresh_s * scale
        self._scale = scale
        self._last: dict[tuple[str, str], _Reading] = {}  # (pod's UID, container)
        self._last_at: datetime | None = None
        self.pods: dict[Key, PodUsage] = {}
        self.nodes: dict[str, NodeUsage] = {}

    def take(self, summaries: Iterable[Object]) -> None:
        last, self._last = self._last, {}
        self.pods, self.nodes = {}, {}
        at = None
        for summary in summaries:
            total, window_s = Rate(0, 0), 0.0
            for pod in summary.get("pods") or ():
                usage = self._pod(pod, last)
                if usage is not None:
                    reference = pod["podRef"]
                    self.pods[Key(reference["namespace"], reference["name"])] = usage
                    window_s = max(window_s, usage.window_s)
                    total = Rate(
                        total.cpu_nano + sum(rate.cpu_nano for rate in usage.containers.values()),
                        total.memory_bytes + sum(rate.memory_bytes for rate in usage.containers.values()),
                    )
            node = summary["node"]
            at = parse_time(node["cpu"]["time"])
            self.nodes[node["nodeName"]] = NodeUsage(at, window_s, total)
        self._last_at = at or self._last_at

    def _pod(self, pod: Object, last: Mapping[tuple[str, str], _Reading]) -> PodUsage | None:
        uid = pod["podRef"]["uid"]
        readings = {container["name"]: _reading(container) for container in pod["containers"]}
        self._last |= {(uid, name): reading for name, reading in readings.items()}
        rates: dict[str, Rate] = {}
        window_s, at = 0.0, None
        for name, now in readings.items():
            rate, seconds = self._rate(now, last.get((uid, name)))
            if rate is None:
                return None
            rates[name] = rate
            if seconds > window_s:
                window_s, at = seconds, now.at
        return None if at is None else PodUsage(at, window_s, rates)

    def _rate(self, now: _Reading, before: _Reading | None) -> tuple[Rate | None, float]:
        if before is None or before.started_at != now.started_at or now.cpu_ns < before.cpu_ns:
            if self._last_at is None or now.started_at < self._last_at:
                return None, 0.0
            if (now.at - now.started_at).total_seconds() < self._fresh_s:
                return None, 0.0
            before = _Reading(now.started_at, now.started_at, 0, 0)
        seconds = (now.at - before.at).total_seconds()
        if seconds <= 0:
            return None, 0.0
        return Rate(int((now.cpu_ns - before.cpu_ns) / seconds * self._scale), now.memory_bytes), seconds


def _reading(container: Object) -> _Reading:
    cpu = container["cpu"]
    at, started_at = parse_time(cpu["time"]), parse_time(container["startTime"])
    return _Reading(at, started_at, int(cpu["usageCoreNanoSeconds"]), int(container["memory"]["workingSetBytes"]))


# --- requests -----------------------------------------------------------------------------------------------------

TARGETS, ROUTES = "loopkube_endpoint_duration_seconds_count", "loopkube_request_duration_seconds_count"
_LINE = re.compile(r"(\w+)\{([^}]*)\} ([0-9.e+-]+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, Key]
"""("pods", "services" or "ingresses.networking.k8s.io", whose)."""

Counters = Mapping[Series, float]


def counters_of(exposition: str) -> dict[Series, float]:
    """The requests that a worker has counted, by what Kubernetes calls their pod, Service and Ingress."""
    found: dict[Series, float] = {}
    for line in exposition.splitlines():
        if not line.startswith((TARGETS, ROUTES)):
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        labels = dict(_LABEL.findall(parts[2]))
        for series in _series(parts[1], labels):
            found[series] = found.get(series, 0.0) + float(parts[3])
    return found


def _series(family: str, labels: Mapping[str, str]) -> list[Series]:
    """Names are those that `control.publish` gives: backends are `ns/svc:port@flavour`, routes `ns/ingress#index`."""
    if family == ROUTES:
        key = _key(labels.get("route", "").rpartition("#")[0])
        return [("ingresses.networking.k8s.io", key)] if key else []
    pod, service = _key(labels.get("endpoint", "")), _key(labels.get("backend", "").partition(":")[0])
    return [series for series in (("pods", pod), ("services", service)) if series[1] is not None]  # type: ignore[misc]


def _key(text: str) -> Key | None:
    namespace, slash, name = text.partition("/")
    return Key(namespace, name) if slash and namespace and name else None


class Requests:
    """The workers' side: `take` every worker's counters, then look at `per_second`."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._last: dict[str, Counters] = {}
        self._at: datetime | None = None
        self.per_second: dict[Series, float] = {}
        self.at: datetime | None = None  # None: nothing is known yet
        self.window_s = 0.0

    def take(self, workers: Mapping[str, Counters], now: datetime) -> None:
        """A worker that did not answer is absent; it counts from where it was when it does."""
        if self._at is not None and now > self._at:
            self.window_s, self.at = (now - self._at).total_seconds(), now
            self.per_second = {}
            for worker, counters in workers.items():
                last = self._last.get(worker, {})
                for series, count in counters.items():
                    before = last.get(series, 0.0)
                    grown = count - before if count >= before else count
                    self.per_second[series] = self.per_second.get(series, 0.0) + grown / self.window_s * self._scale
        self._last = {**self._last, **workers}
        self._at = now
