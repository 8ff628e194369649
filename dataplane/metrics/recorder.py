"""Metrics of requests and connections as a fold over flow records: one call at the end of each.

The counters that a record touches are found with one look-up by its words (`Words`) and bound there, so a record costs
a tuple, a dictionary look-up and a handful of adds. What is counted can always be recounted from
the records; a test does.
"""

from __future__ import annotations

from bisect import bisect_left

from dataplane.metrics import names
from dataplane.metrics.flows import FlowFields, FlowRing
from dataplane.metrics.registry import Histogram, Registry, Value

BOUND_MAX = 20_000  # combinations remembered; beyond, all are looked up anew (the registry bounds the counters)

Words = tuple[str, str, str, str, str, int, str]
"""(listener, route, backend, endpoint, target, status, outcome)"""


class _Bound:
    """The counters of one combination."""

    __slots__ = ("bytes_in", "bytes_out", "connects", "count", "endpoint_seconds", "retries", "seconds")

    def __init__(
        self,
        count: Value,
        bytes_in: Value,
        bytes_out: Value,
        retries: Value | None,
        seconds: Histogram | None,
        endpoint_seconds: Histogram | None,
        connects: Histogram | None,
    ) -> None:
        self.count = count
        self.bytes_in = bytes_in
        self.bytes_out = bytes_out
        self.retries = retries
        self.seconds = seconds
        self.endpoint_seconds = endpoint_seconds
        self.connects = connects


class Recorder:
    """Takes flow records: keeps them in the ring and counts them."""

    __slots__ = ("_append", "_bound", "_registry", "ring")

    def __init__(self, registry: Registry, ring: FlowRing) -> None:
        self.ring = ring
        self._append = ring.append
        self._registry = registry
        self._bound: dict[Words, _Bound] = {}
        total = registry.value(names.FLOWS)
        registry.at_scrape(lambda: setattr(total, "value", ring.total))

    def record(self, record: FlowFields) -> None:
        """Keep and count one record (`flows.FlowFields` says what is where)."""
        self._append(record)
        key = (record[1], record[2], record[3], record[4], record[5], record[10], record[16])
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bind(key, is_tcp=not record[10] and not record[9])
        bound.count.value += 1
        bound.bytes_in.value += record[11]
        bound.bytes_out.value += record[12]
        attempts = record[8]
        if attempts and bound.retries is not None and bound.connects is not None:
            if attempts > 1:
                bound.retries.value += attempts - 1
            if record[13] >= 0:
                bound.connects.observe(record[13])
            if bound.seconds is not None and bound.endpoint_seconds is not None:
                took_s = record[15]
                bucket = bisect_left(names.SECONDS, took_s)
                bound.seconds.add(bucket, took_s)
                bound.endpoint_seconds.add(bucket, took_s)

    def _bind(self, key: Words, *, is_tcp: bool) -> _Bound:
        listener, route, backend, endpoint, target, status, outcome = key
        registry = self._registry
        is_timed = bool(backend) and not is_tcp
        if is_tcp:
            count = registry.value(names.CONNECTIONS, listener, backend, outcome)
        else:
            count = registry.value(names.REQUESTS, listener, backend, str(status), outcome)
        bound = _Bound(
            count,
            registry.value(names.BYTES, listener, backend, "in"),
            registry.value(names.BYTES, listener, backend, "out"),
            registry.value(names.RETRIES, backend) if backend else None,
            registry.histogram(names.REQUEST_SECONDS, backend, route) if is_timed else None,
            registry.histogram(names.ENDPOINT_SECONDS, backend, target or endpoint) if is_timed else None,
            registry.histogram(names.CONNECT_SECONDS, backend) if backend else None,
        )
        if len(self._bound) >= BOUND_MAX:
            self._bound.clear()
        self._bound[key] = bound
        return bound
