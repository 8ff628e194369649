"""The ring keeps the newest records and tells followers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.metrics.flows import OUTCOMES, Flow, FlowFields, FlowRing


def record(number: int = 0, outcome: str = "ok", backend: str = "app") -> FlowFields:
    return (float(number), "web", "r", backend, "a", "default/a", "ready", "removed", 1, b"GET", 200, 3, 5, -1.0, 0.1,
            0.2, outcome)  # fmt: skip


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(0, 25))
def test_the_newest_are_kept_in_order(size: int, written: int) -> None:
    ring = FlowRing(size)
    for number in range(written):
        ring.append(record(number))
    assert [(flow.id, flow.at) for flow in ring] == [(n, float(n)) for n in range(max(0, written - size), written)]
    assert len(ring) == min(size, written)
    assert ring.total == written


def test_fields_have_their_names() -> None:
    flow = Flow(7, *record(outcome="reset"))
    assert flow.as_json() == {
        "id": 7, "at": 0.0, "listener": "web", "route": "r", "backend": "app", "endpoint": "a", "target": "default/a",
        "phase_at_pick": "ready", "phase_at_end": "removed", "attempts": 1, "method": "GET", "status": 200,
        "bytes_in": 3, "bytes_out": 5, "connect_s": -1.0, "first_byte_s": 0.1, "total_s": 0.2, "outcome": "reset",
    }  # fmt: skip
    assert flow.outcome in OUTCOMES


def test_followers_hear_what_they_asked_for_until_they_leave() -> None:
    ring, heard, sampled = FlowRing(2), list[int](), list[int]()
    leave = ring.follow(lambda flow: heard.append(flow.id), lambda flow: flow.outcome != "ok")
    ring.follow(lambda flow: sampled.append(flow.id), lambda flow: True, sample=3)
    for number in range(7):
        ring.append(record(number, "ok" if number % 2 else "reset"))
    leave()
    leave()
    ring.append(record(outcome="reset"))
    assert heard == [0, 2, 4, 6]
    assert sampled == [0, 3, 6]


def test_a_follower_may_leave_while_it_is_told() -> None:
    ring, heard = FlowRing(2), list[int]()

    def once(flow: Flow) -> None:
        heard.append(flow.id)
        leave()

    leave = ring.follow(once, lambda flow: True)
    ring.append(record())
    ring.append(record())
    assert heard == [0]


def test_numbers_must_make_sense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FlowRing(0)
    with pytest.raises(ValueError, match="at least 1"):
        FlowRing(1).follow(print, lambda flow: True, sample=0)
