"""Leaky buckets and requests under way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataplane.filters.limit import Bucket, Limiter
from dataplane.snapshot.policy import RateLimits
from tests.fakes.asked import asked, through


def statuses(limiter: Limiter, *times: float, client: str = "192.0.2.7") -> list[int]:
    answers = [through(limiter, asked(now=now, client=client))[0] for now in times]
    return [200 if answer is None else answer.status for answer in answers]


def test_a_burst_passes_and_then_the_rate() -> None:
    limiter = Limiter(RateLimits(per_second=2, burst_factor=5))
    assert statuses(limiter, *[0.0] * 13) == [200] * 11 + [503] * 2  # the first one and a burst of ten
    assert statuses(limiter, 0.5, 0.5) == [200, 503]  # half a second lets one more in
    assert statuses(limiter, 100.0, *[100.0] * 11) == [200] * 11 + [503]


def test_limits_per_minute_hold_beside_those_per_second() -> None:
    limiter = Limiter(RateLimits(per_second=100, per_minute=2, burst_factor=1))
    assert statuses(limiter, 0.0, 0.0, 0.0, 0.0) == [200, 200, 200, 503]
    assert statuses(limiter, 29.0, 30.0, 31.0) == [503, 200, 503]


def test_each_client_has_its_own() -> None:
    limiter = Limiter(RateLimits(per_second=1, burst_factor=0, exempt=("10.0.0.0/8",)))
    assert statuses(limiter, 0.0, 0.0) == [200, 503]
    assert statuses(limiter, 0.0, 0.0, client="192.0.2.8") == [200, 503]
    assert statuses(limiter, 0.0, 0.0, 0.0, client="10.1.2.3") == [200, 200, 200]


def test_requests_under_way_are_counted_and_let_go() -> None:
    limiter = Limiter(RateLimits(connections=2))
    passages = [through(limiter, asked())[1] for _ in range(2)]
    assert statuses(limiter, 0.0) == [503]
    for passage in passages:
        assert passage.released is not None
        passage.released()
    assert limiter._active == {}
    assert statuses(limiter, 0.0) == [200]


def test_a_refused_request_costs_nothing_of_the_other_limits() -> None:
    limiter = Limiter(RateLimits(per_second=1, connections=1, burst_factor=0))
    _, passage = through(limiter, asked(now=0.0))
    assert statuses(limiter, 5.0) == [503]  # one is under way
    assert passage.released is not None
    passage.released()
    assert statuses(limiter, 5.0) == [200]  # and the bucket does not know of the refused one


def test_clients_are_forgotten_beyond_the_bound() -> None:
    bucket = Bucket(1.0, 0.0, clients_max=3)
    for number in range(5):
        bucket.add(str(number), 0.0)
    assert len(bucket) == 3
    assert not bucket.fits("4", 0.0)
    assert bucket.fits("0", 0.0)


@given(st.lists(st.floats(0, 0.5), max_size=60), st.integers(1, 5), st.integers(0, 3))
def test_never_more_than_burst_and_rate_allow(pauses: list[float], rate: int, factor: int) -> None:
    bucket, now, passed = Bucket(float(rate), float(rate * factor)), 0.0, 0
    for pause in pauses:
        now += pause
        if bucket.fits("c", now):
            bucket.add("c", now)
            passed += 1
    assert passed <= 1 + rate * factor + rate * now + 1e-6
