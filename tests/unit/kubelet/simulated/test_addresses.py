"""Addresses of simulated pods: each one's own, and not soon another's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control.kubelet.simulated.addresses import Addresses


def test_one_each_in_turn() -> None:
    pool = Addresses("10.0.0.0/29")
    assert [pool.give(name) for name in "aba"] == ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
    pool.take_back("a")
    assert pool.give("c") == "10.0.0.3"


def test_a_wish_is_granted_if_it_is_free_and_of_the_range() -> None:
    pool = Addresses("10.0.0.0/29")
    assert pool.give("a", "10.0.0.5") == "10.0.0.5"
    assert pool.give("b", "10.0.0.5") == "10.0.0.6"
    assert pool.give("c", "192.0.2.1") == "10.0.0.1"
    assert pool.give("d", "nonsense") == "10.0.0.2"


def test_none_is_left() -> None:
    pool = Addresses("10.0.0.0/30")
    assert [pool.give(name) for name in "abc"] == ["10.0.0.1", "10.0.0.2", ""]
    pool.take_back("b")
    assert pool.give("c") == "10.0.0.2"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_nobody_shares_an_address(steps: list[tuple[bool, int]]) -> None:
    pool, held = Addresses("10.0.0.0/28"), dict[str, str]()
    for gives, who in steps:
        if gives:
            held[str(who)] = pool.give(str(who))
        else:
            pool.take_back(str(who))
            held.pop(str(who), None)
        assert len(set(held.values())) == len(held)
