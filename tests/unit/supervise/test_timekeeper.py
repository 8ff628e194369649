"""A cluster's clock over several starts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from control.config.clock import MARK_AHEAD_S
from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise.timekeeper import Timekeeper


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def kept(folders: Folders, scale: float) -> Timekeeper:
    return Timekeeper(Settings("a", str(folders.data), time_scale=scale), folders)


async def test_parts_read_the_clock_that_was_set(folders: Folders) -> None:
    keeper = kept(folders, 600.0)
    keeper.begin()
    clock, mark = folders.load_clock()
    assert clock == keeper.clock
    assert abs(clock.now().timestamp() - clock.at(time.time())) < 600  # of the second between the two looks
    assert mark > clock.now().timestamp()
    keeper.end()


async def test_an_orderly_end_marks_the_moment_and_a_killed_one_lies_ahead(folders: Folders) -> None:
    keeper = kept(folders, 600.0)
    keeper.begin()
    ahead = folders.load_clock()[1]
    before = keeper.clock.now().timestamp()
    killed = kept(folders, 600.0)  # nobody ended the first
    assert killed.clock.cluster_at == ahead > before
    killed.begin()
    keeper.end()
    killed.end()
    assert folders.load_clock()[1] < killed.clock.at(time.time() + MARK_AHEAD_S)


async def test_a_slower_start_goes_on_from_there_and_machine_time_keeps_no_books(folders: Folders) -> None:
    fast = kept(folders, 3600.0)
    fast.begin()
    fast.end()
    mark = folders.load_clock()[1]
    slow = kept(folders, 1.0)
    assert slow.clock.cluster_at >= mark
    folders.clock_file.unlink()
    real = kept(folders, 1.0)
    real.begin()
    assert real.clock.is_machine_time
    assert not folders.clock_file.exists()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    real.end()
    assert not folders.clock_file.exists()
