"""The back-off book."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from control.kubelet.record import Backoff
from control.kubelet.restart import book, spoken, wait_until


def test_ten_twenty_forty_up_to_three_hundred() -> None:
    entry, now, waits = Backoff(), 1000.0, []
    for _ in range(8):
        ended_at = now
        now = wait_until(entry, ended_at, 300)
        waits.append(now - ended_at)
        book(entry, ended_at, now, 10, 300)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_long_run_closes_the_book() -> None:
    entry = Backoff(160, 1000)
    assert wait_until(entry, 1600, 300) == 1760
    assert wait_until(entry, 1601, 300) == 1601
    book(entry, 1601, 1601, 10, 300)
    assert entry.delay_s == 10


@given(st.lists(st.floats(0, 2000), max_size=30))
@settings(max_examples=50)
def test_waits_stay_within_the_bounds_whatever_happens(runs: list[float]) -> None:
    entry, now = Backoff(), 0.0
    for ran in runs:
        ended_at = now + ran
        now = wait_until(entry, ended_at, 300)
        assert 0 <= now - ended_at <= 300.0001
        book(entry, ended_at, now, 10, 300)
        assert 10 <= entry.delay_s <= 300


def test_delays_are_spoken_as_go_does() -> None:
    assert [spoken(s) for s in (10, 80, 160, 300)] == ["10s", "1m20s", "2m40s", "5m0s"]
