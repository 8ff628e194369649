"""A year of CronJobs in seconds, daylight saving included, against a twin that asks every minute of the year.

The twin knows nothing of schedules: it walks through the year minute by minute, reads the wall clock of the zone and
compares the numbers. So an hour that the clocks skip has no run, and one that they show twice has two.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from control.api.objects import name_of
from tests.fakes.tiny_api import START
from tests.fakes.workloads import cron_job
from tests.sim.tower import Tower

YEAR = timedelta(days=365)
MINUTE = timedelta(minutes=1)


def twin(zone: str, fires: Callable[[datetime], bool]) -> list[int]:
    """The minutes (since 1970) of the year in which the zone's wall clock reads as asked."""
    tz = ZoneInfo(zone)
    minutes = (START + MINUTE * (n + 1) for n in range(YEAR // MINUTE))
    return [int(at.timestamp()) // 60 for at in minutes if fires(at.astimezone(tz))]


CASES: dict[str, tuple[str, str, Callable[[datetime], bool], int]] = {
    # 2:30 does not exist on 29 March, and is there twice on 25 October
    "Berlin, at night": ("30 2 * * *", "Europe/Berlin", lambda at: (at.hour, at.minute) == (2, 30), 365),
    # on 5 April the half hour from 1:30 is there twice; what is skipped in October begins at 2:00
    "Lord Howe, half an hour": (
        "*/30 1 * * *", "Australia/Lord_Howe", lambda at: at.hour == 1 and at.minute % 30 == 0, 731,
    ),
    "New York, at work": (
        "0 */6 * * 1-5", "America/New_York", lambda at: at.minute == 0 and at.hour % 6 == 0 and at.weekday() < 5, 1044,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_minute_that_is_due_has_one_job(case: str) -> None:
    schedule, zone, fires, count = CASES[case]
    tower = Tower(cron_job(schedule=schedule, timeZone=zone))
    tower.until(START + YEAR)
    runs = [int(name_of(obj).rpartition("-")[2]) for obj in tower.made]
    wanted = twin(zone, fires)
    assert [minute for minute in runs if minute <= wanted[-1]] == wanted
    assert len(wanted) == count
