"""The wheel against its slow twin: a list that is searched whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.deadlines import NEVER, Wheel


@dataclass(eq=False)
class Item:
    deadline: float
    bucket: float = NEVER
    fired: list[float] = field(default_factory=list)

    def expired(self, now: float) -> None:
        self.fired.append(now)


def set_deadline(wheel: Wheel, item: Item, deadline: float) -> None:
    """What every user does."""
    item.deadline = deadline
    if deadline < item.bucket:
        wheel.watch(item)


def test_a_deadline_fires_once_and_not_early() -> None:
    wheel = Wheel(0.25, 100.0)
    item = Item(NEVER)
    set_deadline(wheel, item, 101.0)
    assert wheel.due(100.9) == []
    assert wheel.due(101.3) == [item]
    assert wheel.due(200.0) == []
    assert repr(wheel) == "Wheel(0 entries in 0 buckets)"


def test_a_deadline_that_is_moved_on_costs_nothing_until_its_first_place_comes() -> None:
    wheel = Wheel(0.25, 0.0)
    item = Item(NEVER)
    for turn in range(100):
        set_deadline(wheel, item, 60.0 + turn)
    assert repr(wheel) == "Wheel(1 entries in 1 buckets)"
    assert wheel.due(100.0) == []
    assert wheel.due(159.5) == [item]


def test_deadlines_of_one_bucket_need_no_new_place() -> None:
    wheel = Wheel(0.25, 0.0)
    item = Item(NEVER)
    set_deadline(wheel, item, 60.2)
    assert item.bucket <= 60.1 < 60.2 < item.bucket + 0.25
    set_deadline(wheel, item, 60.1)
    assert wheel.due(60.24) == []
    assert wheel.due(60.26) == [item]


def test_a_deadline_that_is_taken_back_is_forgotten() -> None:
    wheel = Wheel(0.25, 0.0)
    item = Item(NEVER)
    set_deadline(wheel, item, 1.0)
    item.deadline = NEVER
    assert wheel.due(5.0) == []
    set_deadline(wheel, item, 6.0)
    assert wheel.due(6.5) == [item]


def test_a_forgotten_item_is_kept_nowhere() -> None:
    wheel = Wheel(0.25, 0.0)
    items = [Item(NEVER) for _ in range(100)]
    for item in items:
        set_deadline(wheel, item, 60.0)
        set_deadline(wheel, item, 5.0)  # an earlier one takes it out of the later bucket
    assert repr(wheel) == "Wheel(100 entries in 1 buckets)"
    for item in items:
        wheel.forget(item)
        wheel.forget(item)
    assert repr(wheel) == "Wheel(0 entries in 0 buckets)"
    set_deadline(wheel, items[0], 6.0)
    assert wheel.due(100.0) == [items[0]]


STEP = st.one_of(
    st.tuples(st.just("forget"), st.integers(0, 3), st.just(0.0)),
    st.tuples(st.just("set"), st.integers(0, 3), st.floats(0, 5)),
    st.tuples(st.just("sweep"), st.just(0), st.floats(0, 4)),
)


@given(st.lists(STEP, max_size=30))
@settings(max_examples=150, deadline=None)
def test_the_wheel_fires_what_a_search_would_find_at_most_one_turn_later(steps: list[tuple[str, int, float]]) -> None:
    resolution, now = 0.5, 10.0
    wheel = Wheel(resolution, now)
    items = [Item(NEVER) for _ in range(4)]
    for what, which, amount in steps:
        if what == "set":
            set_deadline(wheel, items[which], now + amount)
            continue
        if what == "forget":
            items[which].deadline = NEVER
            wheel.forget(items[which])
            continue
        now += amount
        due = wheel.due(now)
        assert len(due) == len(set(map(id, due)))
        for item in items:
            if item in due:
                assert item.deadline <= now
                item.deadline = NEVER
            else:
                assert item.deadline > now - 2 * resolution
