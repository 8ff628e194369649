"""When a cron schedule fires: arithmetic over real minutes, read on a wall clock.

A schedule of five fields fires in every minute whose reading on the wall clock of its time zone matches: minute, hour
and month all match, and the day matches by day of the month and day of the week (if one of the two is `*`, by the
other; if neither is, by either of them). So on a daylight-saving day a time that the clocks skip does not fire, and one
that they show twice fires twice (as robfig/cron has it, which Kubernetes uses). `@every 90s` has no wall clock: it
fires so long after the time before, in whole seconds.

`Schedule.after` walks from minute to minute but jumps over days and hours that cannot match; over an hour in which the
offset changes it does not jump. What the fields may contain is `control.api.cron`'s, which has validated them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from control.api.cron import BOUNDS, Bounds, problem

MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
HORIZON = timedelta(days=5 * 366)  # what does not fire for so long never does (31 February)
MINUTE = timedelta(minutes=1)
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Fields:
    """What each field lets through; `any_day` and `any_weekday` say that the field is a plain star."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool
    any_weekday: bool

    def has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day and by_weekday if self.any_day or self.any_weekday else by_day or by_weekday

    def matches(self, local: datetime) -> bool:
        return local.minute in self.minutes and local.hour in self.hours and self.has_day(local.date())


@dataclass(frozen=True, slots=True)
class Schedule:
    """Either `fields` on the clock of `zone`, or `every`."""

    zone: tzinfo
    fields: Fields | None = None
    every: timedelta = timedelta(0)

    @classmethod
    def parse(cls, text: str, zone: tzinfo = UTC) -> Schedule:
        """Raises ValueError with the validation's words."""
        fault = problem(text)
        if fault:
            raise ValueError(fault)
        if text.startswith("@every "):
            return cls(zone, every=_duration(text.removeprefix("@every ")))
        parts = MACROS.get(text, text).split()
        minutes, hours, days, months, weekdays = map(_values, parts, BOUNDS)
        fields = Fields(minutes, hours, days, months, weekdays, _is_star(parts[2]), _is_star(parts[4]))
        return cls(zone, fields)

    def after(self, at: datetime) -> datetime | None:
        """The first time after `at` at which the schedule fires, in UTC; None: never."""
        at = at.astimezone(UTC)
        if self.fields is None:
            return at.replace(microsecond=0) + self.every
        candidate = at.replace(second=0, microsecond=0) + MINUTE
        end = at + HORIZON
        while candidate < end:
            local = candidate.astimezone(self.zone)
            if self.fields.matches(local):
                return candidate
            candidate = self._next_candidate(self.fields, candidate, local)
        return None

    def _next_candidate(self, fields: Fields, candidate: datetime, local: datetime) -> datetime:
        if not fields.has_day(local.date()):
            tomorrow = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), self.zone)
            return max(tomorrow.astimezone(UTC), candidate + MINUTE)
        if local.hour not in fields.hours:
            hour = candidate + timedelta(minutes=60 - local.minute)
            if hour.astimezone(self.zone).utcoffset() == local.utcoffset():
                return hour
        return candidate + MINUTE


def _is_star(field: str) -> bool:
    """Whether a field restricts nothing: a star, alone or in a list, without a step of more than one."""
    return any(re.fullmatch(r"[*?](/0*1)?", part) for part in field.split(","))


def _values(field: str, bounds: Bounds) -> frozenset[int]:
    return frozenset(value for part in field.split(",") if part for value in _range(part, bounds))


def _range(part: str, bounds: Bounds) -> Iterable[int]:
    base, slash, step = part.partition("/")
    low, dash, high = base.partition("-")
    if low in ("*", "?"):
        first, last = bounds.least, bounds.most
    else:
        first = _number(low, bounds)
        last = _number(high, bounds) if dash else (bounds.most if slash else first)
    return range(first, last + 1, int(step) if slash else 1)


def _number(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return int(text) if named is None else named


def _duration(text: str) -> timedelta:
    """Go's duration as whole seconds, at least one."""
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return timedelta(seconds=max(1, int(-seconds if text.startswith("-") else seconds)))
