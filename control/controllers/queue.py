"""A work queue of one controller: each key at most once, at most once at a time, later after failures.

The rules are client-go's `workqueue`. A key that is added while it waits is not added again. A key that is added while
it is worked on is kept aside and comes back when its work is done: what changed meanwhile is looked at with fresh eyes,
and no two workers ever hold the same key. A failed key comes back after 5 ms, 10 ms, 20 ms ... 1000 s
(`DefaultTypedControllerRateLimiter`); a success forgets the count. A key may also be asked for at a later time; of
several times the earliest counts, and any other reason to look at it counts too.

Times are monotonic seconds of the machine, given by the caller: what a failing key asks again is a server that is no
faster when cluster time is. Only the longest back-off is a cluster duration.
"""

from __future__ import annotations

import heapq
from collections import deque

from control.api.objects import Key

BACKOFF_FIRST_S = 0.005
BACKOFF_MAX_S = 1000.0


def backoff_s(failures: int, max_s: float = BACKOFF_MAX_S) -> float:
    """How long to wait after that many failures in a row (1, 2, ...)."""
    return min(max_s, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 40))


class Queue:
    """Keys to be looked at. `pop` hands one out; give it back with `done`, after `fail` or `forget`."""

    def __init__(self, backoff_max_s: float = BACKOFF_MAX_S) -> None:
        self._backoff_max_s = backoff_max_s
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()  # in `_ready`, or dirty while in `_held`
        self._held: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._timers: list[tuple[float, Key]] = []  # may hold outdated entries: `_due` decides
        self._failures: dict[Key, int] = {}
        self.added = 0

    def add(self, key: Key) -> None:
        """Asks for a key now."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        self.added += 1
        if key not in self._held:
            self._ready.append(key)

    def add_at(self, key: Key, at: float) -> None:
        """Asks for a key at a time, unless it is asked for earlier anyway."""
        if self._due.get(key, at + 1.0) > at:
            self._due[key] = at
            heapq.heappush(self._timers, (at, key))

    def pop(self, now: float) -> Key | None:
        """The next key to look at, None when there is none now."""
        self._ripen(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._held.add(key)
        return key

    def fail(self, key: Key, now: float) -> float:
        """The key's work failed: it comes back after its back-off, which is returned."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_s = backoff_s(failures, self._backoff_max_s)
        self.add_at(key, now + delay_s)
        return delay_s

    def failures(self, key: Key) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """The key's work succeeded: the next failure is the first."""
        self._failures.pop(key, None)

    def done(self, key: Key) -> None:
        """Nobody works on the key any more."""
        self._held.discard(key)
        if key in self._waiting:
            self._ready.append(key)

    def next_at(self) -> float | None:
        """When the next timed key is due; -inf when a key is ready now, None when nothing is asked for."""
        if self._ready:
            return float("-inf")
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _ripen(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            at, key = heapq.heappop(self._timers)
            if self._due.get(key) == at:
                del self._due[key]
                self.add(key)

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<Queue {len(self._waiting)} waiting, {len(self._held)} held, {len(self._due)} timed>"
