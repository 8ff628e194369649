"""Metrics are a fold over records: recounting the records gives the counters."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.metrics import names
from dataplane.metrics.exposition import exposition
from dataplane.metrics.flows import OUTCOMES, FlowFields, FlowRing
from dataplane.metrics.recorder import Recorder
from dataplane.metrics.registry import Family, Histogram, Registry

# (is http, status, outcome, backend, attempts, bytes in, bytes out, connect)
FLOWS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([200, 404, 503]),
        st.sampled_from(sorted(OUTCOMES)),
        st.sampled_from(["", "app", "other"]),
        st.integers(0, 3),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from([-1.0, 0.001, 3.0]),
    ),
    max_size=20,
)


def as_record(flow: tuple[bool, int, str, str, int, int, int, float]) -> FlowFields:
    is_http, status, outcome, backend, attempts, bytes_in, bytes_out, connect = flow
    head = (b"GET", status) if is_http else (b"", 0)
    route, endpoint, target = f"r{attempts % 2}", f"e{bytes_in % 2}", "ns/pod" if bytes_out % 2 else ""
    return (1.0, "web" if is_http else "tcp", route, backend, endpoint, target, "ready", "ready",
            attempts if backend else 0, *head, bytes_in, bytes_out, connect, 0.01, 0.02, outcome)  # fmt: skip


def values(registry: Registry, family: Family) -> dict[tuple[str, ...], float]:
    children = dict(registry.read()).get(family, {})
    counted = {key: child.count if isinstance(child, Histogram) else child.value for key, child in children.items()}
    return {key: value for key, value in counted.items() if value}


@settings(max_examples=60)
@given(FLOWS)
def test_counters_are_what_a_recount_of_the_records_finds(
    flows: list[tuple[bool, int, str, str, int, int, int, float]],
) -> None:
    registry, ring = Registry(), FlowRing(100)
    recorder = Recorder(registry, ring)
    for flow in flows:
        recorder.record(as_record(flow))
    kept = list(ring)
    http, tcp = [flow for flow in kept if flow.status], [flow for flow in kept if not flow.status]
    assert values(registry, names.REQUESTS) == Counter(
        (flow.listener, flow.backend, str(flow.status), flow.outcome) for flow in http
    )
    assert values(registry, names.CONNECTIONS) == Counter((flow.listener, flow.backend, flow.outcome) for flow in tcp)
    received: Counter[tuple[str, ...]] = Counter()
    for one in kept:
        received[one.listener, one.backend, "in"] += one.bytes_in
        received[one.listener, one.backend, "out"] += one.bytes_out
    assert values(registry, names.BYTES) == +received
    answered = [flow for flow in http if flow.attempts]
    assert values(registry, names.REQUEST_SECONDS) == Counter((flow.backend, flow.route) for flow in answered)
    by_endpoint = Counter((flow.backend, flow.target or flow.endpoint) for flow in answered)
    assert values(registry, names.ENDPOINT_SECONDS) == by_endpoint
    dials = [flow for flow in kept if flow.attempts and flow.connect_s >= 0]
    assert values(registry, names.CONNECT_SECONDS) == Counter((flow.backend,) for flow in dials)
    retries: Counter[tuple[str, ...]] = Counter()
    for one in kept:
        retries[one.backend,] += max(0, one.attempts - 1)
    assert values(registry, names.RETRIES) == +retries


def test_the_total_counts_records_that_the_ring_has_forgotten() -> None:
    registry = Registry()
    recorder = Recorder(registry, FlowRing(1))
    for _ in range(3):
        recorder.record(as_record((True, 200, "ok", "app", 1, 0, 0, -1.0)))
    assert "loopkube_flow_records_total 3\n" in exposition(registry)
