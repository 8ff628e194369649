"""Many timeouts, one timer: a wheel of buckets that one sweep a worker turns.

A connection has one `deadline` at a time and moves it on every request; nothing is scheduled for that. It sits in the
bucket of the earliest deadline it ever announced; when the sweep reaches that bucket the connection is looked at, and
if its deadline has moved on it is put into the later bucket. So a busy connection costs one store a request and one
look a timeout's length, and ten thousand idle ones cost nothing between their deadlines.

A deadline is kept to the wheel's resolution: it fires up to one `resolution` late, never early.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

NEVER: Final = math.inf


class Timed(Protocol):
    """What can sit in a wheel. `deadline` is its own to move; `bucket` is the wheel's note where it sits."""

    deadline: float
    bucket: float

    def expired(self, now: float) -> None: ...


class Wheel:
    """Deadlines of many items. Times are monotonic seconds and given by the caller."""

    __slots__ = ("_buckets", "_resolution", "_swept")

    def __init__(self, resolution: float, now: float) -> None:
        self._resolution = resolution
        self._swept = math.floor(now / resolution)
        self._buckets: dict[int, list[Timed]] = {}

    def __repr__(self) -> str:
        return f"Wheel({sum(map(len, self._buckets.values()))} entries in {len(self._buckets)} buckets)"

    def watch(self, item: Timed) -> None:
        """See that `item` is looked at by its deadline. Needed only if `item.deadline < item.bucket`."""
        index = max(math.floor(item.deadline / self._resolution), self._swept) + 1
        item.bucket = index * self._resolution
        self._buckets.setdefault(index, []).append(item)

    def due(self, now: float) -> list[Timed]:
        """Items whose deadline has come; they are in the wheel no more until `watch`ed again."""
        last = math.floor(now / self._resolution)
        if last - self._swept > len(self._buckets):
            indices = sorted(index for index in self._buckets if index <= last)
        else:
            indices = [index for index in range(self._swept + 1, last + 1) if index in self._buckets]
        self._swept = max(last, self._swept)
        found: list[Timed] = []
        for index in indices:
            place = index * self._resolution
            for item in self._buckets.pop(index):
                if item.bucket != place:
                    continue  # it announced an earlier deadline meanwhile and sits there
                if item.deadline <= now:
                    item.bucket = NEVER
                    found.append(item)
                elif item.deadline == NEVER:
                    item.bucket = NEVER
                else:
                    self.watch(item)
        return found
