"""What controllers ask about a pod: is it counted, ready, available, and since when.

Active: neither finished (Succeeded, Failed) nor being deleted; only active pods count as replicas. Ready: the
condition Ready is True. Available: ready for at least minReadySeconds, counted from the condition's transition time,
which has whole seconds (as in Kubernetes, a pod may so be available up to a second early).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from control.api.objects import Object, condition_of, is_deleting, meta, parse_time, spec_of, status_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def node_of(pod: Object) -> str:
    return spec_of(pod).get("nodeName") or ""


def phase_of(pod: Object) -> str:
    return status_of(pod).get("phase") or ""


def is_finished(pod: Object) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_deleting(pod)


def is_ready(pod: Object) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition.get("status") == "True"


def time_of(text: str | None) -> datetime | None:
    """A timestamp of an object; None when it is absent or unreadable (another writer's mistake must not stop us)."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def created_at(obj: Object) -> datetime:
    """When the object was created; what the server has not created yet counts as oldest."""
    return time_of(meta(obj).get("creationTimestamp")) or EPOCH


def ready_since(pod: Object) -> datetime | None:
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    return time_of(condition.get("lastTransitionTime"))


def available_at(pod: Object, min_ready_seconds: int) -> datetime | None:
    """From when on the pod is available if it stays ready; None while it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return EPOCH
    since = ready_since(pod)
    return since + timedelta(seconds=min_ready_seconds) if since else None
