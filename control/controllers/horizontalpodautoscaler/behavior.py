"""From what the metrics ask for to what is done: stabilisation first, then limits of the rate, then the bounds.

Stabilisation takes the most careful of the recent recommendations: on the way down the highest within the window, on
the way up the lowest. Policies bound how many pods may come or go within a period, counted back from what there was at
the period's begin; of several policies one counts, by `selectPolicy`. An autoscaler without `behavior` has older rules:
it may at most double (or have four), and only the way down is stabilised.

Both answers come with the conditions that tell the user about it: AbleToScale (was the wish stabilised?) and
ScalingLimited (was it cut short, and by what?).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from control.controllers.horizontalpodautoscaler.history import History, within
from control.controllers.horizontalpodautoscaler.tuning import SCALE_UP_FACTOR, SCALE_UP_LEAST, Tuning

Condition = tuple[str, str, str, str]
"""(type, status, reason, message)."""

Limit = tuple[int, str, str]
"""(replicas, reason, message)."""

Rules = Mapping[str, Any]

WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
RATE_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
RATE_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
STABLE_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
STABLE_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
READY = ("ReadyForNewScale", "recommended size matches current size")


@dataclass(frozen=True, slots=True)
class Bounds:
    current: int
    minimum: int
    maximum: int


def normalized(
    history: History, behavior: Rules | None, wished: int, bounds: Bounds, now: datetime, tuning: Tuning
) -> tuple[int, list[Condition]]:
    """The replicas to have, and what to say about them; the wish is remembered."""
    if behavior is None:
        stable = _highest(history, wished, now, tuning.downscale_stabilization_s)
        history.recommend(wished, now, tuning.downscale_stabilization_s)
        told = READY if stable == wished else STABLE_DOWN
        desired, *limited = _bounded(stable, bounds)
    else:
        up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
        down_s = down.get("stabilizationWindowSeconds")
        windows = (
            float(up.get("stabilizationWindowSeconds") or 0),
            tuning.downscale_stabilization_s if down_s is None else float(down_s),
        )
        stable = _stabilized(history, wished, bounds.current, now, *windows)
        history.recommend(wished, now, max(windows))
        told = READY if stable == wished else STABLE_UP if wished >= bounds.current else STABLE_DOWN
        desired, *limited = _at_a_rate(history, stable, up, down, bounds, now)
    cut_short = "False" if desired == stable else "True"
    return desired, [("AbleToScale", "True", *told), ("ScalingLimited", cut_short, limited[0], limited[1])]


def longest_period_s(rules: Rules) -> float:
    return max((float(policy["periodSeconds"]) for policy in rules.get("policies") or ()), default=0.0)


# --- stabilisation ------------------------------------------------------------------------------------------------


def _highest(history: History, wished: int, now: datetime, window_s: float) -> int:
    since = now - timedelta(seconds=window_s)
    return max([wished, *(each.replicas for each in history.recommendations if each.at >= since)])


def _stabilized(history: History, wished: int, current: int, now: datetime, up_s: float, down_s: float) -> int:
    """What there is, moved no further than all recommendations of the windows agree to."""
    up_since, down_since = now - timedelta(seconds=up_s), now - timedelta(seconds=down_s)
    lowest = min([wished, *(each.replicas for each in history.recommendations if each.at > up_since)])
    highest = max([wished, *(each.replicas for each in history.recommendations if each.at > down_since)])
    return min(max(current, lowest), highest)


# --- limits -------------------------------------------------------------------------------------------------------


def _bounded(desired: int, bounds: Bounds) -> Limit:
    """Without behaviour rules."""
    limit = max(SCALE_UP_FACTOR * bounds.current, SCALE_UP_LEAST)
    if desired < bounds.minimum:
        return (bounds.minimum, *TOO_FEW)
    if desired > min(bounds.maximum, limit):
        return (limit, *RATE_UP) if bounds.maximum > limit else (bounds.maximum, *TOO_MANY)
    return (desired, *WITHIN)


def _at_a_rate(history: History, desired: int, up: Rules, down: Rules, bounds: Bounds, now: datetime) -> Limit:
    current = bounds.current
    if desired > current:
        limit = max(current, _most(history, up, current, now))
        if desired > min(bounds.maximum, limit):
            return (limit, *RATE_UP) if bounds.maximum > limit else (bounds.maximum, *TOO_MANY)
    elif desired < current:
        limit = min(current, _least(history, down, current, now))
        if desired < max(bounds.minimum, limit):
            return (limit, *RATE_DOWN) if bounds.minimum < limit else (bounds.minimum, *TOO_FEW)
    return (desired, *WITHIN)


def _at_begin(history: History, policy: Rules, current: int, now: datetime) -> int:
    """How many replicas there were when a policy's period began."""
    period_s = float(policy["periodSeconds"])
    return current - within(history.ups, period_s, now) + within(history.downs, period_s, now)


def _most(history: History, rules: Rules, current: int, now: datetime) -> int:
    """A percentage rounds up: the way up must not be blocked for small numbers."""
    select = rules.get("selectPolicy")
    allowed: list[int] = []
    for policy in rules.get("policies") or ():
        before, value = _at_begin(history, policy, current, now), policy["value"]
        allowed.append(before + value if policy["type"] == "Pods" else ceil(before * (1 + value / 100)))
    if select == "Disabled" or not allowed:
        return current
    return min(allowed) if select == "Min" else max(allowed)


def _least(history: History, rules: Rules, current: int, now: datetime) -> int:
    """A percentage of what stays is cut off, so at least one pod may go."""
    select = rules.get("selectPolicy")
    allowed: list[int] = []
    for policy in rules.get("policies") or ():
        before, value = _at_begin(history, policy, current, now), policy["value"]
        allowed.append(before - value if policy["type"] == "Pods" else int(before * (1 - value / 100)))
    if select == "Disabled" or not allowed:
        return current
    return max(allowed) if select == "Min" else min(allowed)
