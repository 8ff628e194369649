"""One stored resource seen in two forms: Events in two groups, autoscalers in two versions.

`events.k8s.io/v1` renamed the fields of the core Event and changed nothing else. loopkube stores the core form;
requests through the other group are converted on the way in and out. `autoscaling/v1` is an older form of what is
stored as `autoscaling/v2` (`control.api.autoscaling`). All other kinds are stored as they are seen, so
their view is None and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control.api.autoscaling import from_v1, to_v1
from control.api.kinds import EVENT, EVENTS_EVENT, HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER_V1, Kind
from control.api.objects import Object, meta, parse_time

EVENT_TTL = timedelta(hours=1)  # kube-apiserver's --event-ttl

_NEW_TO_CORE = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_TO_NEW = {core: new for new, core in _NEW_TO_CORE.items()}


@dataclass(frozen=True, slots=True)
class View:
    """`outward` makes what clients of the viewing kind see, `inward` what is stored; neither changes its argument."""

    stored: Kind
    outward: Callable[[Object], Object]
    inward: Callable[[Object], Object]


def _renamed(obj: Mapping[str, Any], names: Mapping[str, str], kind: Kind) -> Object:
    renamed = {names.get(key, key): value for key, value in obj.items()}
    renamed["apiVersion"] = kind.api_version
    renamed["kind"] = kind.kind
    return renamed


def to_events_k8s_io(event: Object) -> Object:
    return _renamed(event, _CORE_TO_NEW, EVENTS_EVENT)


def to_core(event: Object) -> Object:
    core = _renamed(event, _NEW_TO_CORE, EVENT)
    core.setdefault("involvedObject", {})
    core.setdefault("source", {})
    return core


VIEWS: Mapping[Kind, View] = {
    EVENTS_EVENT: View(EVENT, to_events_k8s_io, to_core),
    HORIZONTAL_POD_AUTOSCALER_V1: View(HORIZONTAL_POD_AUTOSCALER, to_v1, from_v1),
}


def is_expired(event: Mapping[str, Any], now: datetime) -> bool:
    """Whether an Event was last seen longer ago than events live."""
    times = (
        meta(event).get("creationTimestamp"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        (event.get("series") or {}).get("lastObservedTime"),
    )
    seen = [parse_time(text) for text in times if text]
    return bool(seen) and max(seen) + EVENT_TTL <= now
