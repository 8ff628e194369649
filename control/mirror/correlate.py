"""Events without floods: what client-go's EventCorrelator does, as a pure machine.

Three steps for each event, per component:

1. Aggregation. Events that differ only in their message are one family. From the tenth different message of a family
   on, each no more than ten minutes after the last, they become one event whose message begins with "(combined from
   similar events): ".
2. Counting. An event that has been written before is not written again: its count and lastTimestamp are patched.
3. Spam filter. Per component and object, 25 writes at once and then one in five minutes; the rest is counted in the
   event, so that the next write tells of it, but not written.

Memory is bounded by `FAMILIES_MAX`, oldest forgotten first. An event's name is the object's and the time in hexadecimal
nanoseconds, as Kubernetes names them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from control.api.objects import Object, format_time, name_of, namespace_of, resource_version_of, uid_of

SIMILAR_MAX = 10  # defaultAggregateMaxEvents
SIMILAR_WITHIN = timedelta(seconds=600)  # defaultAggregateIntervalInSeconds
BURST = 25  # defaultSpamBurst
REFILL_S = 300.0  # defaultSpamQPS: 1/300
FAMILIES_MAX = 4096  # maxLruCacheEntries
COMBINED = "(combined from similar events): "
MESSAGE_MAX = 1024  # the API refuses longer ones (NoteLengthLimit)

Identity = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """What to send: a new Event, or a merge patch of the one that was written before.

    `full` is the whole event in both cases, for when the patched one is gone (events expire after an hour).
    """

    identity: Identity
    full: Object
    patch: Object | None


@dataclass(slots=True)
class _Family:
    messages: set[str] = field(default_factory=set)
    last: datetime | None = None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime


class Correlator:
    """The memory of one component (`kubelet`, `deployment-controller`, ...) on one host."""

    def __init__(self, component: str, host: str = "") -> None:
        self.component = component
        self.host = host
        self.dropped = 0
        self._families: OrderedDict[Identity, _Family] = OrderedDict()
        self._written: OrderedDict[Identity, Object] = OrderedDict()
        self._buckets: OrderedDict[Identity, _Bucket] = OrderedDict()
        self._last_stamp = 0

    def observe(self, regarding: Object, type_: str, reason: str, message: str, now: datetime) -> Write | None:
        """Takes one event in; returns what to write, None when the spam filter drops it."""
        message = message if len(message) <= MESSAGE_MAX else message[: MESSAGE_MAX - 4] + " ..."
        about = reference_to(regarding)
        whose: Identity = tuple(about.get(part, "") for part in ("apiVersion", "kind", "namespace", "name", "uid"))
        family: Identity = (*whose, type_, reason)
        combined = self._combined(family, message, now)
        identity: Identity = family if combined else (*family, about.get("fieldPath", ""), message)
        text = f"{COMBINED}{message}"[:MESSAGE_MAX] if combined else message
        before = self._written.get(identity)
        if before is None:
            event = self._fresh(regarding, about, type_, reason, text, now)
            patch = None
        else:
            patch = {"count": before["count"] + 1, "lastTimestamp": format_time(now), "message": text}
            event = {**before, **patch}
        _remember(self._written, identity, event)
        if not self._allowed(whose, now):
            self.dropped += 1
            return None
        return Write(identity, event, patch)

    def forget(self, identity: Identity) -> None:
        """The write did not happen: the next one of its kind is a new event."""
        self._written.pop(identity, None)

    def _combined(self, family: Identity, message: str, now: datetime) -> bool:
        record = self._families.get(family)
        if record is None or record.last is None or now - record.last > SIMILAR_WITHIN:
            record = _Family()
        _remember(self._families, family, record)
        record.last = now
        if message in record.messages or len(record.messages) + 1 < SIMILAR_MAX:
            record.messages.add(message)
            return False
        return True

    def _allowed(self, whose: Identity, now: datetime) -> bool:
        bucket = self._buckets.get(whose) or _Bucket(float(BURST), now)
        _remember(self._buckets, whose, bucket)
        bucket.tokens = min(float(BURST), bucket.tokens + (now - bucket.at).total_seconds() / REFILL_S)
        bucket.at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _fresh(self, regarding: Object, about: Object, type_: str, reason: str, message: str, now: datetime) -> Object:
        stamp = max(int(now.timestamp() * 1_000_000) * 1000, self._last_stamp + 1)
        self._last_stamp = stamp
        source = {"component": self.component, **({"host": self.host} if self.host else {})}
        at = format_time(now)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{name_of(regarding)}.{stamp:x}",
                "namespace": namespace_of(regarding) or "default",
            },
            "involvedObject": about,
            "type": type_,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }


def reference_to(obj: Object) -> Object:
    """An ObjectReference; `fieldPath` of a container is the caller's to add, as `{**obj, "fieldPath": ...}`."""
    reference: dict[str, Any] = {
        "kind": obj.get("kind", ""),
        "namespace": namespace_of(obj),
        "name": name_of(obj),
        "uid": uid_of(obj),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": resource_version_of(obj),
        "fieldPath": obj.get("fieldPath", ""),
    }
    return {key: value for key, value in reference.items() if value}


def _remember(memory: OrderedDict[Identity, Any], identity: Identity, value: Any) -> None:
    memory[identity] = value
    memory.move_to_end(identity)
    if len(memory) > FAMILIES_MAX:
        memory.popitem(last=False)
