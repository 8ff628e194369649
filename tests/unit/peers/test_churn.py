"""Who makes changes, how often, and what the runs come to."""

from __future__ import annotations

import itertools
import time

from bench.limits.cluster import Figure
from bench.peers.churn import Changer, Found, figures_of
from bench.peers.front import Peer
from bench.peers.steady import Seen


class Subject:
    """Remembers its changes; each takes a millisecond of CPU, as it says."""

    peer = Peer("loopkube", 1, 1)

    def __init__(self) -> None:
        self.changes: list[int] = []

    def change(self, number: int) -> None:
        self.changes.append(number)

    def cpu_s(self) -> float:
        return len(self.changes) * 1e-3


def test_changes_are_numbered_over_all_runs_and_their_cpu_is_counted() -> None:
    subject, numbers = Subject(), itertools.count()
    changers = [Changer(subject, 1000.0, numbers) for _ in range(2)]
    for changer in changers:
        changer.run(time.monotonic(), 0.01)
    assert subject.changes == list(range(len(subject.changes)))
    assert sum(changer.made for changer in changers) == len(subject.changes) > 0
    assert [changer.cpu_s for changer in changers] == [changer.made * 1e-3 for changer in changers]


def test_without_a_rate_nothing_is_changed() -> None:
    subject = Subject()
    Changer(subject, 0.0, itertools.count()).run(time.monotonic(), 0.0)
    assert subject.changes == []


def found(p99_ms: list[float], lost: dict[str, int], made: int) -> Found:
    each = Found()
    changer = Changer(Subject(), 0.0, itertools.count(), made=made, cpu_s=0.02)
    each.add(Seen(1000, [one / 1e3 for one in p99_ms], lost, 0.0), changer)
    return each


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_goals_are_loopkubes_alone() -> None:
    quiet, changing = found([1.0, 9.0, 1.0], {}, 0), found([1.3, 1.3, 1.0], {"closed": 2, "502": 1}, 599)
    ours = named(figures_of("loopkube", quiet, changing, 6.0, 100.0))
    times = ours["loopkube: p99 with over without"]
    assert (round(times.value, 3), times.met) == (1.3, False)
    assert (ours["loopkube: requests lost without changes"].met, ours["loopkube: requests lost with changes"].met) == (
        True,
        False,
    )
    assert ours["loopkube: requests lost with changes"].note == "of 1,000, 2 closed, 1 502"
    assert ours["loopkube: CPU of a request with changes"].value == 20.0
    assert ours["loopkube: changes made"].met is False
    theirs = figures_of("nginx", quiet, changing, 6.0, 100.0)
    assert [figure.met for figure in theirs] == [None] * len(theirs)
