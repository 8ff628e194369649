"""Latency: up at once, down slowly; and who is picked by it. Seeds are fixed."""

from __future__ import annotations

import random
from collections import Counter
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.balance.peak_ewma import DECAY_S, Latency, PeakEwma
from tests.unit.balance.test_policies import Candidate


def known(*observed: tuple[float, float]) -> Latency:
    made = Latency()
    for seconds, now in observed:
        made.observe(seconds, now)
    return made


def test_a_peak_counts_at_once_and_fades() -> None:
    latency = known((0.01, 0.0), (1.0, 1.0))
    assert latency.seconds(1.0) == 1.0
    assert latency.seconds(1.0 + DECAY_S) == pytest.approx(exp(-1))
    latency.observe(0.01, 1.0 + DECAY_S)
    assert latency.seconds(1.0 + DECAY_S) == pytest.approx(exp(-1) + 0.01 * (1 - exp(-1)))


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20))
def test_the_average_lies_among_what_was_seen(steps: list[tuple[float, float]]) -> None:
    latency, now = Latency(), 0.0
    for seconds, passed in steps:
        now += passed
        latency.observe(seconds, now)
        assert 0 <= latency.seconds(now) <= max(seconds for seconds, _ in steps) * (1 + 1e-9)


def test_the_faster_one_is_picked_until_its_queue_is_longer() -> None:
    fast, slow = Candidate(latency=known((0.01, 0.0))), Candidate(latency=known((0.05, 0.0)))
    picker = PeakEwma(random.Random(1).random)
    assert all(picker.pick((fast, slow), 0.0) is fast for _ in range(20))
    fast.active = 5
    assert all(picker.pick((fast, slow), 0.0) is slow for _ in range(20))


def test_an_unknown_one_gets_one_request_and_not_the_burst() -> None:
    known_one, new = Candidate(latency=known((0.01, 0.0))), Candidate()
    picker = PeakEwma(random.Random(1).random)
    picks = []
    for _ in range(50):
        chosen = picker.pick((known_one, new), 0.0)
        chosen.active += 1
        picks.append(chosen)
    assert picks.count(new) == 1


def test_a_slow_one_is_tried_again_after_a_while() -> None:
    fast, slow = Candidate(latency=known((0.01, 0.0))), Candidate(latency=known((5.0, 0.0)))
    picker = PeakEwma(random.Random(1).random)
    for second in range(200):
        fast.latency.observe(0.01, second)  # type: ignore[union-attr]
        if picker.pick((fast, slow), second) is slow:
            break
    assert 30 < second < 120, second


def test_a_simulated_minute_sends_little_to_the_slow_one() -> None:
    """Four endpoints of 10 ms, one of 200 ms, one request each millisecond: it gets its due and hardly more."""
    rng = random.Random(7)
    pods = [Candidate(id=str(n)) for n in range(5)]
    took = {one.id: 0.2 if one.id == "4" else 0.01 for one in pods}
    picker, counts = PeakEwma(rng.random), Counter[str]()
    under_way: list[tuple[float, Candidate]] = []
    for step in range(20_000):
        now = step / 1000
        for ends, one in [item for item in under_way if item[0] <= now]:
            one.active -= 1
            one.latency = one.latency or Latency()
            one.latency.observe(took[one.id], ends)
        under_way = [item for item in under_way if item[0] > now]
        chosen = picker.pick(pods, now)
        chosen.active += 1
        counts[chosen.id] += 1
        under_way.append((now + took[chosen.id], chosen))
    assert counts["4"] < 0.05 * sum(counts.values()), counts
