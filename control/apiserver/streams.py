"""Watches: what happens to the objects of a selection, from a revision on.

Where a watch starts: after the given resourceVersion; with none or "0", at now, after telling what there is as ADDED
(`sendInitialEvents=false` skips that); with `sendInitialEvents=true` the state is told whatever the version, and ends
with a bookmark that carries `k8s.io/initial-events-end`, so that a client can list by watching. A start that has been
compacted away is answered inside the stream, as Kubernetes does, with an ERROR event holding the 410.

Bookmarks tell a quiet client how far it has come, once a minute and before the end. A watch ends after its timeout,
when its client goes, when the server stops, or when it has fallen behind what the store keeps (410 again).

The store's watch is a cursor; each turn here takes all that is ready and sends it in one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import orjson

from control.api.objects import Object
from control.api.scheme import Resource
from control.api.status import StatusError
from control.apiserver.handlers_context import Context, store_failure
from control.apiserver.options import ListOptions, revision_of
from control.apiserver.selection import Selection, selection, transition
from control.store.records import Ahead, Compacted, Stored, StoreError, StoreEvent
from control.store.watchers import Watch

BOOKMARK_EVERY_S = 60.0  # apiserver's defaultBookmarkFrequency
TIMEOUT_LEAST_S = 1800.0  # apiserver's --min-request-timeout; the default is between this and twice this
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a watch: `stored` is None for bookmarks, `revision` is what the client has seen then."""

    type: str
    stored: Stored | None
    revision: int
    initial_end: bool = False


class Watching:
    """One client's watch. Iterate `turns()` once; `close()` ends it from anywhere."""

    def __init__(
        self, context: Context, resource: Resource, namespace: str, options: ListOptions, *, forever: bool = False
    ) -> None:
        self.resource = resource
        self._context = context
        self._namespace = namespace
        self._options = options
        view = context.view(resource.kind)
        self._chosen = selection(
            resource, options.label_selector, options.field_selector, view.outward if view else None
        )
        self._forever = forever
        self._watch: Watch | None = None
        self._closed = False
        self._initial: list[Seen] = []
        self._skip_to = 0
        self._open()

    def __repr__(self) -> str:
        return f"<Watching {self.resource.kind.resource} {self._namespace or '*'}: {self._watch!r}>"

    def close(self) -> None:
        self._closed = True
        if self._watch is not None:
            self._watch.close()

    def _open(self) -> None:
        """Takes the state and the position in one breath, so that nothing falls between them."""
        store, options = self._context.store, self._options
        where = self._context.stored_as(self.resource.kind)
        version = options.resource_version
        since = 0 if version in ("", "0") else revision_of(version)
        tells_state = since == 0 and options.initial_events is not False
        if options.initial_events or tells_state:
            found = [stored for stored in store.list(where, self._namespace) if self._chosen(stored)]
            self._initial = [Seen("ADDED", stored, stored.revision) for stored in found]
            since = store.revision
            if options.initial_events and options.bookmarks:
                self._initial.append(Seen("BOOKMARK", None, since, initial_end=True))
        elif since == 0:
            since = store.revision
        try:
            self._watch = store.watch(where, self._namespace, since=since)
        except Ahead:
            # A version from the future (another cluster's, or of a folder that was rolled back): nothing until then.
            self._watch = store.watch(where, self._namespace, since=store.revision)
            self._skip_to = since

    async def turns(self) -> AsyncIterator[list[Seen]]:
        """What happens, in batches; raises StatusError 410 if the client must list anew."""
        assert self._watch is not None
        if self._initial:
            yield self._initial
            self._initial = []
        loop = asyncio.get_running_loop()
        ends = None if self._forever else loop.time() + self._timeout_s()
        try:
            while not self._closed:
                now = loop.time()
                if ends is not None and now >= ends:
                    break
                until = now + BOOKMARK_EVERY_S if ends is None else min(now + BOOKMARK_EVERY_S, ends)
                events = await self._next(until)
                if events is None:
                    if self._options.bookmarks:
                        yield [Seen("BOOKMARK", None, self._watch.progress)]
                elif not events:
                    break
                else:
                    seen = self._translated(events)
                    if seen:
                        yield seen
        except Compacted as error:
            raise store_failure(error) from None
        finally:
            self._watch.close()

    async def _next(self, until: float) -> list[StoreEvent] | None:
        """Some events, none at the end of the watch, None when the time has come."""
        assert self._watch is not None
        try:
            async with asyncio.timeout_at(until):
                return await self._watch.batch()
        except TimeoutError:
            return None

    def _timeout_s(self) -> float:
        if self._options.timeout_s:
            return self._options.timeout_s
        return TIMEOUT_LEAST_S * (1 + self._context.rng.random())

    def _translated(self, events: list[StoreEvent]) -> list[Seen]:
        if self._skip_to:
            events = [event for event in events if event.revision > self._skip_to]
        if self._chosen.everything:
            return [Seen(event.type, event.stored, event.revision) for event in events]
        return [seen for event in events if (seen := _chosen_event(event, self._chosen)) is not None]


def _chosen_event(event: StoreEvent, chosen: Selection) -> Seen | None:
    """The event as somebody sees it who sees only what is chosen."""
    before = event.previous is not None and chosen(event.previous)
    now = event.type != "DELETED" and chosen(event.stored)
    type_ = transition(event.type, now, before)
    if not type_:
        return None
    if type_ == "DELETED" and event.type != "DELETED" and event.previous is not None:
        return Seen(type_, _restamped(event.previous, event.revision), event.revision)
    return Seen(type_, event.stored, event.revision)


def _restamped(stored: Stored, revision: int) -> Stored:
    """The last version that was selected, at the revision at which it stopped being selected."""
    metadata = {**stored.obj["metadata"], "resourceVersion": str(revision)}
    obj = {**stored.obj, "metadata": metadata}
    return Stored(stored.key, orjson.dumps(obj), revision, obj)


def bookmark(resource: Resource, seen: Seen) -> Object:
    """The object of a bookmark: of the right kind, and nothing but a version."""
    metadata: Object = {"resourceVersion": str(seen.revision), "creationTimestamp": None}
    if seen.initial_end:
        metadata["annotations"] = INITIAL_EVENTS_END
    return {"kind": resource.kind.kind, "apiVersion": resource.kind.api_version, "metadata": metadata}


Render = Callable[[Seen], bytes]


async def lines(watching: Watching, render: Render) -> AsyncIterator[bytes]:
    """The watch as newline-separated WatchEvents, one piece a turn; errors become the last event."""
    try:
        async for turn in watching.turns():
            yield b"".join([line(seen.type, render(seen)) for seen in turn])
    except StatusError as error:
        yield line("ERROR", orjson.dumps(error.status))
    except StoreError as error:
        yield line("ERROR", orjson.dumps(store_failure(error).status))


async def failed(error: StatusError) -> AsyncIterator[bytes]:
    """A watch that cannot start, as a stream of one ERROR event."""
    yield line("ERROR", orjson.dumps(error.status))


_HEADS = {
    type_: b'{"type":"' + type_.encode() + b'","object":'
    for type_ in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
}


def line(type_: str, data: bytes) -> bytes:
    return b"".join((_HEADS[type_], data, b"}\n"))
