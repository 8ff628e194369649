"""The four answers, and that nobody waits in vain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.pool.plan import PoolLimits, dials_wanted, plan

LIMITS = PoolLimits(connections_max=3, pending_max=2)


@pytest.mark.parametrize(
    ("idle", "connections", "dialing", "waiting", "answer"),
    [
        (1, 3, 0, 0, "reuse"),
        (0, 0, 0, 0, "dial"),
        (0, 1, 1, 1, "dial"),
        (0, 3, 0, 0, "wait"),
        (0, 1, 2, 2, "wait"),
        (0, 1, 2, 3, "wait"),
        (0, 1, 2, 4, "refuse"),
        (0, 3, 0, 2, "refuse"),
    ],
)
def test_the_answer_for_one_more(idle: int, connections: int, dialing: int, waiting: int, answer: str) -> None:
    assert plan(idle, connections, dialing, waiting, LIMITS) == answer


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 9))
def test_dials_are_as_many_as_are_needed_and_allowed(connections: int, dialing: int, waiting: int) -> None:
    more = dials_wanted(connections, dialing, waiting, LIMITS)
    assert more >= 0
    if more:
        assert connections + dialing + more <= LIMITS.connections_max
    assert dialing + more >= min(waiting, LIMITS.connections_max - connections)
