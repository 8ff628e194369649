"""A pool with connections that are mere names, and a machine that does everything to it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataplane.pool.plan import PoolLimits
from dataplane.pool.pool import DialFailure, Pool, PoolFull


class Wire:
    """A connection."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Asker:
    """Somebody who waits."""

    def __init__(self) -> None:
        self.got: Wire | None = None
        self.failure = ""
        self.connect_s = 0.0

    def acquired(self, connection: Wire, connect_s: float) -> None:
        assert self.got is None
        self.got = connection
        self.connect_s = connect_s

    def acquire_failed(self, failure: DialFailure) -> None:
        self.failure = failure


def pool(connections_max: int = 2, pending_max: int = 2) -> Pool:
    return Pool("10.0.0.1", 80, PoolLimits(connections_max, pending_max), lambda pool: None)


def filled(subject: Pool, count: int) -> list[Wire]:
    wires = []
    for _ in range(count):
        asker = Asker()
        assert subject.acquire(asker) is None
        subject.dialed(Wire(), 0.1)
        assert asker.got is not None
        wires.append(asker.got)
    return wires


def test_the_connection_used_last_is_used_first() -> None:
    subject = pool()
    first, second = filled(subject, 2)
    subject.release(first)
    subject.release(second)
    assert subject.acquire(Asker()) is second
    assert repr(subject) == "Pool(10.0.0.1:80: 1 active, 1 idle, 0 dialing, 0 waiting)"
    assert subject.statistics()["idle"] == 1


def test_a_fresh_one_is_not_an_idle_one() -> None:
    subject = pool()
    (wire,) = filled(subject, 1)
    subject.release(wire)
    assert subject.acquire(Asker(), fresh=True) is None
    assert subject.dialing == 1


def test_a_free_connection_goes_to_whoever_waits_longest_also_if_it_dials() -> None:
    subject = pool()
    (wire,) = filled(subject, 1)
    first, second = Asker(), Asker()
    subject.acquire(first)
    subject.acquire(second)
    subject.release(wire)
    assert (first.got, first.connect_s) == (wire, -1.0)
    new = Wire()
    subject.dialed(new, 0.2)
    assert (second.got, second.connect_s) == (new, 0.2)


def test_a_failed_dial_is_told_to_one_and_the_others_are_dialled_for() -> None:
    subject = pool(connections_max=1)
    first, second = Asker(), Asker()
    subject.acquire(first)
    subject.acquire(second)
    assert subject.dialing == 1
    subject.dial_failed("connect_refused")
    assert (first.failure, second.failure, subject.dialing) == ("connect_refused", "", 1)


def test_a_lost_connection_makes_room_for_who_waits() -> None:
    subject = pool(connections_max=1)
    (wire,) = filled(subject, 1)
    waiting = Asker()
    subject.acquire(waiting)
    assert subject.dialing == 0
    subject.lost(wire)
    assert subject.dialing == 1


def test_full_is_said_at_once() -> None:
    subject = pool(connections_max=1, pending_max=1)
    filled(subject, 1)
    subject.acquire(Asker())
    with pytest.raises(PoolFull):
        subject.acquire(Asker())
    assert subject.refused == 1


def test_who_left_the_line_gets_nothing() -> None:
    subject = pool()
    gone = Asker()
    subject.acquire(gone)
    subject.cancel(gone)
    subject.cancel(gone)
    wire = Wire()
    subject.dialed(wire, 0.1)
    assert (gone.got, subject.idle) == (None, [wire])


def test_a_retired_connection_is_nobodys() -> None:
    subject = pool()
    (wire,) = filled(subject, 1)
    subject.release(wire)
    subject.retire(wire)
    assert subject.acquire(Asker()) is None
    subject.lost(wire)
    assert subject.connections == 0


def test_an_endpoint_that_left_keeps_nothing_idle_until_it_is_back() -> None:
    subject = pool()
    idle, busy = filled(subject, 2)
    subject.release(idle)
    subject.close_idle()
    assert (idle.closed, busy.closed) == (True, False)
    subject.release(busy)
    assert busy.closed
    subject.lost(idle)
    subject.lost(busy)
    subject.reopen()
    (again,) = filled(subject, 1)
    subject.release(again)
    assert not again.closed


class PoolMachine(RuleBasedStateMachine):
    """Any order of everything: counts stay true, limits hold, nobody waits while something could be done for them."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = pool(connections_max=3, pending_max=2)
        self.lent: list[Wire] = []
        self.askers: list[Asker] = []

    def collect(self) -> None:
        self.lent += [asker.got for asker in self.askers if asker.got is not None]
        self.askers = [asker for asker in self.askers if asker.got is None and not asker.failure]

    @rule()
    def acquire(self) -> None:
        asker = Asker()
        try:
            wire = self.pool.acquire(asker)
        except PoolFull:
            assert self.pool.connections + self.pool.dialing == 3
            return
        if wire is None:
            self.askers.append(asker)
        else:
            self.lent.append(wire)

    @precondition(lambda self: self.pool.dialing)
    @rule()
    def dialed(self) -> None:
        self.pool.dialed(Wire(), 0.1)
        self.collect()

    @precondition(lambda self: self.pool.dialing)
    @rule()
    def dial_failed(self) -> None:
        self.pool.dial_failed("connect_timeout")
        self.collect()

    @precondition(lambda self: self.lent)
    @rule()
    def release(self) -> None:
        self.pool.release(self.lent.pop(0))
        self.collect()

    @precondition(lambda self: self.lent)
    @rule()
    def lose(self) -> None:
        self.pool.lost(self.lent.pop())
        self.collect()

    @precondition(lambda self: self.pool.idle)
    @rule()
    def lose_idle(self) -> None:
        self.pool.lost(self.pool.idle[0])

    @precondition(lambda self: self.askers)
    @rule()
    def cancel(self) -> None:
        self.pool.cancel(self.askers.pop(0))

    @invariant()
    def counts_are_true(self) -> None:
        assert self.pool.connections == len(self.lent) + len(self.pool.idle)
        assert len(set(map(id, [*self.lent, *self.pool.idle]))) == self.pool.connections
        assert list(self.pool.waiting) == self.askers

    @invariant()
    def limits_hold(self) -> None:
        assert self.pool.connections + self.pool.dialing <= 3
        assert len(self.askers) - self.pool.dialing <= 2

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        if self.askers:
            assert not self.pool.idle or self.pool.dialing >= len(self.askers)
            assert self.pool.dialing >= len(self.askers) or self.pool.connections + self.pool.dialing == 3


PoolMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestPool = PoolMachine.TestCase
