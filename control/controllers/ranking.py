"""Which pods to delete first when there are too many: the least loss first.

Kubernetes' order (`controller.ActivePodsWithRanks`), each rule deciding only where those before it are equal:
1. unassigned before assigned; 2. phase Pending, then Unknown, then Running; 3. not ready before ready; 4. lower
`controller.kubernetes.io/pod-deletion-cost` first; 5. on a node with more of the related pods first (doubled up);
6. ready for a shorter time first; 7. more restarts first; 8. younger first; 9. by UID.
Times of 6 and 8 are compared by the power of two of their age (LogarithmicScaleDown), so that victims among pods of a
similar age are spread rather than always the youngest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import log2
from typing import Any

from control.api.objects import Object, annotations_of, status_of, uid_of
from control.controllers.pods import created_at, is_active, is_ready, node_of, phase_of, ready_since

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def to_delete(pods: Sequence[Object], count: int, related: Iterable[Object], now: datetime) -> list[Object]:
    """The `count` pods to delete; `related` are all pods of the same top owner, which count for doubling up."""
    if count >= len(pods):
        return list(pods)
    nodes = Counter(node_of(pod) for pod in related if is_active(pod))
    return sorted(pods, key=lambda pod: _rank(pod, nodes, now))[:count]


def _rank(pod: Object, nodes: Counter[str], now: datetime) -> tuple[Any, ...]:
    ready = is_ready(pod)
    node = node_of(pod)
    return (
        bool(node),
        _PHASES.get(phase_of(pod), 0),
        ready,
        deletion_cost(pod),
        -nodes[node] if node else 0,
        _age_class(ready_since(pod), now) if ready else 0,
        -_restarts(pod),
        _age_class(created_at(pod), now),
        uid_of(pod),
    )


def deletion_cost(pod: Object) -> int:
    """The annotation's value, 0 where it is absent or not a 32-bit integer (the API refuses such values)."""
    text = annotations_of(pod).get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def _age_class(since: datetime | None, now: datetime) -> int:
    if since is None:
        return 0
    seconds = (now - since).total_seconds()
    return int(log2(seconds)) + 1 if seconds >= 1 else 0


def _restarts(pod: Object) -> int:
    statuses = status_of(pod).get("containerStatuses") or ()
    return max((status.get("restartCount") or 0 for status in statuses), default=0)
