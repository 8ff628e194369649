"""The store: what etcd gives Kubernetes, in one process. A revisioned log with watches, durable in SQLite.

One owner, one event loop. Every write is decided at once (`log.Drafts`: precondition and revision in one breath) and
becomes visible when it is committed; all writes of one loop iteration, or those that arrive while a commit is under
way, share one transaction. A put returns after its commit. A refusal that rests on somebody's uncommitted write
waits for that commit and is judged again, so no answer depends on what is not on disk, and who is refused can see why.

Readers and watches see committed state only. They hold positions (revisions), not queues, so what a watch costs does
not depend on how far behind it is (`watchers`). History is kept for `history_events_max` writes and `history_age_s`
seconds, whichever is less; who is further behind gets `Compacted` and lists anew.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from control.api.objects import Object
from control.store import journal as journals
from control.store.journal import Journal
from control.store.log import FIRST_REVISION, Drafts, Shelves, Window, as_of
from control.store.opening import Lock, damaged, prepare
from control.store.records import (
    Ahead,
    Compacted,
    Place,
    StoreClosed,
    Stored,
    StoreDamaged,
    StoreError,
    StoreEvent,
    WriteFailed,
)
from control.store.watchers import Clock, Watch, Watchers

Write = tuple[Place, StoreEvent, asyncio.Future[None]]
Batch = list[Write]
Listed = list[Stored]  # by a name, since the class here has a method called list

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Knobs:
    """Numbers of a store. kube-apiserver compacts etcd every 5 minutes (--etcd-compaction-interval)."""

    durability: Literal["normal", "full"] = "normal"  # full: sync each commit to the disk, see `journal`
    history_events_max: int = 10_000
    history_age_s: float = 300.0
    window_events_max: int = 512  # newest events kept in memory; older ones are read from the journal
    chunk_events_max: int = 256  # what a watch reads from the journal at once, and what a compaction drops at once
    compact_every_s: float = 10.0


DEFAULT_KNOBS = Knobs()


class Store:
    """All methods belong to the event loop's thread."""

    def __init__(self, path: Path | None, lock: Lock | None, clock: Clock, knobs: Knobs) -> None:
        """Use `open`."""
        self._path = path
        self._lock = lock
        self._clock = clock
        self._knobs = knobs
        self._shelves = Shelves()
        self._watchers = Watchers()
        loaded = journals.load(path, knobs.window_events_max)
        self.compacted_revision = loaded.compacted
        self.revision = max(FIRST_REVISION, loaded.revision)
        self._window = Window(max(FIRST_REVISION, loaded.start), knobs.window_events_max)
        self._floors: dict[str, int] = {}
        for resource, objects in loaded.state.items():
            self._shelves.fill(resource, objects)
            self._watchers.saw(resource, loaded.last[resource])
        for place, event in loaded.events:
            self._window.append(place, event)
        self._drafts = Drafts(self._shelves, self.revision)
        self._journal = Journal(path, durability=knobs.durability)
        self._slot_began = clock()
        self._marks = deque([(self._slot_began, self.revision)])  # when which revision was the last, by the second
        self._filling: Batch = []
        self._waiting: list[asyncio.Future[None]] = []
        self._busy: asyncio.Future[None] | None = None  # a commit in a thread
        self._scheduled = False
        self._checkpointing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path | None, *, clock: Clock = time.monotonic, knobs: Knobs = DEFAULT_KNOBS) -> Store:
        """Opens or creates a store; None is memory only. `clock` gives monotonic seconds.

        Raises StoreLocked, StoreTooNew, StoreDamaged or StoreUnusable, whose messages say what to do; the file has
        then not been touched.
        """
        if path is None:
            return cls(None, None, clock, knobs)
        lock = Lock(path)
        try:
            prepare(path)
            return cls(path, lock, clock, knobs)
        except StoreDamaged as error:
            lock.release()
            raise (error if str(path) in str(error) else damaged(path, error)) from None
        except sqlite3.Error as error:
            lock.release()
            raise damaged(path, error) from None
        except BaseException:
            lock.release()
            raise

    # Reading

    def get(self, resource: str, namespace: str, name: str) -> Stored | None:
        return self._shelves.get(Place(resource, namespace, name))

    def list(self, resource: str, namespace: str = "", *, at: int | None = None) -> Listed:
        """Everything of a resource, sorted by (namespace, name); `at`: as of that revision (Compacted, Ahead)."""
        current = self._shelves.list(resource, namespace)
        if at is None or at == self.revision:
            return current
        self._check_history(at)
        if at >= self._window.start:
            return as_of(current, reversed(self._window.after(resource, namespace, at)))
        return as_of(current, self._journal.newest_first(resource, namespace, at, self.revision))

    def watch(self, resource: str, namespace: str = "", *, since: int) -> Watch:
        """Everything that happens after `since`, without a gap (Compacted, Ahead). Close it when done."""
        if self._closed:
            raise StoreClosed("the store is closed")
        self._check_history(since)
        watch = Watch(self, resource, namespace, since, self._watchers)
        self._watchers.add(watch)
        return watch

    def read(self, resource: str, namespace: str, after: int) -> tuple[Sequence[StoreEvent], int]:
        """For watches: some events after a revision and the position that they reach."""
        if after >= self._window.start:
            return self._window.after(resource, namespace, after), self.revision
        if after < self._floors.get(resource, 0):
            raise Compacted(after, self.compacted_revision)
        return self._journal.read(resource, namespace, after, self.revision, self._knobs.chunk_events_max)

    def _check_history(self, revision: int) -> None:
        if revision > self.revision:
            raise Ahead(revision, self.revision)
        if revision < self.compacted_revision:
            raise Compacted(revision, self.compacted_revision)

    # Writing

    async def put(self, resource: str, namespace: str, name: str, obj: Object, *, expect: int | None) -> Stored:
        """Writes an object and returns it with its resourceVersion stamped (on a copy: `obj` is not changed).

        `expect` 0: it must not exist (AlreadyThere); n: it must be at revision n (Moved, Missing); None: whatever.
        The parts of `obj` belong to the store from now on: do not change them afterwards.
        """
        place = Place(resource, namespace, name)
        while True:
            self._check_open()
            try:
                event = self._drafts.put(place, obj, expect)
                break
            except StoreError:
                if not self._drafts.pending(place):
                    raise
            await self._settled()
        await self._enqueue(place, event)
        return event.stored

    async def delete(self, resource: str, namespace: str, name: str, *, expect: int | None) -> Stored:
        """Removes an object; returns its last state with the deletion's revision stamped (Missing, Moved)."""
        place = Place(resource, namespace, name)
        while True:
            self._check_open()
            try:
                event = self._drafts.delete(place, expect)
                break
            except StoreError:
                if not self._drafts.pending(place):
                    raise
            await self._settled()
        await self._enqueue(place, event)
        return event.stored

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")

    def _enqueue(self, place: Place, event: StoreEvent) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._filling.append((place, event, done))
        if not self._scheduled and self._busy is None:
            self._scheduled = True
            loop.call_soon(self._flush)
        return done

    async def _settled(self) -> None:
        """Waits until the next commit has ended, well or badly: then a refused write is judged again."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        await done

    def _flush(self) -> None:
        self._scheduled = False
        batch, self._filling = self._filling, []
        if not batch:
            return
        rows = [(place, event) for place, event, _ in batch]
        if self._knobs.durability == "full" and self._path is not None:
            loop = asyncio.get_running_loop()
            self._busy = loop.run_in_executor(None, self._journal.append, rows)
            self._busy.add_done_callback(lambda done: self._finish(batch, done.exception()))
            return
        try:
            self._journal.append(rows)
        except sqlite3.Error as error:
            self._finish(batch, error)
        else:
            self._finish(batch, None)

    def _finish(self, batch: Batch, error: BaseException | None) -> None:
        self._busy = None
        if error is not None:
            # What was decided meanwhile may rest on what is lost now.
            batch, self._filling = [*batch, *self._filling], []
            self._drafts.discard()
            logger.error("%d writes failed: %s", len(batch), error)
        else:
            for place, event, _ in batch:
                self._absorb(place, event)
                self._drafts.settle(place, event)
            self._watchers.wake(dict.fromkeys(place.resource for place, _, _ in batch))
        for _, _, done in batch:
            if not done.done():
                done.set_exception(WriteFailed(str(error))) if error else done.set_result(None)
        for done in self._waiting:
            if not done.done():
                done.set_result(None)
        self._waiting.clear()
        self._tend()
        if self._filling and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _absorb(self, place: Place, event: StoreEvent) -> None:
        """A committed write takes effect."""
        self._shelves.apply(place, None if event.type == "DELETED" else event.stored)
        self._watchers.saw(place.resource, event.revision)
        self.revision = event.revision
        self._window.append(place, event)

    # Tending: compaction and checkpoints

    def compact(self, upto: int) -> None:
        """Forgets the history up to a revision: no watch and no list can start before it any more."""
        if self._busy is not None:
            return  # the next tending does it
        if upto > self.revision:
            raise Ahead(upto, self.revision)
        if upto > self.compacted_revision:
            self._floors.update(self._journal.compact(self.compacted_revision, upto))
            self.compacted_revision = upto

    def _tend(self) -> None:
        now, knobs = self._clock(), self._knobs
        if now - self._slot_began < 1.0:
            self._marks[-1] = (now, self.revision)
        else:
            self._slot_began = now
            self._marks.append((now, self.revision))
        if self._busy is None and self._overdue(now) - self.compacted_revision >= knobs.chunk_events_max:
            self._compact_some(now)
        if self._journal.uncheckpointed_bytes >= journals.WAL_BYTES_MAX and self._checkpointing is None:
            self._journal.uncheckpointed_bytes = 0
            if self._path is not None:
                loop = asyncio.get_running_loop()
                self._checkpointing = loop.run_in_executor(None, journals.checkpoint_beside, self._path)
                self._checkpointing.add_done_callback(self._checkpointed)
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(knobs.compact_every_s, self._tick)

    def _overdue(self, now: float) -> int:
        """The revision up to which history is to be forgotten."""
        marks = self._marks
        while len(marks) > 1 and now - marks[1][0] >= self._knobs.history_age_s:
            marks.popleft()
        aged = marks[0][1] if now - marks[0][0] >= self._knobs.history_age_s else 0
        return max(aged, self.revision - self._knobs.history_events_max)

    def _compact_some(self, now: float) -> None:
        upto = min(self._overdue(now), self.compacted_revision + self._knobs.chunk_events_max)
        try:
            self.compact(upto)
        except sqlite3.Error as error:
            logger.warning("compaction up to %d failed: %s", upto, error)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        if not self._closed and self._busy is None and self._overdue(now) > self.compacted_revision:
            self._compact_some(now)
        if not self._closed and self.compacted_revision < self.revision:
            more = self._overdue(now) > self.compacted_revision
            delay_s = 0.0 if more else self._knobs.compact_every_s
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _checkpointed(self, done: asyncio.Future[None]) -> None:
        self._checkpointing = None
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            logger.warning("checkpoint failed: %s", error)
        elif not self._closed and self._busy is None:
            self._journal.checkpoint()  # the few pages written meanwhile, so that the log can start over

    async def close(self) -> None:
        """Commits what is pending, ends the watches and releases the file."""
        if self._closed:
            return
        self._closed = True
        while self._filling or self._busy is not None:
            if self._busy is not None:
                await asyncio.wait([self._busy])
            await asyncio.sleep(0)
        if self._checkpointing is not None:
            await asyncio.wait([self._checkpointing])
        if self._timer is not None:
            self._timer.cancel()
        self._watchers.close()
        self._journal.close()
        if self._lock is not None:
            self._lock.release()

    def statistics(self) -> dict[str, object]:
        """What metrics and the admin page show."""
        return {
            "revision": self.revision,
            "compacted_revision": self.compacted_revision,
            "objects": self._shelves.counts(),
            "watches": len(self._watchers),
            "watches_expired": self._watchers.expired,
            "window_events": len(self._window),
        }

    def __repr__(self) -> str:
        objects = sum(self._shelves.counts().values())
        return (
            f"<Store {self._path or 'in memory'} at {self.revision}: {objects} objects, {len(self._watchers)} watches>"
        )
