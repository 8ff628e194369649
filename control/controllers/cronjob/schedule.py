"""When a cron schedule fires: a library reads the calendar, we read the clocks.

A schedule of five fields fires in every minute whose reading on the wall clock of its time zone matches: minute, hour
and month all match, and the day matches by day of the month and day of the week (if one of the two is a star, by the
other; if neither is, by either of them). So on a daylight-saving day a time that the clocks skip does not fire, and one
that they show twice fires twice (as robfig/cron has it, which Kubernetes uses).

Cron libraries have other ideas of such days, so `cronsim` is asked for the next match on a wall clock without a zone.
As long as the zone keeps its offset, that reading is one moment. If the offset changes before that moment comes, the
search begins anew at the change, with the clock as it stands then; an hour that comes twice is so read twice.
`@every 90s` has no wall clock: it fires so long after the time before, in whole seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

from control.api.cron import EVERY, problem, spelled

HORIZON = timedelta(days=5 * 366)  # what does not fire for so long never does (31 February)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Either `fields` on the clock of `zone`, or `every`."""

    zone: tzinfo
    fields: str = ""
    every: timedelta = timedelta(0)

    @classmethod
    def parse(cls, text: str, zone: tzinfo = UTC) -> Schedule:
        """Raises ValueError with the validation's words."""
        fault = problem(text)
        if fault:
            raise ValueError(fault)
        if text.startswith(EVERY):
            return cls(zone, every=_duration(text.removeprefix(EVERY)))
        return cls(zone, spelled(text))

    def after(self, at: datetime) -> datetime | None:
        """The first time after `at` at which the schedule fires, in UTC; None: never."""
        at = at.astimezone(UTC)
        if not self.fields:
            return at.replace(microsecond=0) + self.every
        start, end = at, at + HORIZON
        while start < end:
            offset = self._offset(start)
            wall = _next_reading(self.fields, (start + offset).replace(tzinfo=None))
            if wall is None:
                return None
            found = wall.replace(tzinfo=UTC) - offset
            change = self._change(start, min(found, end), offset)
            if change is None:
                return found if found < end else None
            moved = self._offset(change)
            if _next_reading(self.fields, (change + moved - MINUTE).replace(tzinfo=None)) == _plain(change + moved):
                return change
            start = change
        return None

    def _offset(self, at: datetime) -> timedelta:
        return at.astimezone(self.zone).utcoffset() or timedelta(0)

    def _change(self, start: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first whole minute in (start, end] at which the zone's offset is another one.

        Looked for day by day: no zone has changed twice within a day.
        """
        if self.zone is UTC:
            return None
        same = start
        while same < end:
            other = min(same + DAY, end)
            if self._offset(other) != offset:
                return self._bisect(same, other, offset)
            same = other
        return None

    def _bisect(self, same: datetime, other: datetime, offset: timedelta) -> datetime:
        same, other = same.replace(second=0, microsecond=0), other.replace(second=0, microsecond=0)
        while other - same > MINUTE:
            middle = same + (other - same) // MINUTE // 2 * MINUTE
            if self._offset(middle) == offset:
                same = middle
            else:
                other = middle
        return other


def _plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _next_reading(fields: str, wall: datetime) -> datetime | None:
    """The first whole minute after `wall` that the fields match, on a clock without a zone."""
    try:
        return next(CronSim(fields, wall))
    except (CronSimError, StopIteration):  # a day that no month has; a date that no year has
        return None


def _duration(text: str) -> timedelta:
    """Go's duration as whole seconds, at least one."""
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return timedelta(seconds=max(1, int(-seconds if text.startswith("-") else seconds)))
