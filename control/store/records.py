"""What the store hands out, and how it says no.

A `Stored` is one committed version of one object: its JSON bytes, ready to be sent, and the same as a value, decoded
when somebody first asks. Everybody shares it; nobody changes it. Errors carry what the caller needs to answer its own
client (the version that was in the way), and those about the file say what a person can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import orjson

from control.api.objects import Key, Object, labels_of

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Stored:
    """One version of one object. `obj` is decoded lazily from `data`; both carry `revision` as resourceVersion."""

    __slots__ = ("_labels", "_obj", "data", "key", "revision")

    def __init__(self, key: Key, data: bytes, revision: int, obj: Object | None = None) -> None:
        self.key = key
        self.data = data
        self.revision = revision
        self._obj = obj
        self._labels: Mapping[str, str] | None = None

    @property
    def obj(self) -> Object:
        if self._obj is None:
            self._obj = orjson.loads(self.data)
        return self._obj

    @property
    def labels(self) -> Mapping[str, str]:
        """metadata.labels, kept when `obj` is shed: a list by selector need not decode every object again."""
        if self._labels is None:
            obj = self._obj if self._obj is not None else orjson.loads(self.data)
            self._labels = dict(labels_of(obj)) or _NO_LABELS
        return self._labels

    def shed(self) -> None:
        """Drops the decoded value, about three times the bytes' size; whoever holds it already keeps it."""
        self._obj = None

    def __repr__(self) -> str:
        return f"<Stored {self.key} at {self.revision}, {len(self.data)} bytes>"


_NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """A committed write. For DELETED, `stored` is the last object with the deletion's revision stamped on it."""

    type: EventType
    stored: Stored
    previous: Stored | None
    revision: int


class Place(NamedTuple):
    """Where an object lives: `resource` is Kind.resource, `namespace` "" for cluster-scoped ones."""

    resource: str
    namespace: str
    name: str


class StoreError(Exception):
    """Anything that the store refuses or fails at."""


class AlreadyThere(StoreError):
    """put(expect=0) of something that exists; `current` is what exists."""

    def __init__(self, place: Place, current: Stored) -> None:
        super().__init__(f"{place.resource} {current.key} exists at revision {current.revision}")
        self.current = current


class Moved(StoreError):
    """The object is not at the expected revision; `current` is what it is now."""

    def __init__(self, place: Place, current: Stored, expect: int) -> None:
        super().__init__(f"{place.resource} {current.key} is at revision {current.revision}, not {expect}")
        self.current = current


class Missing(StoreError):
    """There is no such object (any more)."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"no {place.resource} {Key(place.namespace, place.name)}")


class Compacted(StoreError):
    """That revision's history is gone: list anew and continue from there."""

    def __init__(self, asked: int, compacted: int) -> None:
        super().__init__(f"too old resource version: {asked} ({compacted})")
        self.asked = asked
        self.compacted = compacted


class Ahead(StoreError):
    """That revision has not happened yet (a client that has seen another cluster's state)."""

    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"Too large resource version: {asked}, current: {current}")
        self.asked = asked
        self.current = current


class StoreClosed(StoreError):
    """The store is closed or closing; nothing was written."""


class WriteFailed(StoreError):
    """The disk refused (full, gone, read-only); nothing of this write is stored."""


class StoreUnusable(StoreError):
    """The file cannot be opened, and was not touched; the message says what to do."""


class StoreDamaged(StoreUnusable):
    pass


class StoreTooNew(StoreUnusable):
    pass


class StoreLocked(StoreUnusable):
    pass
