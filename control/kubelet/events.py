"""Events without floods: what client-go's EventCorrelator does, decided over values.

Equal events (same object, type, reason, message, source) become one Event with a growing `count`. More than
`SIMILAR_MAX` different messages for one object and reason within ten minutes are joined into one "(combined from
similar events)". A source may send `BURST` events about one object, then one in five minutes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from control.api.objects import Object, format_time, resource_version_of

SIMILAR_MAX = 10
SIMILAR_WINDOW_S = 600.0
BURST = 25.0
REFILL_PER_S = 1 / 300
KEPT_MAX = 4096  # remembered events and objects
COMBINED = "(combined from similar events): "
MESSAGE_MAX = 1024

Value = TypeVar("Value")
EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    obj: Object


@dataclass(frozen=True, slots=True)
class Again:
    """A known event happened again: a patch for its object."""

    namespace: str
    name: str
    patch: Object
    obj: Object  # the whole, should it have expired in the API


@dataclass(slots=True)
class _Known:
    obj: Object
    count: int


@dataclass(slots=True)
class _Spam:
    tokens: float
    at: float


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    at: float


class Correlator:
    """Remembers what was said. `said` answers with what to write, or None for silence (counted in `dropped`)."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._spam: OrderedDict[tuple[str, ...], _Spam] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<Correlator {len(self._known)} events, {self.dropped} dropped>"

    def said(
        self,
        regarding: Object,
        type_: EventType,
        reason: str,
        message: str,
        component: str,
        host: str,
        now: datetime,
    ) -> NewEvent | Again | None:
        message = message[:MESSAGE_MAX]
        at = now.timestamp()
        about = (regarding.get("uid", ""), regarding.get("name", ""), regarding.get("fieldPath", ""), component, host)
        if not self._allows(about, at):
            self.dropped += 1
            return None
        similar = _get(self._similar, (*about, type_, reason), lambda: _Similar(set(), at))
        if at - similar.at > SIMILAR_WINDOW_S:
            similar.messages = set()
        similar.at = at
        similar.messages.add(message)
        key = (*about, type_, reason, message)
        if len(similar.messages) > SIMILAR_MAX:
            similar.messages.discard(message)
            key, message = (*about, type_, reason, COMBINED), COMBINED + message
        known = self._known.get(key)
        if known is None:
            obj = event(regarding, type_, reason, message, component, host, now)
            self._known[key] = _Known(obj, 1)
            _trim(self._known)
            return NewEvent(obj)
        self._known.move_to_end(key)
        known.count += 1
        change = {"count": known.count, "lastTimestamp": format_time(now), "message": message}
        known.obj = {**known.obj, **change}
        meta = known.obj["metadata"]
        return Again(meta["namespace"], meta["name"], change, known.obj)

    def _allows(self, about: tuple[str, ...], at: float) -> bool:
        spam = _get(self._spam, about, lambda: _Spam(BURST, at))
        spam.tokens = min(BURST, spam.tokens + (at - spam.at) * REFILL_PER_S)
        spam.at = at
        if spam.tokens < 1:
            return False
        spam.tokens -= 1
        return True


def _get(held: OrderedDict[tuple[str, ...], Value], key: tuple[str, ...], make: Callable[[], Value]) -> Value:
    """The entry of a key, made if need be; the least recently used ones give way."""
    if key not in held:
        held[key] = make()
        _trim(held)
    held.move_to_end(key)
    return held[key]


def _trim(held: OrderedDict[tuple[str, ...], Value]) -> None:
    while len(held) > KEPT_MAX:
        held.popitem(last=False)


def reference(obj: Object, field_path: str = "") -> Object:
    """An ObjectReference for `involvedObject`."""
    metadata = obj.get("metadata") or {}
    made: Object = {
        "apiVersion": obj.get("apiVersion", "v1"),
        "kind": obj.get("kind", "Pod"),
        "namespace": metadata.get("namespace", ""),
        "name": metadata.get("name", ""),
        "uid": metadata.get("uid", ""),
        "resourceVersion": resource_version_of(obj),
        "fieldPath": field_path,
    }
    return {name: value for name, value in made.items() if value}


def event(
    regarding: Object, type_: EventType, reason: str, message: str, component: str, host: str, now: datetime
) -> Object:
    """A core/v1 Event, named as client-go names them: the object's name and the time in hexadecimal."""
    digest = hashlib.sha256(f"{regarding}{type_}{reason}{message}".encode()).hexdigest()[:4]
    nanoseconds = int(now.timestamp() * 1_000_000) * 1000
    namespace = regarding.get("namespace") or "default"
    stamp = format_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": f"{regarding.get('name', '')}.{nanoseconds:x}{digest}"},
        "involvedObject": regarding,
        "type": type_,
        "reason": reason,
        "message": message,
        "source": {"component": component, "host": host} if host else {"component": component},
        "reportingComponent": component,
        "reportingInstance": host,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
