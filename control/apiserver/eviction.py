"""Eviction: deleting a pod only if its disruption budget allows it.

A budget's controller counts how many of its pods may be missing (status.disruptionsAllowed). An eviction takes one of
these before it deletes, as a conditional write of the budget's status, and notes the pod in disruptedPods so that the
controller does not count it as healthy while it goes. Pods that run nothing yet or any more, and those that go already,
cost nothing. A pod that is not Ready may go without a budget if the budget's pods are healthy enough without it, or if
its policy says AlwaysAllow. The rules and words are pkg/registry/core/pod/rest/eviction.go's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from control.api.kinds import POD_DISRUPTION_BUDGET
from control.api.objects import (
    Object,
    condition_of,
    format_time,
    is_condition_true,
    is_deleting,
    labels_of,
    meta,
    name_of,
    spec_of,
    status_of,
)
from control.api.selectors import selector_of
from control.api.status import StatusError, forbidden

DISRUPTED_PODS_MAX = 2000  # eviction.go's MaxDisruptedPodSize
RETRY_AFTER_S = 10  # only while the budget is not counted yet; a client must not sleep on a budget that is used up
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


def ignores_budgets(pod: Mapping[str, Any]) -> bool:
    return is_deleting(pod) or status_of(pod).get("phase") in ("Succeeded", "Failed", "Pending")


def budget_of(pod: Mapping[str, Any], budgets: Iterable[Object]) -> Object | None:
    """The one budget (of the pod's namespace) that selects the pod; more than one cannot be decided."""
    labels = labels_of(pod)
    found = [budget for budget in budgets if selector_of(spec_of(budget).get("selector"))(labels)]
    if len(found) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "InternalError", message)
    return found[0] if found else None


def goes_without(pod: Mapping[str, Any], budget: Mapping[str, Any]) -> bool:
    """Whether a pod that is not Ready may be evicted without taking from the budget."""
    if is_condition_true(pod, "Ready"):
        return False
    if spec_of(budget).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    desired, current = status_of(budget).get("desiredHealthy") or 0, status_of(budget).get("currentHealthy") or 0
    return desired > 0 and current >= desired


def charged(budget: Mapping[str, Any], pod: str, now: datetime) -> Object:
    """The budget after one eviction; raises the refusal if it has none to give."""
    status = status_of(budget)
    if (status.get("observedGeneration") or 0) < (meta(budget).get("generation") or 0):
        raise _refusal(
            f"The disruption budget {name_of(budget)} is still being processed by the server.", RETRY_AFTER_S
        )
    allowed = status.get("disruptionsAllowed") or 0
    if allowed < 0:
        raise forbidden(POD_DISRUPTION_BUDGET, name_of(budget), "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > DISRUPTED_PODS_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(POD_DISRUPTION_BUDGET, name_of(budget), why)
    if allowed == 0:
        raise _refusal(_why_none(budget))
    after: Object = orjson.loads(orjson.dumps(budget))
    after["status"]["disruptionsAllowed"] = allowed - 1
    after["status"].setdefault("disruptedPods", {})[pod] = format_time(now)
    if allowed == 1:
        _set_insufficient(after, now)
    return after


def _set_insufficient(budget: Object, now: datetime) -> None:
    conditions = budget["status"].setdefault("conditions", [])
    for condition in conditions:
        if condition.get("type") == "DisruptionAllowed":
            if condition.get("status") != "False":
                condition.update(status="False", lastTransitionTime=format_time(now))
            condition.update(reason="InsufficientPods", observedGeneration=meta(budget).get("generation", 0))


def _why_none(budget: Mapping[str, Any]) -> str:
    """Why no disruption is left: the counts, unless they cannot be trusted or do not explain it."""
    status, start = status_of(budget), f"The disruption budget {name_of(budget)}"
    desired, current = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
    condition = condition_of(budget, "DisruptionAllowed") or {}
    message = condition.get("message") if condition.get("status") == "False" else ""
    if message and condition.get("reason") == "SyncFailed":
        return f"{start} does not allow evicting pods currently because it failed sync: {message}"
    if current <= desired:
        return f"{start} needs {desired} healthy pods and has {current} currently"
    told = f" ({condition.get('reason')}): {message}" if message else ""
    return f"{start} does not allow evicting pods currently{told}"


def _refusal(why: str, retry_after_s: int = 0) -> StatusError:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    return StatusError(429, "TooManyRequests", VIOLATES, details)


def with_disruption_target(pod: Mapping[str, Any], now: datetime) -> Object:
    """The pod with the condition that says why it goes."""
    after: Object = orjson.loads(orjson.dumps(pod))
    conditions = after.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [one for one in conditions if one.get("type") != "DisruptionTarget"]
    conditions.append(
        {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": format_time(now),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
    )
    return after
