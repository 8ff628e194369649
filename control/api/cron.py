"""Cron schedules, as far as validation needs them: five fields or a macro (robfig/cron's standard parser).

A field is a list of ranges with steps: `*/15`, `0-6/2`, `mon-fri`, `1,15`. Names are allowed for months and days of the
week. `problem` answers with the parser's own words.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Bounds(NamedTuple):
    least: int
    most: int
    names: dict[str, int]


_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
BOUNDS = (Bounds(0, 59, {}), Bounds(0, 23, {}), Bounds(1, 31, {}), Bounds(1, 12, _MONTHS), Bounds(0, 6, _DAYS))
MACROS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def problem(schedule: str) -> str:
    """What is wrong with a schedule; "" where nothing is."""
    if not schedule:
        return "empty spec string"
    if schedule.startswith("@"):
        return _macro(schedule)
    fields = schedule.split()
    if len(fields) != len(BOUNDS):
        listed = " ".join(fields)
        return f"expected exactly 5 fields, found {len(fields)}: [{listed}]"
    return next((fault for field, bounds in zip(fields, BOUNDS, strict=True) if (fault := _field(field, bounds))), "")


def _macro(schedule: str) -> str:
    if schedule in MACROS:
        return ""
    if schedule.startswith("@every "):
        duration = schedule.removeprefix("@every ")
        if duration and not _DURATION.sub("", duration.lstrip("+-")):
            return ""
        return f'failed to parse duration {schedule}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {schedule}"


def _field(field: str, bounds: Bounds) -> str:
    return next((fault for part in field.split(",") if part and (fault := _range(part, bounds))), "")


def _range(text: str, bounds: Bounds) -> str:
    base, slash, step = text.partition("/")
    if "/" in step:
        return f"too many slashes: {text}"
    low, dash, high = base.partition("-")
    if low in ("*", "?"):
        first, last = bounds.least, bounds.most
    else:
        if "-" in high:
            return f"too many hyphens: {text}"
        numbers = [_number(part, bounds) for part in ((low, high) if dash else (low,))]
        for number in numbers:
            if isinstance(number, str):
                return number
        first = int(numbers[0])
        last = int(numbers[-1]) if dash else (bounds.most if slash else first)
    if slash:
        size = _number(step, Bounds(0, 0, {}))
        if isinstance(size, str):
            return size
        if size == 0:
            return f"step of range should be a positive number: {text}"
    if first < bounds.least:
        return f"beginning of range ({first}) below minimum ({bounds.least}): {text}"
    if last > bounds.most:
        return f"end of range ({last}) above maximum ({bounds.most}): {text}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {text}"
    return ""


def _number(text: str, bounds: Bounds) -> int | str:
    named = bounds.names.get(text.lower())
    if named is not None:
        return named
    if not re.fullmatch("[+-]?[0-9]+", text):
        return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
    number = int(text)
    return number if number >= 0 else f"negative number ({number}) not allowed: {text}"
