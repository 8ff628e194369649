"""Watches: cursors over the log, not queues.

A watch is a position (a revision) and a filter. It holds no events: when it is asked for more, it reads what lies
after its position, from the window in memory or, if it is further behind, from the journal in chunks. So a thousand
idle watches cost nothing per write but a wake-up of those whose resource changed, a slow one cannot hoard memory, and
order and completeness follow from the log's. What bounds a slow watch is the log's own retention: once compaction has
passed its position it ends with `Compacted`, is counted, and its client lists anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from control.store.records import Compacted, StoreEvent


class Source(Protocol):
    """Where a watch reads: the store."""

    @property
    def revision(self) -> int: ...

    def read(self, resource: str, namespace: str, after: int) -> tuple[Sequence[StoreEvent], int]:
        """Some events after a revision and the position that they reach; raises Compacted."""
        ...


class Watch:
    """An async iterator of StoreEvents. Ends when it is closed or the store is; raises Compacted when too slow."""

    def __init__(self, source: Source, resource: str, namespace: str, since: int, watchers: Watchers) -> None:
        self.resource = resource
        self.namespace = namespace
        self._source = source
        self._position = since
        self._watchers = watchers
        self._ready: deque[StoreEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def progress(self) -> int:
        """The revision up to which everything has been delivered: what a bookmark may say."""
        if self._ready:
            return self._ready[0].revision - 1
        if self._position >= self._watchers.last_of(self.resource):
            return max(self._position, self._source.revision)
        return self._position

    def take(self) -> list[StoreEvent]:
        """What can be had now without waiting; at most one chunk."""
        if not self._ready and not self._closed:
            self._fetch()
        taken = list(self._ready)
        self._ready.clear()
        return taken

    async def batch(self) -> list[StoreEvent]:
        """At least one event, or [] at the end. For who writes many at once; same order as iterating."""
        while not self._closed:
            taken = self.take()
            if taken:
                return taken
            if self._position < self._watchers.last_of(self.resource):
                continue  # a chunk of the journal held nothing for this namespace
            await self._wait()
        return []

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> StoreEvent:
        while not self._ready:
            if self._closed:
                raise StopAsyncIteration
            self._fetch()
            if not self._ready and self._position >= self._watchers.last_of(self.resource):
                await self._wait()
        return self._ready.popleft()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._ready.clear()
            self._watchers.forget(self)
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fetch(self) -> None:
        if self._position >= self._watchers.last_of(self.resource):
            self._position = max(self._position, self._source.revision)  # nothing of it happened: no need to read
            return
        try:
            events, self._position = self._source.read(self.resource, self.namespace, self._position)
        except Compacted:
            self._watchers.expired += 1
            self.close()
            raise
        self._ready.extend(events)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def __repr__(self) -> str:
        return f"<Watch {self.resource} {self.namespace or '*'} at {self.progress}>"


class Watchers:
    """Who watches what, and the last revision of each resource (what a watch compares its position with)."""

    def __init__(self) -> None:
        self.expired = 0
        self._watches: dict[str, set[Watch]] = {}
        self._last: dict[str, int] = {}

    def last_of(self, resource: str) -> int:
        return self._last.get(resource, 0)

    def add(self, watch: Watch) -> None:
        self._watches.setdefault(watch.resource, set()).add(watch)

    def forget(self, watch: Watch) -> None:
        self._watches.get(watch.resource, set()).discard(watch)

    def saw(self, resource: str, revision: int) -> None:
        self._last[resource] = revision

    def wake(self, resources: Iterable[str]) -> None:
        for resource in resources:
            for watch in self._watches.get(resource, ()):
                watch.wake()

    def close(self) -> None:
        for watches in list(self._watches.values()):
            for watch in list(watches):
                watch.close()

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._watches.values())


Clock = Callable[[], float]
