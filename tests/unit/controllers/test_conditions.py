"""Conditions, percentages and the facts about pods."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.controllers.conditions import find, with_condition, with_observed_condition, without
from control.controllers.percent import scaled
from control.controllers.pods import EPOCH, available_at, created_at, is_active, is_ready, time_of
from tests.fakes.objects import pod
from tests.fakes.tiny_api import START

OLD = {"type": "A", "status": "True", "reason": "R", "lastTransitionTime": "then"}


def test_a_known_condition_stays_as_it_is() -> None:
    conditions = [OLD]
    assert with_condition(conditions, {**OLD, "message": "other", "lastTransitionTime": "now"}) is conditions


def test_another_reason_keeps_the_transition_time_another_status_does_not() -> None:
    (kept,) = with_condition([OLD], {**OLD, "reason": "S", "lastTransitionTime": "now"})
    assert (kept["reason"], kept["lastTransitionTime"]) == ("S", "then")
    (moved,) = with_condition([OLD], {**OLD, "status": "False", "lastTransitionTime": "now"})
    assert moved["lastTransitionTime"] == "now"


def test_an_observed_condition_is_changed_in_place() -> None:
    new = {"type": "A", "status": "True", "reason": "R", "message": "m"}
    first, second = with_observed_condition([OLD, {"type": "B", "status": "True"}], new, START)
    assert (first["message"], first["lastTransitionTime"], second["type"]) == ("m", "then", "B")
    assert with_observed_condition([], new, START)[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert without([OLD], "A") == []
    assert find([OLD], "B") is None


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [(3, 10, 3, 3), ("25%", 10, 3, 2), ("25%", 4, 1, 1), ("0%", 7, 0, 0), ("100%", 7, 7, 7), ("5", 9, 5, 5),
     ("x", 9, 0, 0), (None, 9, 0, 0), (True, 9, 0, 0)],
)  # fmt: skip
def test_a_percentage_is_rounded_as_asked(value: object, total: int, up: int, down: int) -> None:
    assert scaled(value, total, round_up=True) == up
    assert scaled(value, total, round_up=False) == down


def test_availability_counts_from_the_transition_to_ready() -> None:
    ready = pod("a", ip="127.244.0.1", ready=True)
    assert available_at(ready, 0) == EPOCH
    assert available_at(ready, 10) == START + timedelta(seconds=10)
    assert available_at(pod("a", ip="127.244.0.1"), 10) is None
    assert is_ready(ready)
    assert not is_active(pod("a", deleting=True))


def test_an_unreadable_time_is_no_time() -> None:
    assert time_of("yesterday") is None
    assert time_of(None) is None
    assert created_at({"metadata": {}}) == EPOCH
