"""Cron schedules: what CronJobs accept, and robfig/cron's words for the rest."""

from __future__ import annotations

import pytest

from control.api.cron import problem, spelled


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "*/5 0-23/2 1,15 jan-MAR mon-fri",
        "0 0 31 12 6",
        "? ? ? ? ?",
        "@hourly",
        "@every 1h30m",
        "5/15 * * * *",
    ],
)
def test_accepted(schedule: str) -> None:
    assert problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@never", "unrecognized descriptor: @never"),
        ("0 0 L * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("0 0 15W * *", 'failed to parse int from 15W: strconv.Atoi: parsing "15W": invalid syntax'),
        ("0 0 * * 5#2", 'failed to parse int from 5#2: strconv.Atoi: parsing "5#2": invalid syntax'),
        ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
        ("0 0 0 * * *", "expected exactly 5 fields, found 6: [0 0 0 * * *]"),
        ("-5 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
        ("@reboot", "unrecognized descriptor: @reboot"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_refused(schedule: str, words: str) -> None:
    assert problem(schedule) == words


@pytest.mark.parametrize(
    ("schedule", "numbers"),
    [
        ("*/15 8-18/2 1,15 jan-MAR mon-fri", "0-59/15 8-18/2 1,15 1-3 1-5"),
        ("5/20 ? */2 * 3,*", "5-59/20 * 1-31/2 * *"),
        ("5-5/20 0/30 * * sun", "5 0-23/30 * * 0"),
        ("@weekly", "0 0 * * 0"),
    ],
)
def test_spelled_in_numbers(schedule: str, numbers: str) -> None:
    assert spelled(schedule) == numbers


def test_what_is_no_schedule_cannot_be_spelled() -> None:
    with pytest.raises(ValueError, match="unrecognized descriptor: @reboot"):
        spelled("@reboot")
