"""Leases, identity, and what a phase's change does to what may be picked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.balance.backend import Backend, Endpoint
from dataplane.balance.usable import usable
from dataplane.snapshot import model
from tests.fakes.contract import endpoint


def backend(*specs: model.Endpoint, policy: model.Policy = "round-robin", reads_terminating: bool = True) -> Backend:
    made = Backend("app", random.Random(1).random, reads_terminating=reads_terminating)
    made.set_spec(model.Backend("app", policy=policy))
    for spec in specs:
        made.endpoints[spec.id] = Endpoint(spec)
    made.touch()
    return made


def test_a_pick_is_a_lease_until_released() -> None:
    app = backend(endpoint("a"))
    first, second = app.pick(), app.pick()
    assert first is second is app.endpoints["a"]
    assert (first.active, first.picked) == (2, 2)
    app.release(first)
    app.release(first)
    assert (first.active, first.picked) == (0, 2)
    with pytest.raises(RuntimeError, match="more often than picked"):
        app.release(first)


def test_a_burst_is_spread_by_its_own_leases() -> None:
    app = backend(endpoint("a"), endpoint("b"), policy="least-request")
    for _ in range(10):
        app.pick()
    assert [item.active for item in app.endpoints.values()] == [5, 5]


def test_what_was_tried_is_not_picked_again() -> None:
    app = backend(endpoint("a"), endpoint("b"))
    assert [getattr(app.pick({"a"}), "id", None) for _ in range(3)] == ["b"] * 3
    assert app.pick({"a", "b"}) is None
    assert app.endpoints["a"].picked == 0


def test_nothing_is_usable_without_a_resource_or_endpoints() -> None:
    assert backend().pick() is None
    app = backend(endpoint("a"))
    app.set_spec(None)
    assert app.pick() is None
    assert not app.has_usable
    assert "unknown" in repr(app)
    app.set_spec(model.Backend("app"))
    assert app.has_usable


def test_terminating_ones_stand_in_until_one_is_ready() -> None:
    app = backend(endpoint("a", ready=False, serving=True, terminating=True), endpoint("b", ready=False))
    assert [item.id for item in app.usable] == ["a"]
    assert app.endpoints["b"].update(endpoint("b"))
    app.touch()
    assert [item.id for item in app.usable] == ["b"]
    strict = backend(endpoint("a", ready=False, serving=True, terminating=True), reads_terminating=False)
    assert not strict.has_usable


def test_an_update_that_changes_no_condition_changes_no_phase() -> None:
    item = Endpoint(endpoint("a"))
    assert not item.update(endpoint("a", target="default/a"))
    assert item.spec.target == "default/a"


def test_a_removed_endpoint_can_still_be_released() -> None:
    app = backend(endpoint("a"))
    leased = app.pick()
    assert leased is not None
    app.endpoints.pop("a").remove()
    app.touch()
    assert leased.removed
    assert leased.phase == "removed"
    assert app.pick() is None
    app.release(leased)
    assert leased.active == 0


def test_take_leases_the_one_asked_for_if_it_is_usable() -> None:
    app = backend(endpoint("a"), endpoint("b", ready=False), endpoint("c", ready=False, serving=True, terminating=True))
    taken = app.take("a")
    assert taken is app.endpoints["a"]
    assert taken.active == 1
    assert app.take("b") is None
    assert app.take("c") is None  # serving-terminating, but another one is ready
    assert app.take("z") is None
    app.set_spec(None)
    assert app.take("a") is None


def test_a_changed_policy_is_in_force_at_the_next_pick() -> None:
    app = backend(endpoint("a"), endpoint("b"), policy="round-robin")
    app.endpoints["a"].active = 5
    app.set_spec(model.Backend("app", policy="least-request"))
    assert {getattr(app.pick(), "id", None) for _ in range(4)} == {"b"}


FLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans(), st.booleans()), max_size=12)


@settings(max_examples=50)
@given(FLIPS)
def test_what_is_remembered_as_usable_is_what_a_recount_finds(flips: list[tuple[str, bool, bool, bool]]) -> None:
    app = backend(endpoint("a"), endpoint("b"), endpoint("c"))
    for id, ready, serving, terminating in flips:
        if app.endpoints[id].update(endpoint(id, ready=ready, serving=serving, terminating=terminating)):
            app.touch()
        assert app.usable == usable(app.endpoints.values())
