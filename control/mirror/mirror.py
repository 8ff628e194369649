"""The mirror: list and watch each kind, and keep a `World` in step with the API server.

Per kind one task lists, then watches from the list's version, for ever. A watch that ends is continued from the last
version seen; `Expired` means that history is gone, so the kind is listed anew and what vanished meanwhile is removed;
anything else waits a little, longer each time, and goes on from where it was. The world keeps its last good state all
the while: no news is never bad news.

Versions decide what is new. An object replaces another only with a higher resourceVersion (they are comparable
numbers), so lists, watches and our own writes may arrive in any order. `observe` takes the result of an own write in
at once (read-your-writes: otherwise a controller that looks again before the echo arrives decides on a world without
its own deeds). An observed object that is older than what the watch has already brought is ignored: it may have been
deleted since, and nobody would delete it again. Only a list that is older than what was seen before tells of a server
that started over (its data folder was emptied): then the list alone counts.

Subscribers are told (kind, old, new) after the world has taken a change in: new is None for a deletion, old for a
birth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from control.api.kinds import Kind
from control.api.objects import Key, Object, key_of
from control.api.status import StatusError
from control.mirror.client import Client, Listing, WatchEvent
from control.mirror.world import LiveWorld, World, version_of

logger = logging.getLogger(__name__)

OnChange = Callable[[Kind, Object | None, Object | None], None]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts. client-go waits 0.8 to 30 s; one machine can ask sooner without harm."""

    first_s: float = 0.02
    max_s: float = 1.0
    factor: float = 2.0

    def after(self, failures: int) -> float:
        return min(self.max_s, self.first_s * self.factor ** min(failures - 1, 30))


class Mirror:
    """Feeds one world with `kinds`; `fields` narrows a kind by a field selector. Use `start` and `close`, or `run`."""

    def __init__(
        self,
        client: Client,
        kinds: Iterable[Kind],
        *,
        on_change: OnChange | None = None,
        fields: Mapping[Kind, str] | None = None,
        backoff: Backoff = Backoff(),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._fields = dict(fields or {})
        self._backoff = backoff
        self._pause = pause
        self._subscribers: list[OnChange] = [on_change] if on_change else []
        self._world = LiveWorld()
        self._positions: dict[Kind, int] = dict.fromkeys(kinds, -1)
        self._waiting = set(self._positions)
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters: list[tuple[Callable[[World], bool], asyncio.Future[None]]] = []
        self.synced = asyncio.Event()
        self.lists = 0
        self.failures = 0
        if not self._waiting:
            self.synced.set()

    @property
    def world(self) -> World:
        return self._world

    def subscribe(self, on_change: OnChange) -> None:
        self._subscribers.append(on_change)

    def observe(self, kind: Kind, obj: Object) -> bool:
        """Takes in the result of an own create, update or patch; says whether it was news.

        Not for the result of a delete: whether that object still exists, only the watch can tell.
        """
        if kind not in self._positions:
            return False
        version = version_of(obj)
        if version <= self._positions[kind] or self._positions[kind] < 0:
            return False  # before the first list there is no telling what was deleted since
        return self._put(kind, obj, version)

    async def until(self, condition: Callable[[World], bool], timeout_s: float) -> bool:
        """Waits until the world meets a condition; says whether it did in time."""
        if condition(self._world):
            return True
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter[1]
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(waiter)
        return True

    # Feeding

    def start(self) -> None:
        """Begins to mirror, in tasks of the running loop."""
        self._tasks = [asyncio.ensure_future(self._follow(kind)) for kind in self._positions]

    async def run(self) -> None:
        """Mirrors until it is cancelled."""
        self.start()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            await self.close()

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, kind: Kind) -> None:
        failures = 0
        version = ""  # the place to continue from; "" lists
        while True:
            try:
                if not version:
                    listing = await self._client.list(kind, field_selector=self._fields.get(kind, ""))
                    version = listing.resource_version
                    self._replace(kind, listing)
                before = version
                async for event in self._client.watch(
                    kind, resource_version=version, field_selector=self._fields.get(kind, "")
                ):
                    version = self._take(kind, event) or version
                    failures = 0
                if version != before:
                    continue
                failures += 1  # an empty watch: do not ask again in a tight circle
            except StatusError as error:
                failures += 1
                if version and error.code == 410:
                    version = ""
                    if failures == 1:
                        continue
                elif version and error.code < 500 and error.code != 429:
                    version = ""  # the server does not like where we are
                self._complain(kind, error, failures)
            except (ConnectionError, TimeoutError) as error:
                failures += 1
                self._complain(kind, error, failures)
            except Exception as error:  # a server that sends what it must not: never the end of a mirror
                failures += 1
                version = ""
                logger.exception("mirroring %s failed: %s", kind.resource, error)
            await self._pause(self._backoff.after(failures))

    def _complain(self, kind: Kind, error: Exception, failures: int) -> None:
        self.failures += 1
        level = logging.WARNING if failures in (1, 10) else logging.DEBUG
        logger.log(level, "mirroring %s: %s (attempt %d)", kind.resource, error or type(error).__name__, failures)

    def _replace(self, kind: Kind, listing: Listing) -> None:
        """The list is the truth as of its version; what we know to be newer stays."""
        self.lists += 1
        position = int(listing.resource_version) if listing.resource_version.isdecimal() else 0
        started_over = position < self._positions[kind]
        there: set[Key] = set()
        for obj in listing.items:
            there.add(key_of(obj))
            self._put(kind, obj, 0 if started_over else version_of(obj))
        for known in self._world.list(kind):
            if key_of(known) not in there and (started_over or version_of(known) <= position):
                self._remove(kind, key_of(known), known)
        self._positions[kind] = position
        self._world.learn(kind)
        self._waiting.discard(kind)
        if not self._waiting:
            self.synced.set()

    def _take(self, kind: Kind, event: WatchEvent) -> str:
        """Takes an event in; returns the version to continue from."""
        version = version_of(event.object)
        if event.type == "DELETED":
            known = self._world.get(kind, *key_of(event.object))
            if known is not None and version_of(known) <= version:
                self._remove(kind, key_of(event.object), event.object)
        elif event.type != "BOOKMARK":
            self._put(kind, event.object, version)
        self._positions[kind] = max(version, self._positions[kind])
        return str(event.object["metadata"]["resourceVersion"])

    def _put(self, kind: Kind, obj: Object, version: int) -> bool:
        known = self._world.get(kind, *key_of(obj))
        if known is not None and version and version_of(known) >= version:
            return False
        self._world.put(kind, obj)
        self._tell(kind, known, obj)
        return True

    def _remove(self, kind: Kind, key: Key, last: Object) -> None:
        if self._world.remove(kind, key) is not None:
            self._tell(kind, last, None)

    def _tell(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(kind, old, new)
            except Exception:
                logger.exception("a subscriber failed on %s %s", kind.resource, key_of(new or old or {}))
        for condition, waiter in self._waiters:
            if not waiter.done() and condition(self._world):
                waiter.set_result(None)

    def __repr__(self) -> str:
        state = "synced" if self.synced.is_set() else f"waiting for {', '.join(k.plural for k in self._waiting)}"
        return f"<Mirror {state}, {self._world!r}>"
