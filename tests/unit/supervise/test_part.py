"""Restarts: at once after a long run, then ever later."""

from __future__ import annotations

from control.supervise.part import DELAYS_S, STEADY_S, Part


def test_restarts_in_a_row_wait_ever_longer() -> None:
    part = Part("control", "control", ("x",))
    delays = []
    for _ in range(9):
        part.started(1, now=0.0)
        delays.append(part.ended(now=1.0))
    assert delays == [*DELAYS_S, DELAYS_S[-1], DELAYS_S[-1]]
    assert part.process_id == "system/control/9"


def test_a_long_run_starts_a_new_row() -> None:
    part = Part("node", "node", ("x",))
    for _ in range(5):
        part.started(1, now=0.0)
        part.ended(now=1.0)
    part.started(1, now=0.0)
    assert part.ended(now=STEADY_S) == 0.0
    part.started(1, now=0.0)
    assert part.ended(now=1.0) == 0.0
    part.started(1, now=0.0)
    assert part.ended(now=1.0) == DELAYS_S[1]
