"""Conditions of a status: a list with one entry a type, where the transition time moves only with the status.

Two habits exist in Kubernetes. Workloads (`with_condition`) leave a condition alone when status and reason stay, so
that a changing message does not cause writes. metav1.Condition (`with_observed_condition`, of PodDisruptionBudgets)
follows message and observedGeneration too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from control.api.objects import Object, format_time

Conditions = list[Object]


def find(conditions: Iterable[Object], type_: str) -> Object | None:
    return next((condition for condition in conditions if condition.get("type") == type_), None)


def without(conditions: Iterable[Object], type_: str) -> Conditions:
    return [condition for condition in conditions if condition.get("type") != type_]


def with_condition(conditions: Conditions, new: Object) -> Conditions:
    """`new` has its times set; it is dropped when status and reason are known already."""
    old = find(conditions, new["type"])
    if old is not None and old.get("status") == new["status"]:
        if old.get("reason", "") == new.get("reason", ""):
            return conditions
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime")}
    return [*without(conditions, new["type"]), new]


def with_observed_condition(conditions: Conditions, new: Object, now: datetime) -> Conditions:
    """Kubernetes' meta.SetStatusCondition: in place, every field followed."""
    old = find(conditions, new["type"])
    if old is None:
        return [*conditions, {**new, "lastTransitionTime": format_time(now)}]
    changed = old.get("status") != new["status"]
    new = {**new, "lastTransitionTime": format_time(now) if changed else old.get("lastTransitionTime")}
    return [new if condition is old else condition for condition in conditions]
