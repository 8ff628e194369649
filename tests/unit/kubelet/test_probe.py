"""The probe's state machine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.kubelet.probe import Outcome, ProbeKind, ProbeSpec, Worker, probes_of

GOOD, BAD, ERROR = Outcome("success"), Outcome("failure", "x"), Outcome("error", "x")


def worker(kind: ProbeKind = "readiness", *, at_start: bool = True, eager_s: float = 0.0, **more: Any) -> Worker:
    made = Worker(ProbeSpec(kind, {}, **more), 0.0, at_start=at_start, eager_s=eager_s)
    made.see("a", 3.0, started=kind != "startup", terminating=False, now=3.0)
    return made


def test_kubernetes_defaults() -> None:
    (probe,) = probes_of({"readinessProbe": {"httpGet": {"port": 80}}})
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)


def test_ticks_are_counted_from_the_worker_s_making_as_in_a_kubelet() -> None:
    assert worker(at_start=False).next_at(3.0) == 10.0
    assert worker(at_start=False, initial_delay_s=15.0).next_at(3.0) == 20.0


def test_or_from_the_container_s_start() -> None:
    assert worker().next_at(3.0) == 3.0
    assert worker().next_at(3.1) == 13.0
    assert worker(initial_delay_s=2.0).next_at(3.0) == 5.0
    assert worker("liveness").next_at(3.0) == 13.0, "a process needs time to listen; readiness is what hurries"


def test_thresholds() -> None:
    probe = worker(failure_threshold=3, success_threshold=2)
    assert [probe.take(GOOD), probe.take(GOOD)] == [None, True]
    assert [probe.take(BAD), probe.take(BAD), probe.take(GOOD), probe.take(BAD)] == [None] * 4
    assert [probe.take(BAD), probe.take(BAD)] == [None, False]


def test_the_prober_s_own_errors_count_for_nothing() -> None:
    probe = worker(failure_threshold=2)
    assert [probe.take(BAD), probe.take(ERROR), probe.take(BAD)] == [None, None, False]


def test_a_failed_liveness_probe_holds_until_a_new_container() -> None:
    probe = worker("liveness", failure_threshold=1)
    assert probe.take(BAD) is False
    assert probe.next_at(20.0) is None
    probe.see("b", 30.0, started=True, terminating=False, now=30.0)
    assert (probe.verdict, probe.next_at(30.0)) == (True, 40.0)


def test_startup_gates_the_others_and_ends_with_success() -> None:
    startup, readiness = worker("startup"), Worker(ProbeSpec("readiness", {}), 0.0, at_start=True)
    readiness.see("a", 3.0, started=False, terminating=False, now=3.0)
    assert readiness.next_at(3.0) is None
    assert startup.take(GOOD) is True
    assert startup.next_at(4.0) is None
    readiness.see("a", 3.0, started=True, terminating=False, now=7.5)
    assert readiness.next_at(7.5) == 7.5


def test_termination_stops_all_but_readiness() -> None:
    for kind, looks in (("startup", False), ("liveness", False), ("readiness", True)):
        probe = worker(kind)  # type: ignore[arg-type]
        probe.see("a", 3.0, started=kind != "startup", terminating=True, now=4.0)
        assert probe.looking is looks


def test_no_container_no_look() -> None:
    probe = worker()
    probe.take(GOOD)
    probe.see("", 0.0, started=False, terminating=False, now=5.0)
    assert (probe.next_at(5.0), probe.verdict) == (None, False)


def test_eager_looks_only_succeed() -> None:
    probe = worker(eager_s=0.05, failure_threshold=1)
    assert probe.next_at(3.0) == 3.0
    assert probe.take(BAD, counts=probe.begin_look(3.0)) is None
    assert probe.next_at(3.001) == pytest.approx(3.051)
    assert probe.next_at(8.0) == 8.5, "less often as the container grows old"
    assert not probe.begin_look(8.5)
    assert probe.next_at(12.9) == 13.0, "ticks are kept"
    assert probe.begin_look(13.0)
    assert probe.take(GOOD) is True
    assert probe.next_at(13.1) == 23.0, "no hurry once it has succeeded"


def test_a_late_look_counts_for_its_tick_and_only_once() -> None:
    probe = worker(eager_s=0.05, period_s=1.0)
    late = [3.5, 4.3, 4.4, 4.9, 5.99, 6.0, 6.02, 8.4, 8.9, 9.01]  # the container started at 3
    assert [at for at in late if probe.begin_look(at)] == [4.3, 5.99, 8.4, 9.01]
    probe.see("b", 20.0, started=True, terminating=False, now=20.0)
    assert [at for at in (20.0, 20.5, 21.01) if probe.begin_look(at)] == [21.01]


def test_looks_that_hang_fail_about_as_often_as_a_kubelet_s() -> None:
    probe = worker("startup", eager_s=0.05, period_s=1.0, timeout_s=1.0, failure_threshold=3)
    at, verdict = 3.0, None
    while verdict is None:
        at = probe.next_at(at) or at
        counts = probe.begin_look(at)
        at += 1.0  # the timeout
        verdict = probe.take(BAD, counts=counts)
    assert verdict is False
    assert at <= 3.0 + 6.0


@given(st.lists(st.sampled_from([GOOD, BAD, ERROR]), max_size=40), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=100)
def test_the_verdict_is_that_of_a_recount(outcomes: list[Outcome], successes: int, failures: int) -> None:
    probe = worker(success_threshold=successes, failure_threshold=failures)
    history: list[bool] = []
    expected = False
    for outcome in outcomes:
        probe.take(outcome)
        if outcome.result != "error":
            history.append(outcome.good)
        for good, needed in ((True, successes), (False, failures)):
            if len(history) >= needed and all(one is good for one in history[-needed:]):
                expected = good
        assert probe.verdict is expected
