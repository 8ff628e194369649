"""The log and the state that it adds up to, in memory and without a clock: what is committed, what is about to be.

Each write gets the next revision, one counter for everything. Two layers decide together:

- `Shelves` is the committed state, what readers see. Per resource, a dict and its keys in order.
- `Drafts` is what has been decided and not yet committed. A precondition is judged on the draft if there is one, else
  on the committed state, and the revision is given in the same breath: so two writers can never both win, although the
  commit happens later and for many at once.

`Window` keeps the newest events in memory for those who watch; older ones are read back from the journal. A reader
positions itself by revision, so nothing can be missed, repeated or reordered: it asks for what is after its position.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

import orjson

from control.api.objects import Key, Object
from control.store.records import AlreadyThere, Missing, Moved, Place, Stored, StoreEvent

FIRST_REVISION = 1
"""What an empty store is at, as etcd; 0 would mean "any version" to clients of the Kubernetes API."""


class Shelves:
    """The committed state: every object by resource and key."""

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}

    def get(self, place: Place) -> Stored | None:
        shelf = self._shelves.get(place.resource)
        return shelf.objects.get(Key(place.namespace, place.name)) if shelf else None

    def list(self, resource: str, namespace: str = "") -> list[Stored]:
        shelf = self._shelves.get(resource)
        return shelf.in_order(namespace) if shelf else []

    def fill(self, resource: str, objects: dict[Key, Stored]) -> None:
        """Takes a whole resource over, as it was loaded."""
        shelf = self._shelves[resource] = _Shelf()
        shelf.objects = objects
        shelf.keys = sorted(objects)

    def apply(self, place: Place, stored: Stored | None) -> None:
        """Makes `stored` what is there (None: nothing)."""
        shelf = self._shelves.get(place.resource)
        if shelf is None:
            shelf = self._shelves[place.resource] = _Shelf()
        shelf.apply(Key(place.namespace, place.name), stored)

    def counts(self) -> dict[str, int]:
        return {resource: len(shelf.objects) for resource, shelf in self._shelves.items() if shelf.objects}


class _Shelf:
    __slots__ = ("keys", "objects")

    def __init__(self) -> None:
        self.objects: dict[Key, Stored] = {}
        self.keys: list[Key] = []

    def apply(self, key: Key, stored: Stored | None) -> None:
        if stored is None:
            if self.objects.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.objects:
            insort(self.keys, key)
        self.objects[key] = stored

    def in_order(self, namespace: str) -> list[Stored]:
        objects, keys = self.objects, self.keys
        if not namespace:
            return [objects[key] for key in keys]
        start = bisect_left(keys, (namespace,))
        stop = bisect_left(keys, (namespace + "\0",), start)
        return [objects[key] for key in keys[start:stop]]


class Drafts:
    """Decided and not yet committed writes, and the counter that gives revisions."""

    def __init__(self, shelves: Shelves, revision: int) -> None:
        self._shelves = shelves
        self._pending: dict[Place, StoreEvent] = {}
        self.revision = revision

    def pending(self, place: Place) -> bool:
        return place in self._pending

    def current(self, place: Place) -> Stored | None:
        event = self._pending.get(place)
        if event is None:
            return self._shelves.get(place)
        return None if event.type == "DELETED" else event.stored

    def put(self, place: Place, obj: Object, expect: int | None) -> StoreEvent:
        """Decides a create or an update; raises AlreadyThere, Missing or Moved. Stamps the revision on a copy."""
        previous = self.current(place)
        if expect == 0:
            if previous is not None:
                raise AlreadyThere(place, previous)
        elif expect is not None:
            _check(place, previous, expect)
        stored = stamped(place, obj, self.revision + 1)
        return self._decide(place, StoreEvent("MODIFIED" if previous else "ADDED", stored, previous, stored.revision))

    def delete(self, place: Place, expect: int | None) -> StoreEvent:
        previous = self.current(place)
        if previous is None:
            raise Missing(place)
        if expect is not None:
            _check(place, previous, expect)
        stored = stamped(place, previous.obj, self.revision + 1)
        return self._decide(place, StoreEvent("DELETED", stored, previous, stored.revision))

    def _decide(self, place: Place, event: StoreEvent) -> StoreEvent:
        self.revision = event.revision
        self._pending[place] = event
        return event

    def settle(self, place: Place, event: StoreEvent) -> None:
        """The event is committed: it leaves the drafts unless a later one has taken its place."""
        if self._pending.get(place) is event:
            del self._pending[place]

    def discard(self) -> None:
        """Nothing of what is pending will be committed. Its revisions are not given again."""
        self._pending.clear()


def _check(place: Place, current: Stored | None, expect: int) -> None:
    if current is None:
        raise Missing(place)
    if current.revision != expect:
        raise Moved(place, current, expect)


def stamped(place: Place, obj: Object, revision: int) -> Stored:
    """The object with `revision` as its resourceVersion; shares everything else with `obj`, which is not changed."""
    stamp = {**obj, "metadata": {**(obj.get("metadata") or {}), "resourceVersion": str(revision)}}
    return Stored(Key(place.namespace, place.name), orjson.dumps(stamp), revision, stamp)


class Window:
    """The newest events, by resource, `events_max` in all. Every event after `start` is in it."""

    def __init__(self, start: int, events_max: int) -> None:
        self.start = start
        self._events_max = events_max
        self._order: deque[str] = deque()
        self._events: dict[str, deque[StoreEvent]] = {}

    def append(self, place: Place, event: StoreEvent) -> None:
        events = self._events.get(place.resource)
        if events is None:
            events = self._events[place.resource] = deque()
        events.append(event)
        self._order.append(place.resource)
        if len(self._order) > self._events_max:
            gone = self._events[self._order.popleft()].popleft()
            self.start = gone.revision
            gone.stored.shed()
            if gone.previous is not None:
                gone.previous.shed()

    def after(self, resource: str, namespace: str, revision: int) -> list[StoreEvent]:
        """The events of a resource after `revision`, oldest first; only complete if `revision >= start`."""
        found = []
        for event in reversed(self._events.get(resource, ())):
            if event.revision <= revision:
                break
            if not namespace or event.stored.key.namespace == namespace:
                found.append(event)
        found.reverse()
        return found

    def __len__(self) -> int:
        return len(self._order)


def as_of(current: Iterable[Stored], later: Iterable[StoreEvent]) -> list[Stored]:
    """The state before the events `later` (newest first), given the state after them; sorted by key."""
    objects = {stored.key: stored for stored in current}
    for event in later:
        if event.previous is None:
            objects.pop(event.stored.key, None)
        else:
            objects[event.stored.key] = event.previous
    return [objects[key] for key in sorted(objects)]
