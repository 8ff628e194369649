"""Cron schedules as CronJobs accept them: five fields or a macro, read and refused as robfig/cron's parser does.

A field is a list of ranges with steps: `*/15`, `0-6/2`, `mon-fri`, `1,15`. Names are allowed for months and days of the
week, `?` is a star. Nothing more: cron libraries know seconds, `L`, `#` and `@reboot`, Kubernetes does not. `problem`
answers with the parser's own words, and `spelled` says an accepted schedule in numbers, in the part of the language
that every cron library reads alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Bounds(NamedTuple):
    least: int
    most: int
    names: dict[str, int]


class Range(NamedTuple):
    first: int
    last: int
    step: int
    star: bool  # a star, or every value of one: it restricts nothing


_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
BOUNDS = (Bounds(0, 59, {}), Bounds(0, 23, {}), Bounds(1, 31, {}), Bounds(1, 12, _MONTHS), Bounds(0, 6, _DAYS))
MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
EVERY = "@every "
_DURATION = re.compile(r"[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)")


def problem(schedule: str) -> str:
    """What is wrong with a schedule; "" where nothing is."""
    if not schedule:
        return "empty spec string"
    try:
        if schedule.startswith(EVERY):
            _check_duration(schedule)
        else:
            _fields(schedule)
    except ValueError as error:
        return str(error)
    return ""


def spelled(schedule: str) -> str:
    """A schedule of fields as five fields of numbers and ranges; raises ValueError with `problem`'s words.

    A field that has a star anywhere in it is a plain one: among days, that decides how the two fields go together.
    """
    return " ".join(
        "*" if any(each.star for each in ranges) else ",".join(map(_spelled, ranges)) for ranges in _fields(schedule)
    )


def _spelled(each: Range) -> str:
    if each.first == each.last:
        return str(each.first)
    return f"{each.first}-{each.last}" + (f"/{each.step}" if each.step > 1 else "")


def _check_duration(schedule: str) -> None:
    duration = schedule.removeprefix(EVERY)
    if not _DURATION.fullmatch(duration):
        raise ValueError(f'failed to parse duration {schedule}: time: invalid duration "{duration}"')


def _fields(schedule: str) -> list[list[Range]]:
    if schedule.startswith("@"):
        if schedule not in MACROS:
            raise ValueError(f"unrecognized descriptor: {schedule}")
        schedule = MACROS[schedule]
    fields = schedule.split()
    if len(fields) != len(BOUNDS):
        listed = " ".join(fields)
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{listed}]")
    return [
        [_range(part, bounds) for part in field.split(",") if part]
        for field, bounds in zip(fields, BOUNDS, strict=True)
    ]


def _range(text: str, bounds: Bounds) -> Range:
    base, slash, step = text.partition("/")
    if "/" in step:
        raise ValueError(f"too many slashes: {text}")
    low, dash, high = base.partition("-")
    star = low in ("*", "?")
    if star:
        first, last = bounds.least, bounds.most
    elif "-" in high:
        raise ValueError(f"too many hyphens: {text}")
    else:
        first = _number(low, bounds.names)
        last = _number(high, bounds.names) if dash else (bounds.most if slash else first)
    size = _number(step, {}) if slash else 1
    if first < bounds.least:
        raise ValueError(f"beginning of range ({first}) below minimum ({bounds.least}): {text}")
    if last > bounds.most:
        raise ValueError(f"end of range ({last}) above maximum ({bounds.most}): {text}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if size == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return Range(first, last, size, star and size == 1)


def _number(text: str, names: dict[str, int]) -> int:
    named = names.get(text.lower())
    if named is not None:
        return named
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
