"""Rates out of counters: of containers, and of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Key
from control.apiserver.metrics_rates import Rate, Requests, Usages, counters_of
from dataplane.metrics.exposition import exposition
from dataplane.metrics.flows import FlowRing
from dataplane.metrics.recorder import Recorder
from dataplane.metrics.registry import Registry

START = datetime(2026, 1, 1, tzinfo=UTC)
POD = Key("default", "p")


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def container(name: str, now_s: float, cpu_s: float, memory: int = 100, started_s: float = 0.0) -> dict[str, Any]:
    return {
        "name": name,
        "startTime": at(started_s),
        "cpu": {"time": at(now_s), "usageCoreNanoSeconds": int(cpu_s * 10**9)},
        "memory": {"time": at(now_s), "workingSetBytes": memory},
    }


def summary(now_s: float, *containers: dict[str, Any]) -> dict[str, Any]:
    reference = {"name": "p", "namespace": "default", "uid": "u"}
    return {
        "node": {"nodeName": "n", "cpu": {"time": at(now_s)}},
        "pods": [{"podRef": reference, "containers": list(containers)}],
    }


def test_two_readings_make_a_rate() -> None:
    usages = Usages()
    usages.take([summary(100, container("a", 100, 5.0), container("b", 100, 1.0))])
    assert usages.pods == {}
    assert usages.nodes["n"].total == Rate(0, 0)
    usages.take([summary(110, container("a", 110, 10.0), container("b", 110, 1.0, memory=7))])
    pod = usages.pods[POD]
    assert pod.containers == {"a": Rate(500_000_000, 100), "b": Rate(0, 7)}
    assert (pod.window_s, pod.at) == (10.0, START + timedelta(seconds=110))
    assert usages.nodes["n"].total == Rate(500_000_000, 107)


def test_what_runs_at_the_first_reading_is_not_measured_from_its_start() -> None:
    usages = Usages()
    usages.take([summary(86_400, container("a", 86_400, 9999.0))])
    assert usages.pods == {}


def test_a_container_that_has_just_started_is_measured_from_its_start() -> None:
    usages = Usages(fresh_s=10)
    usages.take([summary(100)])
    usages.take([summary(115, container("a", 115, 1.0, started_s=110))])
    assert POD not in usages.pods  # 5 s say too little
    usages.take([])
    usages = Usages(fresh_s=10)
    usages.take([summary(100)])
    usages.take([summary(115, container("a", 115, 1.0, started_s=105))])
    assert usages.pods[POD].containers == {"a": Rate(100_000_000, 100)}
    assert usages.pods[POD].window_s == 10.0


def test_a_restart_begins_anew() -> None:
    usages = Usages(fresh_s=1)
    usages.take([summary(100, container("a", 100, 50.0))])
    usages.take([summary(110, container("a", 110, 4.0, started_s=102))])
    assert usages.pods[POD].containers == {"a": Rate(500_000_000, 100)}


def test_a_pod_counts_only_with_all_its_containers() -> None:
    usages = Usages(fresh_s=10)
    usages.take([summary(100, container("a", 100, 5.0))])
    usages.take([summary(110, container("a", 110, 6.0), container("b", 110, 1.0, started_s=105))])
    assert usages.pods == {}


@given(st.lists(st.tuples(st.floats(0.5, 60), st.floats(0, 100)), min_size=2, max_size=6))
def test_rates_times_windows_are_what_was_used(steps: list[tuple[float, float]]) -> None:
    usages, now, cpu = Usages(), 0.0, 0.0
    used = 0.0
    for index, (seconds, burnt) in enumerate(steps):
        now, cpu = now + seconds, cpu + burnt
        usages.take([summary(now, container("a", now, cpu))])
        if index:
            pod = usages.pods[POD]
            used += pod.containers["a"].cpu_nano / 10**9 * pod.window_s
    burnt = sum(burnt for _, burnt in steps[1:])
    assert abs(used - burnt) < 0.001 * len(steps) + burnt * 1e-6


# --- requests -----------------------------------------------------------------------------------------------------


def record(route: str, backend: str, target: str, method: bytes = b"GET") -> Any:
    status = 200 if method else 0
    return (1.0, "web", route, backend, "e", target, "ready", "ready", 1, method, status, 0, 0, -1.0, 0.1, 0.1, "ok")


def test_counters_are_read_from_what_a_worker_says() -> None:
    registry = Registry()
    recorder = Recorder(registry, FlowRing(10))
    for _ in range(3):
        recorder.record(record("shop/site#0", "shop/web:80@ingress", "shop/web-1"))
    recorder.record(record("", "shop/web:80", "shop/web-2"))
    recorder.record(record("shop/site#1", "shop/other:http@ingress/a", ""))  # an endpoint without a pod
    recorder.record(record("", "shop/db:5432", "shop/db-1", b""))  # TCP
    ingress = "ingresses.networking.k8s.io"
    assert counters_of(exposition(registry)) == {
        ("pods", Key("shop", "web-1")): 3.0,
        ("pods", Key("shop", "web-2")): 1.0,
        ("services", Key("shop", "web")): 4.0,
        ("services", Key("shop", "other")): 1.0,
        (ingress, Key("shop", "site")): 4.0,
    }


def test_lines_that_are_not_understood_are_left_out() -> None:
    lines = [
        "loopkube_endpoint_duration_seconds_count 3",
        'loopkube_endpoint_duration_seconds_count{backend="_overflow",endpoint="_overflow"} 3',
        'loopkube_request_duration_seconds_count{backend="_overflow",route="_overflow"} 3',
        'loopkube_requests_total{route="a/b#0"} 3',
    ]
    assert counters_of("\n".join(lines)) == {}


SERIES = ("services", Key("default", "web"))


def test_requests_per_second_of_all_workers_together() -> None:
    requests = Requests()
    requests.take({"w0": {SERIES: 10.0}}, START)
    assert requests.per_second == {}
    requests.take({"w0": {SERIES: 30.0}, "w1": {SERIES: 5.0}}, START + timedelta(seconds=10))
    assert requests.per_second == {SERIES: 2.5}
    assert (requests.at, requests.window_s) == (START + timedelta(seconds=10), 10.0)


def test_rates_are_of_the_machines_seconds_and_windows_of_the_clusters() -> None:
    requests, usages = Requests(scale=60.0), Usages(fresh_s=1.0, scale=60.0)
    requests.take({"w0": {SERIES: 10.0}}, START)
    requests.take({"w0": {SERIES: 30.0}}, START + timedelta(seconds=60))
    assert requests.per_second == {SERIES: 20.0}
    assert requests.window_s == 60.0
    usages.take([summary(100)])
    usages.take([summary(130, container("a", 130, 0.25, started_s=100))])
    assert POD not in usages.pods  # half a second of the machine's says too little
    usages.take([summary(160, container("a", 160, 0.5, started_s=100))])
    assert usages.pods[POD].containers["a"].cpu_nano == 500_000_000


def test_a_worker_that_was_started_again_counts_from_nothing() -> None:
    requests = Requests()
    requests.take({"w0": {SERIES: 100.0}}, START)
    requests.take({"w0": {SERIES: 20.0}}, START + timedelta(seconds=10))
    assert requests.per_second == {SERIES: 2.0}


def test_a_worker_that_does_not_answer_counts_from_where_it_was() -> None:
    requests = Requests()
    requests.take({"w0": {SERIES: 100.0}}, START)
    requests.take({}, START + timedelta(seconds=10))
    assert requests.per_second == {}
    requests.take({"w0": {SERIES: 120.0}}, START + timedelta(seconds=20))
    assert requests.per_second == {SERIES: 2.0}
