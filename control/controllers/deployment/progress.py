"""What a Deployment says of itself: the sums of its sets, and whether it gets on.

Available is True while at least replicas - maxUnavailable pods are. Progressing lives only with a
progressDeadlineSeconds (not 2147483647, which means none): it is renewed whenever a count gets better
(ReplicaSetUpdated), True for good when all pods are new and available (NewReplicaSetAvailable), and False when nothing
got better for the deadline (ProgressDeadlineExceeded), which ends nothing: a later success sets it right. While paused
it says so and the clock stands still. ReplicaFailure is copied from the sets, the new one first.
Reasons and messages are Kubernetes' own; `kubectl rollout status` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control.api.objects import Object, format_time, meta, name_of, spec_of, status_of
from control.controllers.conditions import Conditions, find, with_condition, without
from control.controllers.deployment.replicasets import Fleet, size_of
from control.controllers.deployment.rollout import Bounds
from control.controllers.pods import time_of

PROGRESSING = "Progressing"
NO_DEADLINE = 2**31 - 1


def deadline_of(deployment: Object) -> int | None:
    deadline = spec_of(deployment).get("progressDeadlineSeconds")
    return None if deadline is None or deadline == NO_DEADLINE else int(deadline)


def condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Object:
    return {
        "type": type_,
        "status": status,
        "lastUpdateTime": format_time(now),
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }


def paused_conditions(deployment: Object, now: datetime) -> Conditions:
    """The conditions with pausing and resuming noted."""
    conditions = list(status_of(deployment).get("conditions") or ())
    if deadline_of(deployment) is None:
        return conditions
    current = find(conditions, PROGRESSING) or {}
    if current.get("reason") == "ProgressDeadlineExceeded":
        return conditions  # a reported lack of progress is not hidden by pausing
    noted = current.get("reason") == "DeploymentPaused"
    if spec_of(deployment).get("paused") and not noted:
        new = condition(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused", now)
        return with_condition(conditions, new)
    if not spec_of(deployment).get("paused") and noted:
        new = condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", now)
        return with_condition(conditions, new)
    return conditions


def counted(deployment: Object, fleet: Fleet, bounds: Bounds, conditions: Conditions, now: datetime) -> Object:
    """The status of what the sets say, with the condition Available."""
    sums = {
        field: sum(status_of(rs).get(field) or 0 for rs in fleet.all)
        for field in ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
    }
    if sums["availableReplicas"] >= bounds.minimum:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        available = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    status = {
        "observedGeneration": meta(deployment).get("generation") or 0,
        "replicas": sums["replicas"],
        "updatedReplicas": (status_of(fleet.new).get("replicas") or 0) if fleet.new else 0,
        "readyReplicas": sums["readyReplicas"],
        "availableReplicas": sums["availableReplicas"],
        "unavailableReplicas": max(0, sum(map(size_of, fleet.all)) - sums["availableReplicas"]),
        "terminatingReplicas": sums["terminatingReplicas"],
        "collisionCount": status_of(deployment).get("collisionCount") or 0,
        "conditions": with_condition(conditions, condition("Available", *available, now)),
    }
    return {name: value for name, value in status.items() if value or name == "terminatingReplicas"}


def with_progress(deployment: Object, fleet: Fleet, status: Object, now: datetime) -> Object:
    """The status of a rollout: `counted` plus what is known of its progress."""
    conditions: Conditions = list(status.get("conditions") or ())
    deadline = deadline_of(deployment)
    current = find(conditions, PROGRESSING)
    if deadline is None:
        conditions = without(conditions, PROGRESSING)
    elif not _was_complete(status, current):
        subject = f'ReplicaSet "{name_of(fleet.new)}"' if fleet.new else f'Deployment "{name_of(deployment)}"'
        if is_complete(deployment, status):
            message = f"{subject} has successfully progressed."
            new = condition(PROGRESSING, "True", "NewReplicaSetAvailable", message, now)
            conditions = with_condition(conditions, new)
        elif _has_progressed(status_of(deployment), status):
            new = condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
            if current is not None and current.get("status") == "True":
                new["lastTransitionTime"] = current.get("lastTransitionTime")
            conditions = [*without(conditions, PROGRESSING), new]
        elif _is_overdue(current, deadline, now):
            message = f"{subject} has timed out progressing."
            new = condition(PROGRESSING, "False", "ProgressDeadlineExceeded", message, now)
            conditions = with_condition(conditions, new)
    failure = _replica_failure(fleet)
    if failure is None:
        conditions = without(conditions, "ReplicaFailure")
    else:
        conditions = with_condition(conditions, failure)
    return {**status, "conditions": conditions}


def is_complete(deployment: Object, status: Mapping[str, Any]) -> bool:
    replicas = Bounds.of(deployment).replicas
    counts = [status.get(name) or 0 for name in ("updatedReplicas", "replicas", "availableReplicas")]
    observed = (status.get("observedGeneration") or 0) >= (meta(deployment).get("generation") or 0)
    return observed and counts == [replicas] * 3


def overdue_at(deployment: Object, status: Object) -> datetime | None:
    """When to look again whether the deadline has passed; None when that is no question."""
    deadline = deadline_of(deployment)
    current = find(status.get("conditions") or (), PROGRESSING)
    if deadline is None or current is None or is_complete(deployment, status):
        return None
    if current.get("reason") in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        return None
    since = time_of(current.get("lastUpdateTime"))
    return since + timedelta(seconds=deadline + 1) if since else None  # whole seconds: one more to be past it


def _was_complete(status: Object, current: Object | None) -> bool:
    """A finished rollout that is only scaled or repaired: its progress is not estimated again."""
    done = current is not None and current.get("reason") == "NewReplicaSetAvailable"
    return done and (status.get("replicas") or 0) == (status.get("updatedReplicas") or 0)


def _has_progressed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    def count(status: Mapping[str, Any], name: str) -> int:
        return status.get(name) or 0

    def outdated(status: Mapping[str, Any]) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    return (
        any(count(new, name) > count(old, name) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
        or outdated(new) < outdated(old)
    )  # fmt: skip


def _is_overdue(current: Object | None, deadline: int, now: datetime) -> bool:
    if current is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    if current.get("reason") == "ProgressDeadlineExceeded":
        return True
    since = time_of(current.get("lastUpdateTime"))
    return since is not None and since + timedelta(seconds=deadline) < now


def _replica_failure(fleet: Fleet) -> Object | None:
    sets = [fleet.new, *fleet.old] if fleet.new else list(fleet.old)
    for rs in sets:
        found = find(status_of(rs).get("conditions") or (), "ReplicaFailure")
        if found is not None:
            return {**found, "lastUpdateTime": found.get("lastTransitionTime")}
    return None
