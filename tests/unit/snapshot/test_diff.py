"""The update between two states leads from the one to the other and says nothing that is not needed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.snapshot.diff import diff, difference, patched, state_of
from dataplane.snapshot.model import Resource, ResourceKey, Update
from tests.fakes.contract import endpoint, resources

STATES = st.lists(resources, max_size=6).map(state_of)


@settings(max_examples=60)
@given(STATES, STATES)
def test_the_old_state_and_the_update_make_the_new_state(
    old: dict[ResourceKey, Resource], new: dict[ResourceKey, Resource]
) -> None:
    assert patched(old, diff(old, new, 2)) == new


@settings(max_examples=30)
@given(STATES)
def test_nothing_changed_is_nothing_said(state: dict[ResourceKey, Resource]) -> None:
    assert difference(state, dict(state)) == ((), ())


def test_only_what_changed_is_sent() -> None:
    old = state_of([endpoint("a"), endpoint("b"), endpoint("c")])
    new = state_of([endpoint("a"), endpoint("b", ready=False)])
    assert difference(old, new) == ((endpoint("b", ready=False),), (("endpoint", "app|c"),))


def test_the_oldest_cause_of_a_batch_is_its_cause() -> None:
    new = state_of([endpoint("a", triggered_at=30.0), endpoint("b", triggered_at=20.0), endpoint("c")])
    assert diff({}, new, 1).triggered_at == 20.0
    assert diff({}, new, 1, triggered_at=7.0).triggered_at == 7.0
    assert diff({}, state_of([endpoint("c")]), 1).triggered_at == 0.0


def test_a_full_update_is_the_state() -> None:
    old = state_of([endpoint("a")])
    assert patched(old, Update(1, True, (endpoint("b"),))) == state_of([endpoint("b")])
