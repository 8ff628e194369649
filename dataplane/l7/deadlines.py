"""Many timeouts, one timer: a wheel of buckets that one sweep a worker turns.

A connection has one `deadline` at a time and moves it on every request; nothing is scheduled for that. It sits in the
bucket of the earliest deadline that it announced; when the sweep reaches that bucket the connection is looked at, and
if its deadline has moved on it is put into the later bucket. So a busy connection costs one store a request and one
look a timeout's length, and ten thousand idle ones cost nothing between their deadlines. A connection that ends says
so (`forget`), else a bucket would keep it until a deadline that nobody waits for.

A deadline is kept to the wheel's resolution: it fires up to one `resolution` late, never early.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

NEVER: Final = math.inf


class Timed(Protocol):
    """What can sit in a wheel. `deadline` is its own to move; `bucket` is the wheel's note where it sits: in the bucket
    of deadlines from there on.
    """

    deadline: float
    bucket: float

    def expired(self, now: float) -> None: ...


class Wheel:
    """Deadlines of many items. Times are monotonic seconds and given by the caller."""

    __slots__ = ("_buckets", "_resolution", "_swept")

    def __init__(self, resolution: float, now: float) -> None:
        self._resolution = resolution
        self._swept = math.floor(now / resolution)
        self._buckets: dict[float, dict[Timed, None]] = {}  # by where it begins; looked at when it has ended

    def __repr__(self) -> str:
        return f"Wheel({sum(map(len, self._buckets.values()))} entries in {len(self._buckets)} buckets)"

    def watch(self, item: Timed) -> None:
        """See that `item` is looked at by its deadline. Needed only if `item.deadline < item.bucket`."""
        self.forget(item)
        item.bucket = max(math.floor(item.deadline / self._resolution), self._swept) * self._resolution
        self._buckets.setdefault(item.bucket, {})[item] = None

    def forget(self, item: Timed) -> None:
        """`item` is not to be looked at any more."""
        if item.bucket == NEVER:
            return
        bucket = self._buckets[item.bucket]
        del bucket[item]
        if not bucket:
            del self._buckets[item.bucket]
        item.bucket = NEVER

    def due(self, now: float) -> list[Timed]:
        """Items whose deadline has come; they are in the wheel no more until `watch`ed again."""
        last = math.floor(now / self._resolution)
        if last - self._swept > len(self._buckets):
            places = sorted(place for place in self._buckets if place < last * self._resolution)
        else:
            places = [index * self._resolution for index in range(self._swept, last)]
        self._swept = max(last, self._swept)
        found: list[Timed] = []
        for place in places:
            for item in self._buckets.pop(place, ()):
                item.bucket = NEVER
                if item.deadline <= now:
                    found.append(item)
                elif item.deadline < NEVER:
                    self.watch(item)
        return found
