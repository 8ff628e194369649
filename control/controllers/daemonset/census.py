"""The nodes of a cluster as one DaemonSet sees them: should a pod be here, which pods are, and what that adds up to.

The status counts nodes, not pods: a node is ready or available if any pod on it is, as the API says; it is updated when
no old pod stays, so that in a surge the end is not announced while a new pod is not available yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control.api.kinds import NODE
from control.api.objects import Object, is_deleting, labels_of, meta, name_of, spec_of, status_of
from control.controllers.daemonset.eligibility import fit, target_of
from control.controllers.percent import scaled
from control.controllers.pods import available_at, created_at, is_finished, is_ready, node_of
from control.controllers.revisions import POD_LABEL
from control.mirror.world import World


@dataclass(frozen=True, slots=True)
class Place:
    """One node: `pods` are all of the set's there, from the oldest; those that are finished and going do not count."""

    node: str
    runs: bool
    stays: bool
    pods: tuple[Object, ...]

    @property
    def staying(self) -> list[Object]:
        return [pod for pod in self.pods if not is_deleting(pod)]


@dataclass(frozen=True, slots=True)
class Census:
    places: tuple[Place, ...]
    lost: tuple[Object, ...]  # made for nodes that do not exist any more

    @classmethod
    def of(cls, world: World, owner: Object, held: Iterable[Object]) -> Census:
        by_node: dict[str, list[Object]] = {}
        for pod in held:
            if not (is_finished(pod) and is_deleting(pod)):
                by_node.setdefault(target_of(pod), []).append(pod)
        template = spec_of(owner).get("template") or {}
        places = []
        for node in world.list(NODE):
            pods = sorted(by_node.pop(name_of(node), ()), key=_seniority)
            places.append(Place(name_of(node), *fit(template, node), tuple(pods)))
        lost = [pod for pods in by_node.values() for pod in pods if not node_of(pod) and not is_deleting(pod)]
        return cls(tuple(places), tuple(lost))

    @property
    def desired(self) -> int:
        return sum(place.runs for place in self.places)


def _seniority(pod: Object) -> tuple[bool, datetime, str]:
    return not node_of(pod), created_at(pod), name_of(pod)


def is_available(owner: Object, pod: Object, now: datetime) -> bool:
    since = available_at(pod, spec_of(owner).get("minReadySeconds") or 0)
    return since is not None and since <= now


def has_hash(pod: Object, hash_: str) -> bool:
    return labels_of(pod).get(POD_LABEL) == hash_


@dataclass(frozen=True, slots=True)
class Bounds:
    """How a rolling update may go: surge pods on this many nodes, or this many nodes without an available pod."""

    surge: int
    unavailable: int

    @classmethod
    def of(cls, owner: Object, desired: int) -> Bounds:
        rolling = (spec_of(owner).get("updateStrategy") or {}).get("rollingUpdate") or {}
        surge = scaled(rolling.get("maxSurge", 0), desired, round_up=True)
        unavailable = scaled(rolling.get("maxUnavailable", 1), desired, round_up=True)
        return cls(surge, unavailable if surge or unavailable else 1)


def surges(owner: Object) -> bool:
    """Whether two pods may be on a node for a while; not where the set is not rolled by itself."""
    strategy = spec_of(owner).get("updateStrategy") or {}
    return strategy.get("type", "RollingUpdate") == "RollingUpdate" and Bounds.of(owner, 100).surge > 0


def counted(owner: Object, census: Census, hash_: str, now: datetime) -> Object:
    """The status."""
    before = status_of(owner)
    served = [place for place in census.places if place.runs and place.pods]
    available = sum(any(is_available(owner, pod, now) for pod in place.pods) for place in served)
    status: Object = {
        "currentNumberScheduled": len(served),
        "numberMisscheduled": sum(bool(place.pods) for place in census.places if not place.runs),
        "desiredNumberScheduled": census.desired,
        "numberReady": sum(any(map(is_ready, place.pods)) for place in served),
        "observedGeneration": meta(owner).get("generation") or 0,
        "updatedNumberScheduled": sum(_is_updated(place, hash_) for place in served),
        "numberAvailable": available,
        "numberUnavailable": census.desired - available,
        "collisionCount": before.get("collisionCount"),
        "conditions": before.get("conditions"),
    }
    always = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    return {field: value for field, value in status.items() if value or field in always}


def _is_updated(place: Place, hash_: str) -> bool:
    return bool(place.staying) and all(has_hash(pod, hash_) for pod in place.staying)


def next_available(owner: Object, pods: Sequence[Object], now: datetime) -> datetime | None:
    minimum = spec_of(owner).get("minReadySeconds") or 0
    times = (available_at(pod, minimum) for pod in pods if not is_deleting(pod))
    return min((at for at in times if at is not None and at > now), default=None)
