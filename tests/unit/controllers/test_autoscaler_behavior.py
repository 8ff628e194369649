"""Stabilisation and limits: what of a wish may be done now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Object
from control.controllers.horizontalpodautoscaler.behavior import Bounds, longest_period_s, normalized
from control.controllers.horizontalpodautoscaler.history import History
from control.controllers.horizontalpodautoscaler.tuning import KUBERNETES
from tests.fakes.autoscalers import rules
from tests.fakes.tiny_api import START

DEFAULT_DOWN = rules(("Percent", 100, 15))
DEFAULT_UP = rules(("Pods", 4, 15), ("Percent", 100, 15))


def decided(behavior: Object | None, current: int, wished: int, history: History | None = None) -> tuple[int, str, str]:
    """(replicas, AbleToScale's reason, ScalingLimited's reason), within 1..10."""
    bounds = Bounds(current, 1, 10)
    desired, conditions = normalized(history or History(), behavior, wished, bounds, START, KUBERNETES)
    return desired, conditions[0][2], conditions[1][2]


@pytest.mark.parametrize(
    ("up", "current", "wished", "expected", "why"),
    [
        (DEFAULT_UP, 1, 9, 5, "ScaleUpLimit"),
        (DEFAULT_UP, 5, 9, 9, "DesiredWithinRange"),
        (DEFAULT_UP, 6, 99, 10, "TooManyReplicas"),
        (rules(("Pods", 4, 15), ("Percent", 10, 15), select="Min"), 4, 9, 5, "ScaleUpLimit"),
        (rules(("Percent", 10, 15)), 1, 9, 2, "ScaleUpLimit"),
        (rules(("Pods", 4, 15), select="Disabled"), 4, 9, 4, "ScaleUpLimit"),
    ],
)
def test_the_way_up_is_limited(up: Object, current: int, wished: int, expected: int, why: str) -> None:
    assert decided({"scaleUp": up, "scaleDown": DEFAULT_DOWN}, current, wished) == (expected, "ReadyForNewScale", why)


@pytest.mark.parametrize(
    ("down", "current", "wished", "expected", "why"),
    [
        (DEFAULT_DOWN, 8, 2, 2, "DesiredWithinRange"),
        (DEFAULT_DOWN, 8, 0, 1, "TooFewReplicas"),
        (rules(("Pods", 2, 60)), 8, 1, 6, "ScaleDownLimit"),
        (rules(("Percent", 10, 60)), 8, 1, 7, "ScaleDownLimit"),
        (rules(("Pods", 4, 60), ("Percent", 10, 60), select="Min"), 8, 1, 7, "ScaleDownLimit"),
        (rules(("Pods", 4, 60), ("Percent", 10, 60), select="Max"), 8, 1, 4, "ScaleDownLimit"),
        (rules(("Pods", 4, 60), select="Disabled"), 8, 1, 8, "ScaleDownLimit"),
    ],
)
def test_the_way_down_is_limited(down: Object, current: int, wished: int, expected: int, why: str) -> None:
    assert decided({"scaleUp": DEFAULT_UP, "scaleDown": down}, current, wished) == (expected, "ReadyForNewScale", why)


def test_without_rules_it_at_most_doubles() -> None:
    assert decided(None, 1, 9) == (4, "ReadyForNewScale", "ScaleUpLimit")
    assert decided(None, 4, 9) == (8, "ReadyForNewScale", "ScaleUpLimit")
    assert decided(None, 8, 99) == (10, "ReadyForNewScale", "TooManyReplicas")
    assert decided(None, 8, 0) == (1, "ReadyForNewScale", "TooFewReplicas")


def test_what_came_in_the_period_counts_and_what_went_gives_back() -> None:
    history = History()
    behavior = {"scaleUp": rules(("Pods", 4, 60)), "scaleDown": DEFAULT_DOWN}
    history.scaled(2, 5, START - timedelta(seconds=30), 60)
    assert decided(behavior, 5, 9, history)[0] == 6  # 3 of 4 are spent
    history.scaled(6, 5, START - timedelta(seconds=10), 60)
    assert decided(behavior, 5, 9, history)[0] == 7
    assert longest_period_s(DEFAULT_UP) == 15.0


def test_the_default_window_of_the_way_down_is_five_minutes() -> None:
    behavior = {"scaleUp": DEFAULT_UP, "scaleDown": {"policies": DEFAULT_DOWN["policies"], "selectPolicy": "Max"}}
    history = History()
    history.recommend(7, START - timedelta(seconds=299), 300)
    assert decided(behavior, 8, 2, history) == (7, "ScaleDownStabilized", "DesiredWithinRange")


WISHES = st.lists(st.tuples(st.floats(1, 120), st.integers(0, 30)), min_size=1, max_size=25)
RULES = st.builds(
    lambda kind, value, period, select, window: rules((kind, value, period), select=select, window_s=window),
    st.sampled_from(("Pods", "Percent")),
    st.integers(1, 100),
    st.integers(1, 120),
    st.sampled_from(("Max", "Min", "Disabled")),
    st.integers(0, 300),
)


@given(WISHES, st.one_of(st.none(), st.fixed_dictionaries({"scaleUp": RULES, "scaleDown": RULES})), st.integers(1, 20))
def test_never_outside_the_bounds_and_never_past_the_wishes(
    wishes: list[tuple[float, int]], behavior: Object | None, current: int
) -> None:
    """Whatever is wished: within the bounds; and a move goes no further than the most careful wish of its window."""
    history, now = History(), START
    minimum, maximum = 1, 20
    seen = []
    for wait_s, wished in wishes:
        now += timedelta(seconds=wait_s)
        bounds = Bounds(current, minimum, maximum)
        desired, _ = normalized(history, behavior, wished, bounds, now, KUBERNETES)
        seen.append((now, wished))
        assert minimum <= desired <= maximum
        up_s, down_s = (
            (0.0, 300.0)
            if behavior is None
            else tuple(float(behavior[way]["stabilizationWindowSeconds"]) for way in ("scaleUp", "scaleDown"))
        )
        if desired < current:
            recent = [wish for at, wish in seen if at > now - timedelta(seconds=down_s)]
            assert desired >= min(max(recent, default=wished), current)
        if desired > current:
            recent = [wish for at, wish in seen if at > now - timedelta(seconds=up_s)]
            limit = min(recent, default=wished)
            if behavior is None:  # the highest of the window counts, and that may be more than there is
                limit = max(wish for at, wish in seen if at >= now - timedelta(seconds=300))
            assert desired <= max(minimum, limit)
        if desired != current and behavior is not None:
            rule = behavior["scaleUp" if desired > current else "scaleDown"]
            assert rule["selectPolicy"] != "Disabled"
            history.scaled(current, desired, now, longest_period_s(rule))
        current = desired
