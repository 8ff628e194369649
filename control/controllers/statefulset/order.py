"""Which pods of a StatefulSet to make and to delete next, and in which order.

Three tasks, each only when those before it are done: fill the ordinals that are wanted (from the lowest), delete those
that are not (from the highest), replace what has an old revision (from the highest, not below the partition).

OrderedReady does one thing at a time: it stops at the first wanted pod that is missing (making it), finished (deleting
it, so that it can be made again), terminating, or not available; so a broken pod stops scaling and rollout alike, and
going back to a good template does not replace it (Kubernetes' documented "forced rollback" is to delete it by hand).
Scaling down waits for each pod to be gone, and for all lower ones to be available, but the first unavailable pod itself
may go. Parallel does every task for all pods at once.

Of old pods, those that are not available may go at once, for nothing is lost with them; of the others as many as
maxUnavailable leaves over (default 1, a percentage rounded down, at least 1). Kubernetes' MaxUnavailableStatefulSet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control.api.objects import Object, is_deleting, spec_of
from control.controllers.percent import scaled
from control.controllers.pods import available_at, is_finished, is_ready, phase_of
from control.controllers.statefulset.identity import ordinal_of, replicas_of, revision_of, start_of


@dataclass(frozen=True, slots=True)
class Lineup:
    """The pods of a set: `wanted` has one place for each ordinal from `start` (None: missing), `condemned` are those
    of other ordinals, from the highest."""

    start: int
    wanted: tuple[Object | None, ...]
    condemned: tuple[Object, ...]

    @classmethod
    def of(cls, owner: Object, pods: Sequence[Object]) -> Lineup:
        start = start_of(owner)
        ordinals = {ordinal: pod for pod in pods if (ordinal := ordinal_of(owner, pod)) is not None}
        wanted = tuple(ordinals.pop(start + index, None) for index in range(replicas_of(owner)))
        return cls(start, wanted, tuple(ordinals[ordinal] for ordinal in sorted(ordinals, reverse=True)))

    @property
    def pods(self) -> tuple[Object, ...]:
        return (*(pod for pod in self.wanted if pod is not None), *self.condemned)


@dataclass(frozen=True, slots=True)
class Moves:
    """What to do: ordinals to make pods for, and pods to delete; `as_seen`: since they are (not) available now."""

    make: tuple[int, ...] = ()
    drop: tuple[Object, ...] = ()
    as_seen: bool = False


IsAvailable = Callable[[Object | None], bool]


def next_moves(owner: Object, lineup: Lineup, update_revision: str, now: datetime) -> Moves:
    minimum = spec_of(owner).get("minReadySeconds") or 0

    def available(pod: Object | None) -> bool:
        return pod is not None and not is_deleting(pod) and is_available(pod, minimum, now)

    if spec_of(owner).get("podManagementPolicy") == "Parallel":
        moves = _all_at_once(lineup)
    else:
        moves = _one_by_one(lineup, available)
    if moves is not None:
        return moves
    strategy = spec_of(owner).get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return Moves()
    rolling = strategy.get("rollingUpdate") or {}
    return Moves(drop=_outdated(owner, rolling, lineup, update_revision, available), as_seen=True)


def is_running(pod: Object) -> bool:
    return phase_of(pod) == "Running" and is_ready(pod)


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    since = available_at(pod, min_ready_seconds)
    return phase_of(pod) == "Running" and since is not None and since <= now


def _one_by_one(lineup: Lineup, available: IsAvailable) -> Moves | None:
    """The one next move of filling or emptying; None when neither has anything left to do or to wait for."""
    for index, pod in enumerate(lineup.wanted):
        if pod is None:
            return Moves(make=(lineup.start + index,))
        if is_finished(pod) and not is_deleting(pod):
            return Moves(drop=(pod,))
        if not available(pod):
            return Moves()
    if not lineup.condemned:
        return None
    highest = lineup.condemned[0]
    first_unavailable = next((pod for pod in reversed(lineup.condemned) if not available(pod)), None)
    if is_deleting(highest) or not (available(highest) or highest is first_unavailable):
        return Moves()
    return Moves(drop=(highest,))


def _all_at_once(lineup: Lineup) -> Moves | None:
    missing = tuple(lineup.start + index for index, pod in enumerate(lineup.wanted) if pod is None)
    finished = [pod for pod in lineup.wanted if pod is not None and is_finished(pod) and not is_deleting(pod)]
    condemned = [pod for pod in lineup.condemned if not is_deleting(pod)]
    if missing or finished or condemned:
        return Moves(missing, (*finished, *condemned))
    return None


def _outdated(
    owner: Object, rolling: Object, lineup: Lineup, update_revision: str, available: IsAvailable
) -> tuple[Object, ...]:
    replicas = len(lineup.wanted)
    maximum = rolling.get("maxUnavailable")
    most = 1 if maximum is None else max(1, scaled(maximum, replicas, round_up=False))
    spare = most - sum(not available(pod) for pod in lineup.wanted)
    drop: list[Object] = []
    for pod in reversed(lineup.wanted[int(rolling.get("partition") or 0) :]):
        if pod is None or is_deleting(pod) or revision_of(pod) == update_revision:
            continue
        if available(pod):
            if spare <= 0:
                continue
            spare -= 1
        drop.append(pod)
    return tuple(drop)


def revision_to_make(owner: Object, ordinal: int, current: Object, update: Object) -> Object:
    """Which revision a missing pod gets: below the partition the current one, so that it comes back as it was."""
    strategy = spec_of(owner).get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if strategy.get("type") != "OnDelete" and ordinal < start_of(owner) + partition:
        return current
    return update


def is_complete(owner: Object, status: Object) -> bool:
    """Whether a rolling update has reached every pod, so that the update revision becomes the current one."""
    strategy = spec_of(owner).get("updateStrategy") or {}
    counts = {status.get(field) or 0 for field in ("replicas", "readyReplicas", "updatedReplicas")}
    return strategy.get("type") != "OnDelete" and counts == {replicas_of(owner)}
