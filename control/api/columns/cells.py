"""Cells that many kinds share: names, ages, and durations as people read them.

A duration gets two or three significant figures (apimachinery's HumanDuration): `47s`, `3m20s`, `12m`, `5h3m`, `2d4h`,
`3y45d`. Ages are computed by the server and sent as text, as Kubernetes does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from control.api.objects import Object, meta, parse_time
from control.api.scheme import Column

UNKNOWN = "<unknown>"
NONE = "<none>"
Cell = Callable[[Object, datetime], Any]


def human_duration(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if days < 365 * 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def since(time: Any, now: datetime) -> str:
    """How long ago a metav1.Time was; <unknown> where there is none."""
    if not time:
        return UNKNOWN
    return human_duration(now - parse_time(time))


def path(*parts: str, absent: Any = NONE) -> Cell:
    """A cell that shows one field as it is."""

    def cell(obj: Object, now: datetime) -> Any:
        value: Any = obj
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        return absent if value is None or value == "" else value

    return cell


def number(*parts: str) -> Cell:
    """A cell that shows a count; absent is 0."""
    return path(*parts, absent=0)


def joined(labels: Mapping[str, str] | None) -> str:
    """A map as kubectl shows it: a=b,c=d."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def named(obj: Object, now: datetime) -> Any:
    return meta(obj).get("name") or ""


def aged(obj: Object, now: datetime) -> Any:
    return since(meta(obj).get("creationTimestamp"), now)


NAME = Column("Name", named, format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", aged, description="CreationTimestamp is when the server created this object.")
