"""A picker chooses one of the endpoints that may be chosen; each policy is one file beside this one.

A picker gets a non-empty sequence and returns one of its members in one breath; the caller records the lease before
anything else runs, so what a picker reads of `active` is true. Pickers hold no endpoints, only what their policy
needs to remember, so that a changed set needs no word to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What a policy may know of an endpoint: how many leases (connections or requests) it has from this worker."""

    @property
    def active(self) -> int: ...


C = TypeVar("C", bound=Candidate)

Random = Callable[[], float]
"""A source of numbers in [0, 1), as `random.Random(seed).random`."""


class Picker(Protocol):
    def pick(self, usable: Sequence[C]) -> C:
        """One of `usable`, which is not empty."""
        ...
