"""Cron arithmetic against a slow twin that looks at every minute, and daylight-saving days by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.cron import BOUNDS, MACROS, Bounds, problem
from control.controllers.cronjob.schedule import Schedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
         "America/Asuncion", "Pacific/Apia")  # fmt: skip
MINUTE = timedelta(minutes=1)


def element(bounds: Bounds) -> st.SearchStrategy[str]:
    numbers = st.integers(bounds.least, bounds.most)
    named = st.sampled_from(sorted(bounds.names)) if bounds.names else numbers.map(str)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.integers(1, 12)
    return st.one_of(
        st.just("*"),
        st.just("?"),
        numbers.map(str),
        named,
        ranges,
        steps.map(lambda step: f"*/{step}"),
        st.tuples(ranges, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.tuples(numbers, steps).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )


def field(bounds: Bounds) -> st.SearchStrategy[str]:
    return st.lists(element(bounds), min_size=1, max_size=2).map(",".join)


schedules = st.tuples(*map(field, BOUNDS)).map(" ".join)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


def allowed(text: str, bounds: Bounds, value: int) -> bool:
    """The twin's reading of one field."""
    for part in text.split(","):
        base, _, step = part.partition("/")
        if base in ("*", "?"):
            first, last = bounds.least, bounds.most
        else:
            ends = [bounds.names.get(end, -1) if end.isalpha() else int(end) for end in base.split("-")]
            first, last = ends[0], ends[-1]
            if step and "-" not in base:
                last = bounds.most
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def fires(text: str, zone: ZoneInfo, at: datetime) -> bool:
    local = at.astimezone(zone)
    fields = text.split()
    values = (local.minute, local.hour, local.day, local.month, (local.weekday() + 1) % 7)
    minute, hour, day, month, weekday = (allowed(*each) for each in zip(fields, BOUNDS, values, strict=True))
    stars = [any(part in ("*", "?", "*/1", "?/1") for part in fields[place].split(",")) for place in (2, 4)]
    return minute and hour and month and (day and weekday if any(stars) else day or weekday)


@settings(max_examples=60, deadline=None)
@given(schedules, st.sampled_from(ZONES), moments)
def test_it_finds_what_a_look_at_every_minute_finds(text: str, zone: str, start: datetime) -> None:
    assert problem(text) == ""
    clock = ZoneInfo(zone)
    found = Schedule.parse(text, clock).after(start)
    at = start.replace(second=0, microsecond=0) + MINUTE
    for _ in range(3 * 24 * 60):
        if fires(text, clock, at):
            assert found == at
            return
        at += MINUTE
    assert found is None or (found >= at and fires(text, clock, found))


SHIFTS = [
    (zone, at)
    for zone in ZONES
    for year in (2010, 2024)
    for hour in range(366 * 24)
    for at in [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour)]
    if at.astimezone(ZoneInfo(zone)).utcoffset() != (at + timedelta(hours=1)).astimezone(ZoneInfo(zone)).utcoffset()
]


@settings(max_examples=60, deadline=None)
@given(schedules, st.sampled_from(SHIFTS), st.integers(0, 6 * 60))
def test_days_on_which_the_clocks_change(text: str, shift: tuple[str, datetime], before: int) -> None:
    """Every firing of twelve hours around a change, including zones that change by half an hour or at a minute past
    midnight, or skip a day."""
    zone, at = shift
    clock = ZoneInfo(zone)
    minute, hour, *_ = text.split()
    text = f"{minute} {hour} * * *"
    start = at - timedelta(minutes=before)
    end = start + timedelta(hours=12)
    schedule, found = Schedule.parse(text, clock), []
    moment = schedule.after(start)
    while moment is not None and moment < end:
        found.append(moment)
        moment = schedule.after(moment)
    every_minute = (start + index * MINUTE for index in range(1, 12 * 60))
    assert found == [moment for moment in every_minute if fires(text, clock, moment)]


def in_berlin(text: str, *at: int) -> list[str]:
    """The next three firings, on the clock of Berlin."""
    zone = ZoneInfo("Europe/Berlin")
    moment, found = datetime(*at, tzinfo=zone), []  # type: ignore[misc, arg-type]
    for _ in range(3):
        following = Schedule.parse(text, zone).after(moment)
        assert following is not None
        moment = following
        found.append(moment.astimezone(zone).strftime("%d. %H:%M %Z"))
    return found


def test_a_time_that_does_not_exist_is_left_out() -> None:
    assert in_berlin("30 2 * * *", 2026, 3, 27, 12) == ["28. 02:30 CET", "30. 02:30 CEST", "31. 02:30 CEST"]


def test_a_time_that_comes_twice_fires_twice() -> None:
    assert in_berlin("30 2 * * *", 2026, 10, 24, 12) == ["25. 02:30 CEST", "25. 02:30 CET", "26. 02:30 CET"]


def test_days_of_month_and_week_are_either_unless_one_is_a_star() -> None:
    friday_or_13th = Schedule.parse("0 0 13 * fri")
    assert friday_or_13th.after(datetime(2026, 1, 10, tzinfo=UTC)) == datetime(2026, 1, 13, tzinfo=UTC)
    assert friday_or_13th.after(datetime(2026, 1, 13, tzinfo=UTC)) == datetime(2026, 1, 16, tzinfo=UTC)
    assert Schedule.parse("0 0 * * fri").after(datetime(2026, 1, 10, tzinfo=UTC)) == datetime(2026, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("macro", sorted(MACROS))
def test_a_macro_is_its_five_fields(macro: str) -> None:
    start = datetime(2026, 5, 17, 10, 20, 30, tzinfo=UTC)
    assert Schedule.parse(macro).after(start) == Schedule.parse(MACROS[macro]).after(start)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5m", 90), ("10ms", 1), ("2s500ms", 2)])
def test_every_counts_from_the_time_before(text: str, seconds: int) -> None:
    start = datetime(2026, 5, 17, 10, 20, 30, 999, tzinfo=UTC)
    assert Schedule.parse(f"@every {text}").after(start) == start.replace(microsecond=0) + timedelta(seconds=seconds)


def test_what_never_comes_is_none() -> None:
    assert Schedule.parse("0 0 31 2 *").after(datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert Schedule.parse("0 0 29 2 *").after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)


def test_what_is_no_schedule_is_refused_in_the_validations_words() -> None:
    with pytest.raises(ValueError, match="expected exactly 5 fields"):
        Schedule.parse("* * *")
