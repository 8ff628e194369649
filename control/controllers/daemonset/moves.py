"""Where a DaemonSet makes and deletes pods next.

Keeping (`keep`) comes first: a node that should run a pod and has none gets one; a node that should not loses its; of
several running pods on a node one stays, an available one if there is any, of those the oldest; a pod that has finished
is deleted and made again. Only when nothing of that is to do, the rollout (`roll`) goes on, in one of two ways:

- maxUnavailable: old pods that are not available go at once, for nothing is lost with them; of the others as many as
  keep the nodes without an available pod within the bound (of the nodes that should run one: a pod that waits where it
  only may stay holds nothing up).
- maxSurge: a new pod is made beside the old one, at once where the old one is not available, elsewhere on as many nodes
  at a time as the bound says; the old one goes when the new one is available (or when the old one ceases to be ready,
  for then it has no use).

A pod that fails over and over is replaced after 1, 2, 4 ... s, at most 15 min, counted from the making of the failed
pod. The count is kept on the pod itself (annotation loopkube.io/failed-before): a failed pod and its successor are
deleted and made in one outcome, so that the successor inherits it. A pod that held for half an hour starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control.api.objects import Object, annotations_of, is_deleting, name_of, namespace_of
from control.controllers.daemonset.census import Bounds, Census, Place, has_hash, is_available, surges
from control.controllers.pods import created_at, is_finished, is_ready, phase_of

FAILED_BEFORE = "loopkube.io/failed-before"
BACK_OFF_MAX = timedelta(minutes=15)
FORGOTTEN = 2 * BACK_OFF_MAX


@dataclass(slots=True)
class Moves:
    """`make`: nodes and how often in a row their pods had failed; `drop` in order; `said`: (type, reason, text).

    `relied`: pods that must be as they were seen, for they stay when another on their node goes.
    """

    make: dict[str, int] = field(default_factory=dict)
    drop: list[Object] = field(default_factory=list)
    relied: list[Object] = field(default_factory=list)
    said: list[tuple[str, str, str]] = field(default_factory=list)
    wake_at: datetime | None = None
    as_seen: bool = False  # whether what goes does so for being (not) available now

    def __bool__(self) -> bool:
        return bool(self.make or self.drop)


def keep(owner: Object, census: Census, hash_: str, now: datetime) -> Moves:
    moves = Moves(drop=list(census.lost))
    for place in census.places:
        if place.runs and not place.pods:
            moves.make[place.node] = 0
        elif place.stays:
            _tend(owner, place, hash_, moves, now)
        else:
            moves.drop += place.staying
    return moves


def _tend(owner: Object, place: Place, hash_: str, moves: Moves, now: datetime) -> None:
    """A node where a pod may stay."""
    failures = 0
    replaced = False
    for pod in place.staying:
        if not is_finished(pod):
            continue
        failed = phase_of(pod) == "Failed"
        if failed:
            failures = _failures(pod, now)
            due = created_at(pod) + _back_off(failures)
            if due > now:
                moves.wake_at = due if moves.wake_at is None else min(moves.wake_at, due)
                continue
        moves.drop.append(pod)
        moves.said.append(_finished(place, pod, failed))
        failures += failed
        replaced = True
    running = sorted(
        (pod for pod in place.staying if not is_finished(pod)), key=lambda pod: not is_available(owner, pod, now)
    )
    others = [pod for pod in place.pods if is_deleting(pod)]
    if replaced and place.runs and not running and not others:
        moves.make[place.node] = failures
    if surges(owner):
        if not running and place.runs and others and not replaced:
            moves.make[place.node] = 0
        surplus = list(_surplus(owner, running, hash_, now))
    else:
        surplus = running[1:]
    if surplus:
        moves.drop += surplus
        moves.relied += [pod for pod in running if pod not in surplus]
        moves.as_seen = True  # an old pod that goes for not being ready must not have become so


def _surplus(owner: Object, running: list[Object], hash_: str, now: datetime) -> Iterable[Object]:
    """Of two generations on a node, the best pod of each stays while the new one is not available."""
    if len(running) <= 1:
        return
    new = [pod for pod in running if has_hash(pod, hash_)]
    old = [pod for pod in running if not has_hash(pod, hash_)]
    yield from (*new[1:], *old[1:])
    if new and old and (not is_ready(old[0]) or is_available(owner, new[0], now)):
        yield old[0]


def _failures(pod: Object, now: datetime) -> int:
    text = annotations_of(pod).get(FAILED_BEFORE, "")
    return int(text) if text.isdecimal() and now - created_at(pod) < FORGOTTEN else 0


def _back_off(failures: int) -> timedelta:
    """How long a pod must have been there before it is replaced, when `failures` failed before it."""
    return min(BACK_OFF_MAX, timedelta(seconds=2 ** min(failures - 1, 20))) if failures else timedelta(0)


def _finished(place: Place, pod: Object, failed: bool) -> tuple[str, str, str]:
    name = f"{namespace_of(pod)}/{name_of(pod)}"
    if failed:
        text = f"Found failed daemon pod {name} on node {place.node}, will try to kill it"
        return "Warning", "FailedDaemonPod", text
    return (
        "Normal",
        "SucceededDaemonPod",
        f"Found succeeded daemon pod {name} on node {place.node}, will try to delete it",
    )


def roll(owner: Object, census: Census, hash_: str, now: datetime) -> Moves:
    bounds = Bounds.of(owner, census.desired)
    return _surging(owner, census, hash_, bounds, now) if bounds.surge else _plain(owner, census, hash_, bounds, now)


def _generations(place: Place, hash_: str) -> tuple[Object | None, Object | None] | None:
    """The new and the old pod of a node; None where there are several of a generation, which `keep` sets right."""
    new = [pod for pod in place.staying if has_hash(pod, hash_)]
    old = [pod for pod in place.staying if not has_hash(pod, hash_)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def _plain(owner: Object, census: Census, hash_: str, bounds: Bounds, now: datetime) -> Moves:
    moves = Moves(as_seen=True)
    unavailable = 0
    candidates: list[Object] = []
    for place in census.places:
        if not place.pods and not place.runs:
            continue
        found = _generations(place, hash_)
        new, old = found if found is not None else (None, None)
        if (new is None) == (old is None):
            unavailable += place.runs
        elif new is not None:
            unavailable += place.runs and not is_available(owner, new, now)
        elif old is not None and not is_available(owner, old, now):
            unavailable += place.runs
            moves.drop.append(old)
        elif old is not None:
            candidates.append(old)
    moves.drop += candidates[: max(0, bounds.unavailable - unavailable)]
    return moves


def _surging(owner: Object, census: Census, hash_: str, bounds: Bounds, now: datetime) -> Moves:
    moves = Moves()
    surging = 0
    candidates: list[str] = []
    for place in census.places:
        found = _generations(place, hash_)
        if found is None:
            surging += 1
            continue
        new, old = found
        if old is None or not place.runs:
            continue
        if new is not None:
            if is_available(owner, new, now):
                moves.drop.append(old)
                moves.relied.append(new)
            else:
                surging += 1
        elif is_available(owner, old, now):
            candidates.append(place.node)
        else:
            moves.make[place.node] = 0
    for node in candidates[: max(0, bounds.surge - surging)]:
        moves.make[node] = 0
    return moves
