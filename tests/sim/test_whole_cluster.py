"""Some of the runs that `python -m tests.sim.run` plays by the thousand, and what they rest on.

`bounds` says what is judged at each write, `ends` what at the end, `script` what is played and `lab` with what.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.play import play

SEEDS_EACH = 20


@pytest.mark.parametrize("first", range(0, 240, SEEDS_EACH))
def test_every_law_holds_at_every_instant_and_at_the_end(first: int) -> None:
    for seed in range(first, first + SEEDS_EACH):
        run = play(seed)
        assert not run.broken, run.story()


def test_faults_and_laws_are_at_work() -> None:
    """Twenty runs meet every fault there is and judge hundreds of writes: laws that never look cannot fail."""
    runs = [play(seed) for seed in range(1000, 1020)]
    faults = {name for run in runs for name, count in run.faults.items() if count}
    assert faults == {
        "conflict", "refused", "lost before", "lost after", "killed", "killed before", "killed after", "lag",
        "delivered twice", "watch broken", "history forgotten",
    }  # fmt: skip
    assert sum(run.judged for run in runs) > 500
    assert {run.is_calm for run in runs} == {True, False}


def test_a_run_can_be_had_again() -> None:
    """Also by a process that hashes strings otherwise: nothing is decided by the order of a set."""
    program = "from tests.sim.play import play; print(*play(3).transcript, *play(14).transcript, sep='\\n')"
    root = Path(__file__).parents[2]
    stories = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert stories[0] == stories[1]
    assert len(stories[0].splitlines()) > 100
