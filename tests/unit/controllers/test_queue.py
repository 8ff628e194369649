"""The queue's rules, and its twin: a list of what was asked for and when."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.objects import Key
from control.controllers.queue import BACKOFF_MAX_S, Queue, backoff_s

A, B = Key("x", "a"), Key("x", "b")


def test_a_key_waits_once_and_keys_come_in_order() -> None:
    queue = Queue()
    for key in (A, B, A):
        queue.add(key)
    assert [queue.pop(0), queue.pop(0), queue.pop(0)] == [A, B, None]


def test_the_longest_back_off_may_be_shorter() -> None:
    queue = Queue(backoff_max_s=0.015)
    queue.add(A)
    assert queue.pop(0) == A
    assert [queue.fail(A, 0) for _ in range(4)] == [0.005, 0.01, 0.015, 0.015]


def test_a_key_added_while_held_comes_back_when_done_and_not_before() -> None:
    queue = Queue()
    queue.add(A)
    assert queue.pop(0) == A
    queue.add(A)
    queue.add(A)
    assert queue.pop(0) is None
    assert queue.next_at() is None
    queue.done(A)
    assert queue.pop(0) == A
    queue.done(A)
    assert queue.pop(0) is None


def test_backoff_doubles_up_to_its_limit_and_is_forgotten() -> None:
    assert [backoff_s(n) for n in (1, 2, 3, 4)] == [0.005, 0.01, 0.02, 0.04]
    assert backoff_s(18) == 655.36
    assert backoff_s(19) == backoff_s(5000) == BACKOFF_MAX_S
    queue = Queue()
    queue.add(A)
    queue.pop(0)
    assert queue.fail(A, 10.0) == 0.005
    assert queue.fail(A, 10.0) == 0.01
    queue.done(A)
    assert queue.failures(A) == 2
    assert queue.pop(10.004) is None
    assert queue.next_at() == 10.005
    assert queue.pop(10.005) == A
    queue.forget(A)
    assert queue.fail(A, 20.0) == 0.005


def test_of_several_times_the_earliest_counts() -> None:
    queue = Queue()
    queue.add_at(A, 5.0)
    queue.add_at(A, 3.0)
    queue.add_at(A, 9.0)
    queue.add_at(B, 4.0)
    assert queue.next_at() == 3.0
    assert [queue.pop(3.5), queue.pop(3.5)] == [A, None]
    queue.done(A)
    assert [queue.pop(9.9), queue.pop(9.9)] == [B, None], "the later times were given up for the earlier one"


keys = st.sampled_from("abc").map(lambda name: Key("x", name))
steps = st.one_of(
    st.tuples(st.just("add"), keys, st.just(0)),
    st.tuples(st.just("at"), keys, st.integers(0, 5)),
    st.tuples(st.just("pop"), st.none(), st.integers(0, 3)),
    st.tuples(st.just("done"), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=40))
def test_nothing_is_lost_and_nothing_is_held_twice(history: list[tuple[str, Any, int]]) -> None:
    queue, now = Queue(), 0
    ready: set[Key] = set()  # the twin: asked for now
    timed: dict[Key, int] = {}
    held: list[Key] = []
    for step, what, number in history:
        if step == "add":
            queue.add(what)
            ready.add(what)
        elif step == "at":
            queue.add_at(what, now + number)
            timed[what] = min(timed.get(what, now + number), now + number)
        elif step == "done":
            if held:
                queue.done(held.pop(int(what) % len(held)))
        else:
            now += number
            for key in [key for key, at in timed.items() if at <= now]:
                ready.add(key)
                del timed[key]
            got = queue.pop(now)
            free = ready - set(held)
            assert (got in free) if free else got is None
            if got is not None:
                ready.discard(got)
                held.append(got)
        assert len(set(held)) == len(held)
    assert len(queue) == len(ready)
