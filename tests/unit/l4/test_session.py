"""The table of a relayed connection's life."""

from __future__ import annotations

from typing import get_args

import pytest

from dataplane.l4.session import NEXT, Event, SessionError, State, is_clean, outcome, step
from dataplane.metrics.flows import OUTCOMES


def test_every_way_leads_to_the_end() -> None:
    assert set(NEXT) == set(get_args(State))
    reachable: set[State] = {"ended"}
    for _ in NEXT:
        reachable |= {state for state, events in NEXT.items() if reachable & set(events.values())}
    assert reachable == set(NEXT)
    assert not NEXT["ended"]


def test_the_client_may_leave_and_a_drain_may_come_at_any_time() -> None:
    for state, events in NEXT.items():
        if state != "ended":
            assert events["client-lost"] == events["drained"] == "ended"


def test_both_directions_end_in_either_order() -> None:
    assert step(step("open", "client-eof"), "endpoint-eof") == "ended"
    assert step(step("open", "endpoint-eof"), "client-eof") == "ended"
    assert step(step("dialing", "client-eof"), "connected") == "to-client"


def test_what_cannot_happen_is_an_error() -> None:
    with pytest.raises(SessionError, match="endpoint-eof cannot happen while dialing"):
        step("dialing", "endpoint-eof")


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        ("to-client", "endpoint-eof", "ok"),
        ("to-endpoint", "client-eof", "ok"),
        ("to-endpoint", "client-lost", "ok"),
        ("open", "client-lost", "client_abort"),
        ("to-client", "client-lost", "client_abort"),
        ("dialing", "client-lost", "client_abort"),
        ("open", "endpoint-lost", "reset"),
        ("to-client", "endpoint-lost", "reset"),
        ("dialing", "refused", "refused"),
        ("dialing", "timeout", "timeout"),
        ("dialing-ended", "overload", "overload"),
        ("to-client", "expired", "timeout"),
        ("open", "drained", "drained"),
    ],
)
def test_an_end_has_a_name(state: State, event: Event, expected: str) -> None:
    assert NEXT[state][event] == "ended"
    assert outcome(state, event) == expected


def test_every_end_has_a_name_that_flow_records_know() -> None:
    ends = [
        (state, event) for state, events in NEXT.items() for event, following in events.items() if following == "ended"
    ]
    assert len(ends) > 10
    assert all(outcome(state, event) in OUTCOMES for state, event in ends)
    assert {event for _, event in ends if is_clean(event)} == {"client-eof", "endpoint-eof"}
