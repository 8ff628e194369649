"""Cluster time: the identity, the laws, and that it never comes twice."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.config.clock import MARK_AHEAD_S, REAL, SCALE_MAX, Clock, started
from control.config.folders import Folders
from control.config.settings import SettingsError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
scales = st.floats(1, SCALE_MAX)
moments = st.floats(1.7e9, 1.8e9)  # Unix seconds of some three years
lengths = st.floats(0, 1e6)


def at(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_at_scale_one_nothing_is_touched() -> None:
    clock = started(1.0, 0.0, lambda: NOON)
    assert clock.now() is NOON
    assert (clock.at(0.1), clock.machine_time(0.1), clock.delay_s(0.1), clock.cluster_s(0.1)) == (0.1,) * 4
    assert clock.period_s(10.0, 1.0) == 10.0
    assert clock.is_machine_time


def test_a_minute_is_an_hour_at_sixty() -> None:
    clock = Clock(60.0, NOON.timestamp(), NOON.timestamp(), lambda: at(NOON.timestamp() + 60))
    assert clock.now() == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert clock.delay_s(3600) == 60
    assert clock.cluster_s(60) == 3600
    assert clock.period_s(10.0, 1.0) == 60.0  # a second of the machine's is the least
    assert clock.period_s(600.0, 1.0) == 600.0


@given(scales, moments, moments, moments, lengths)
def test_time_goes_forward_and_back_again(scale: float, epoch: float, cluster: float, now: float, later: float) -> None:
    clock = Clock(scale, epoch, cluster)
    assert clock.at(now + later) >= clock.at(now)
    assert clock.machine_time(clock.at(now)) == pytest.approx(now, abs=1e-3)
    assert clock.at(now + later) - clock.at(now) == pytest.approx(clock.cluster_s(later), abs=1.0, rel=1e-6)
    assert Clock.from_json(clock.to_json()) == clock


@given(scales, scales, moments, lengths, lengths, st.booleans())
def test_no_start_repeats_what_was_seen(
    first: float, second: float, begin: float, up_s: float, down_s: float, killed: bool
) -> None:
    """`killed`: the last mark is one that was written ahead, not the exact one of an orderly end."""
    machine = begin
    clock = started(first, 0.0, lambda: at(machine))
    assert clock.now() == at(machine)
    machine += up_s
    seen = clock.now()
    mark = clock.mark(MARK_AHEAD_S if killed else 0.0)
    machine += down_s
    again = started(second, mark, lambda: at(machine))
    assert again.now().timestamp() >= seen.timestamp() - 1e-5  # what a datetime's microseconds round
    assert again.now().timestamp() >= machine - 1e-5
    assert again.now().timestamp() == pytest.approx(max(machine, mark), abs=1e-5)


def test_the_clock_survives_its_file_and_machine_time_leaves_none(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    assert folders.load_clock() == (REAL, 0.0)
    folders.save_clock(Clock(60.0, 1.5, 2.5), 7.0)
    assert folders.load_clock() == (Clock(60.0, 1.5, 2.5), 7.0)
    folders.save_clock(REAL, 8.0)
    assert not folders.clock_file.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"scale": 2}', '{"scale": "x", "machineAt": 0, "clusterAt": 0}'])
def test_a_damaged_clock_says_what_to_do(tmp_path: Path, text: str) -> None:
    folders = Folders(tmp_path)
    folders.clock_file.write_text(text)
    with pytest.raises(SettingsError, match=r"clock\.json is damaged .*: remove it"):
        folders.load_clock()
