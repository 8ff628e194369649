"""A pool of multiplexed connections that are mere counters, and a machine that does everything to it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataplane.pool.multiplexed import PLACES_EXPECTED, MultiplexedPool
from dataplane.pool.plan import PoolLimits
from dataplane.pool.pool import DialFailure, PoolFull


class Trunk:
    """A connection with some places."""

    def __init__(self, places: int = 3) -> None:
        self.places = places
        self.leaving = False

    def lend(self, *, reused: bool) -> Place:
        assert self.places > 0
        self.places -= 1
        return Place(self, reused)

    def close_idle(self) -> None:
        self.leaving = True
        self.places = 0


class Place:
    def __init__(self, trunk: Trunk, reused: bool) -> None:
        self.trunk = trunk
        self.reused = reused


class Asker:
    """Somebody who waits."""

    def __init__(self) -> None:
        self.got: Place | None = None
        self.failure = ""
        self.connect_s = 0.0

    def acquired(self, connection: Place, connect_s: float) -> None:
        assert self.got is None
        self.got = connection
        self.connect_s = connect_s

    def acquire_failed(self, failure: DialFailure) -> None:
        assert not self.failure
        self.failure = failure


def pool(connections_max: int = 2, pending_max: int = 2) -> MultiplexedPool:
    return MultiplexedPool("10.0.0.1", 80, PoolLimits(connections_max, pending_max), lambda pool: None)


def test_the_first_dials_and_many_share_what_it_dialled() -> None:
    subject = pool()
    askers = [Asker() for _ in range(3)]
    assert [subject.acquire(asker) for asker in askers] == [None] * 3
    assert subject.dialing == 1
    subject.dialed(Trunk(), 0.1)
    assert [(asker.got is not None and not asker.got.reused, asker.connect_s) for asker in askers] == [(True, 0.1)] * 3


def test_a_place_that_is_there_is_lent_at_once_and_the_first_connection_is_filled_first() -> None:
    subject = pool()
    first, second = Trunk(2), Trunk(2)
    for trunk in (first, second):
        subject.acquire(Asker(), fresh=True)
        subject.dialed(trunk, 0.1)
    assert (first.places, second.places) == (1, 1)
    place = subject.acquire(Asker())
    assert place is not None
    assert (place.trunk, place.reused) == (first, True)


def test_who_must_not_have_an_old_place_waits_for_a_new_one() -> None:
    subject = pool()
    subject.acquire(Asker())
    subject.dialed(Trunk(), 0.1)
    asker = Asker()
    assert subject.acquire(asker, fresh=True) is None
    assert subject.dialing == 1


def test_a_full_pool_lets_some_wait_and_refuses_the_rest() -> None:
    subject = pool(connections_max=1, pending_max=1)
    subject.acquire(Asker())
    trunk = Trunk(1)
    subject.dialed(trunk, 0.1)
    waiting = Asker()
    assert subject.acquire(waiting) is None
    assert subject.dialing == 0
    with pytest.raises(PoolFull):
        subject.acquire(Asker())
    assert subject.statistics()["refused"] == 1
    trunk.places = 1
    subject.freed(trunk)
    assert waiting.got is not None
    assert waiting.connect_s == -1.0


def test_a_failed_dial_is_told_to_all_that_it_would_have_carried() -> None:
    subject = pool(pending_max=1000)
    askers = [Asker() for _ in range(PLACES_EXPECTED + 1)]
    for asker in askers:
        subject.acquire(asker)
    assert subject.dialing == 2
    subject.dial_failed("connect_refused")
    assert [asker.failure for asker in askers].count("connect_refused") == 1
    subject.dial_failed("connect_refused")
    assert [asker.failure for asker in askers].count("connect_refused") == PLACES_EXPECTED + 1


def test_an_endpoint_that_left_ends_its_connections_as_they_empty() -> None:
    subject = pool()
    subject.acquire(Asker())
    trunk = Trunk()
    subject.dialed(trunk, 0.1)
    subject.close_idle()
    assert trunk.leaving
    subject.reopen()
    assert not subject.closing


def test_it_introduces_itself() -> None:
    assert repr(pool()) == "MultiplexedPool(10.0.0.1:80: 0 open, 0 dialing, 0 waiting)"
    assert pool().statistics()["address"] == "10.0.0.1:80"


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens: nobody is served twice or forgotten, and limits hold."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = pool(connections_max=2, pending_max=4)
        self.waiting: list[Asker] = []
        self.held: list[Place] = []
        self.trunks: list[Trunk] = []

    def _settle(self) -> None:
        self.held += [asker.got for asker in self.waiting if asker.got is not None]
        self.waiting = [asker for asker in self.waiting if asker.got is None and not asker.failure]

    @rule(fresh=st.booleans())
    def ask(self, fresh: bool) -> None:
        asker = Asker()
        try:
            place = self.subject.acquire(asker, fresh=fresh)
        except PoolFull:
            assert self.subject.connections + self.subject.dialing == 2
            return
        if place is None:
            self.waiting.append(asker)
        else:
            assert not fresh
            self.held.append(place)

    @precondition(lambda self: self.subject.dialing)
    @rule(places=st.integers(0, 3))
    def dial_succeeds(self, places: int) -> None:
        trunk = Trunk(places)
        self.trunks.append(trunk)
        self.subject.dialed(trunk, 0.1)
        self._settle()

    @precondition(lambda self: self.subject.dialing)
    @rule()
    def dial_fails(self) -> None:
        self.subject.dial_failed("connect_refused")
        self._settle()

    @precondition(lambda self: self.held)
    @rule()
    def finish(self) -> None:
        place = self.held.pop()
        if place.trunk in self.trunks and not place.trunk.leaving:
            place.trunk.places += 1
            self.subject.freed(place.trunk)
        self._settle()

    @precondition(lambda self: self.trunks)
    @rule()
    def lose(self) -> None:
        trunk = self.trunks.pop(0)
        trunk.places = 0
        self.held = [place for place in self.held if place.trunk is not trunk]
        self.subject.lost(trunk)
        self._settle()

    @precondition(lambda self: self.waiting)
    @rule()
    def give_up(self) -> None:
        self.subject.cancel(self.waiting.pop())

    @invariant()
    def nobody_is_forgotten(self) -> None:
        subject = self.subject
        assert list(subject.waiting) == self.waiting
        assert subject.connections == len(self.trunks)
        assert subject.connections + subject.dialing <= subject.limits.connections_max
        if self.waiting:
            assert subject.dialing or subject.connections == subject.limits.connections_max


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
