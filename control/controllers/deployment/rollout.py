"""How a rollout moves: from the sizes of the sets to their next sizes.

Two bounds hold at every step of a RollingUpdate: never more than replicas + maxSurge pods, never fewer than
replicas - maxUnavailable available ones. maxSurge is rounded up, maxUnavailable down, and when both come out as 0,
maxUnavailable is 1, or nothing could move. So: grow the new set into the room that is left; then shrink old sets, those
with unavailable pods first, by what the minimum leaves over. The room is counted from what the sets may still hold
(the larger of wanted and existing pods), and what is available from what they will keep (the smaller of wanted and
available): ReplicaSets act later than we decide, and Kubernetes' own sums can break both bounds in between.

Recreate: all old sets to 0, wait until they have seen it and none of their pods is left, then the new set at its full
size.

A change of `spec.replicas` during a rollout (or while paused) is spread over all sets in proportion to their sizes, the
rest going to the largest. It shows in the annotation desired-replicas that each set keeps of its Deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from control.api.objects import Object, annotations_of, name_of, spec_of, status_of
from control.controllers.deployment.replicasets import DESIRED, MAXIMUM, Fleet, available_of, size_of
from control.controllers.percent import scaled
from control.controllers.pods import created_at


@dataclass(frozen=True, slots=True)
class Bounds:
    """`maximum` and `minimum` are the two bounds; a Recreate strategy has neither surge nor unavailability."""

    replicas: int
    surge: int
    unavailable: int

    @classmethod
    def of(cls, deployment: Object) -> Bounds:
        replicas = spec_of(deployment).get("replicas")
        replicas = 1 if replicas is None else int(replicas)
        strategy = spec_of(deployment).get("strategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return cls(replicas, 0, 0)
        rolling = strategy.get("rollingUpdate") or {}
        surge = scaled(rolling.get("maxSurge", "25%"), replicas, round_up=True)
        unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
        if not surge and not unavailable:
            unavailable = 1
        return cls(replicas, surge, min(unavailable, replicas))

    @property
    def maximum(self) -> int:
        return self.replicas + self.surge

    @property
    def minimum(self) -> int:
        return self.replicas - self.unavailable


class Resize(NamedTuple):
    """One set and its next size, which may be its present one (then only its notes are brought up to date)."""

    rs: Object
    size: int


def is_rolling(deployment: Object) -> bool:
    return bool((spec_of(deployment).get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def is_rescaled(deployment: Object, fleet: Fleet) -> bool:
    """Whether spec.replicas has changed since the sets that hold pods were sized."""
    replicas = str(Bounds.of(deployment).replicas)
    return any(annotations_of(rs).get(DESIRED, replicas) != replicas for rs in fleet.all if size_of(rs) > 0)


def first_size(fleet: Fleet, bounds: Bounds, rolling: bool) -> int:
    """The size at which the new set is created."""
    return grown(0, fleet.old, bounds) if rolling else bounds.replicas


def grown(size: int, others: Sequence[Object], bounds: Bounds, existing: int = 0) -> int:
    """The next size of the new set, which wants `size` now and has `existing` pods, beside the others."""
    held = max(size, existing) + sum(max(size_of(rs), status_of(rs).get("replicas") or 0) for rs in others)
    room = max(0, bounds.maximum - held)
    return size + max(0, min(room, bounds.replicas - size))


def grow(fleet: Fleet, bounds: Bounds) -> list[Resize]:
    """The step of the new set in a RollingUpdate: up as far as there is room, or down to what is wanted."""
    new = fleet.new
    if new is None or size_of(new) == bounds.replicas:
        return []
    if size_of(new) > bounds.replicas:
        return [Resize(new, bounds.replicas)]
    size = grown(size_of(new), fleet.old, bounds, status_of(new).get("replicas") or 0)
    return [] if size == size_of(new) else [Resize(new, size)]


def shrink(fleet: Fleet, bounds: Bounds) -> list[Resize]:
    """The step of the old sets in a RollingUpdate."""
    sizes = {name_of(rs): size_of(rs) for rs in fleet.old}
    new_size = size_of(fleet.new) if fleet.new else 0
    new_available = available_of(fleet.new) if fleet.new else 0
    spare = sum(sizes.values()) + new_size - bounds.minimum - (new_size - new_available)
    if not any(sizes.values()) or spare <= 0:
        return []
    for rs in fleet.old:  # what is not available costs nothing to lose, and would block the rollout
        unhealthy = min(spare, sizes[name_of(rs)] - available_of(rs))
        sizes[name_of(rs)] -= unhealthy
        spare -= unhealthy
    available = {name_of(rs): available_of(rs) for rs in fleet.old}
    surplus = min(spare, sum(available.values()) + new_available - bounds.minimum)
    for rs in fleet.old:
        lost = max(0, min(surplus, sizes[name_of(rs)]))
        sizes[name_of(rs)] -= lost
        surplus -= lost
    return [Resize(rs, sizes[name_of(rs)]) for rs in fleet.old if sizes[name_of(rs)] != size_of(rs)]


def empty(sets: Sequence[Object]) -> list[Resize]:
    return [Resize(rs, 0) for rs in sets if size_of(rs) > 0]


def rescale(deployment: Object, fleet: Fleet, bounds: Bounds) -> list[Resize]:
    """All sets at the sizes that a changed spec.replicas gives them."""
    active = [rs for rs in fleet.all if size_of(rs) > 0]
    if len(active) <= 1:
        only = active[0] if active else (fleet.new or (fleet.old[-1] if fleet.old else None))
        return [] if only is None else [Resize(only, bounds.replicas)]
    if fleet.new is not None and _is_saturated(fleet.new, bounds):
        return empty(fleet.old)
    if not is_rolling(deployment):
        return []
    return _in_proportion(deployment, active, bounds)


def _is_saturated(new: Object, bounds: Bounds) -> bool:
    """The rollout is over but for the old sets' last pods."""
    noted = annotations_of(new).get(DESIRED)
    available = status_of(new).get("availableReplicas") or 0
    return size_of(new) == bounds.replicas and noted == str(bounds.replicas) and available == bounds.replicas


def _in_proportion(deployment: Object, active: Sequence[Object], bounds: Bounds) -> list[Resize]:
    allowed = bounds.maximum if bounds.replicas > 0 else 0
    change = allowed - sum(map(size_of, active))
    newest_first = sorted(active, key=lambda rs: (created_at(rs), name_of(rs)), reverse=change > 0)
    largest_first = sorted(newest_first, key=size_of, reverse=True)
    sizes: dict[str, int] = {}
    given = 0
    for rs in largest_first:
        share = _share(deployment, rs, bounds)
        rest = change - given
        part = max(0, min(share, rest)) if change > 0 else min(0, max(share, rest))
        sizes[name_of(rs)] = size_of(rs) + part
        given += part
    largest = name_of(largest_first[0])
    sizes[largest] = max(0, sizes[largest] + change - given)
    return [Resize(rs, sizes[name_of(rs)]) for rs in largest_first]


def _share(deployment: Object, rs: Object, bounds: Bounds) -> int:
    """How much one set would grow if all grew like the Deployment's maximum."""
    if bounds.replicas == 0:
        return -size_of(rs)
    noted = annotations_of(rs).get(MAXIMUM, "")
    before = int(noted) if noted.isdecimal() else status_of(deployment).get("replicas") or 0
    if not before:
        return 0
    exact = size_of(rs) * bounds.maximum
    return (2 * exact + before) // (2 * before) - size_of(rs)  # rounded half up
