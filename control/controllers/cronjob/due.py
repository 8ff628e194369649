"""Which run of a CronJob is due: the last scheduled time that has passed and has had no Job.

Counted from the last run (or from the CronJob's creation), but never from before startingDeadlineSeconds ago. Of
several missed times only the last is made up for. With more than a hundred missed it is too, and an event says that
something is wrong (the limit once stopped the CronJob for good). How many were missed is estimated by the distance of
the first two, as Kubernetes does, which is exact for even schedules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.api.objects import Object, spec_of, status_of
from control.controllers.cronjob.schedule import Schedule
from control.controllers.pods import created_at, time_of

MISSED_MAX = 100


@dataclass(frozen=True, slots=True)
class Due:
    """`at` is the time of the run to make now, None if there is none; `next_at` the next time that comes."""

    at: datetime | None
    next_at: datetime | None
    missed_many: bool = False


def due(cron_job: Object, schedule: Schedule, now: datetime) -> Due:
    earliest = time_of(status_of(cron_job).get("lastScheduleTime")) or created_at(cron_job)
    deadline = spec_of(cron_job).get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=int(deadline)))
    first = schedule.after(earliest)
    if first is None or first > now:
        return Due(None, first)
    second = schedule.after(first)
    if second is None or second > now:
        return Due(first, second)
    distance = max(timedelta(seconds=1), second - first)
    missed = (now - first) // distance + 1
    last = _last_before(schedule, first, distance, missed, now)
    return Due(last, schedule.after(last), missed > MISSED_MAX)


def _last_before(schedule: Schedule, first: datetime, distance: timedelta, missed: int, now: datetime) -> datetime:
    """The last time up to `now`, found from near it; a schedule with uneven steps may need a look further back."""
    back = 2
    while True:
        start = first + distance * max(0, missed - back)
        at: datetime | None = first if start <= first else schedule.after(start)
        last = None
        while at is not None and at <= now:
            last, at = at, schedule.after(at)
        if last is not None:
            return last
        back *= 2
