"""A picker chooses one of the endpoints that may be chosen; each policy is one file beside this one.

A picker gets a non-empty sequence and returns one of its members in one breath; the caller records the lease before
anything else runs, so what a picker reads of `active` is true. There are two kinds. A `Picker` holds no endpoints, only
what its policy needs to remember, so that a changed set needs no word to it. A `Plan` is made for one set, because its
policy is worth some work ahead (a ring, a table, a timetable); another set has another plan, which may take over what
the one before remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar


class Candidate(Protocol):
    """What a policy may know of an endpoint."""

    @property
    def id(self) -> str: ...

    @property
    def active(self) -> int:
        """Leases (connections or requests) from this worker."""

    @property
    def weight(self) -> int:
        """Its share, as a multiple of the others'; at least 1."""

    @property
    def latency(self) -> Any:
        """What `peak_ewma` has noted of it."""


C = TypeVar("C", bound=Candidate)
C_co = TypeVar("C_co", bound=Candidate, covariant=True)

Random = Callable[[], float]
"""A source of numbers in [0, 1), as `random.Random(seed).random`."""


def draw_two(usable: Sequence[C], random: Random) -> tuple[C, C]:
    """Two different ones, each pair with equal probability; of a single one twice the same."""
    count = len(usable)
    if count == 1:
        return usable[0], usable[0]
    first = int(random() * count)
    second = int(random() * (count - 1))
    return usable[first], usable[second + 1 if second >= first else second]


class Picker(Protocol):
    def pick(self, usable: Sequence[C], now: float) -> C:
        """One of `usable`, which is not empty; `now` is monotonic seconds."""
        ...


class Plan(Protocol[C_co]):
    """A policy's work for one set of endpoints."""

    def pick(self, key: bytes, skipped: Collection[str]) -> C_co | None:
        """One whose id is not in `skipped`; None if all are. `key` is what the request is hashed by."""
        ...
