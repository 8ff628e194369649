"""sessionAffinity ClientIP: sliding, per client, and never to an endpoint that may not be picked."""

from __future__ import annotations

import random

from dataplane.balance.affinity import Affinity, StickyBackend
from dataplane.balance.backend import Backend, Endpoint
from dataplane.snapshot import model
from tests.fakes.contract import endpoint


def backend(*ids: str) -> Backend:
    made = Backend("app", random.Random(1).random)
    made.set_spec(model.Backend("app", policy="round-robin"))
    made.endpoints.update((id, Endpoint(endpoint(id))) for id in ids)
    made.touch()
    return made


def picked(affinity: Affinity, app: Backend, client: str, now: float, tried: tuple[str, ...] = ()) -> str:
    chosen = affinity.pick(client, app, now, tried)
    assert chosen is not None
    app.release(chosen)
    return chosen.id


def test_a_client_comes_back_to_its_endpoint_and_others_take_turns() -> None:
    app, affinity = backend("a", "b", "c"), Affinity(10.0)
    assert len({picked(affinity, app, "1.1.1.1", float(now)) for now in range(9)}) == 1
    assert {picked(affinity, app, f"2.2.2.{number}", 0.0) for number in range(3)} == {"a", "b", "c"}


def test_the_time_begins_anew_with_each_connection() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    first = picked(affinity, app, "1.1.1.1", 0.0)
    for now in (9.0, 18.0, 27.9):
        assert picked(affinity, app, "1.1.1.1", now) == first
    assert picked(affinity, app, "1.1.1.1", 37.9) != first  # exactly the timeout later it is over; round-robin moved on


def test_an_endpoint_that_may_not_be_picked_is_replaced_and_forgotten() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    first = picked(affinity, app, "1.1.1.1", 0.0)
    app.endpoints[first].update(endpoint(first, ready=False))
    app.touch()
    second = picked(affinity, app, "1.1.1.1", 1.0)
    assert second != first
    app.endpoints[first].update(endpoint(first))
    app.touch()
    assert picked(affinity, app, "1.1.1.1", 2.0) == second


def test_a_client_leaves_an_ejected_endpoint_unless_all_are_doubtful() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    app.set_spec(model.Backend("app", policy="round-robin", eject_after=1, eject_s=100.0))
    first = picked(affinity, app, "1.1.1.1", 0.0)
    app.answered(app.endpoints[first], False, 0.1, 0.0)
    second = picked(affinity, app, "1.1.1.1", 1.0)
    assert second != first
    app.endpoints[second].update(endpoint(second, ready=False))
    app.touch()
    assert [picked(affinity, app, "1.1.1.1", 2.0) for _ in range(2)] == [first] * 2


def test_sticky_requests_count_for_the_retry_budget() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    app.set_spec(model.Backend("app", retry_budget=0.5, retries_min_per_s=0))
    for _ in range(10):
        picked(affinity, app, "1.1.1.1", 0.0)
    assert app.feedback is not None
    assert [app.feedback.may_retry(0.0) for _ in range(6)] == [True] * 5 + [False]


def test_what_was_tried_is_not_tried_again() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    first = picked(affinity, app, "1.1.1.1", 0.0)
    assert picked(affinity, app, "1.1.1.1", 1.0, (first,)) != first


def test_no_endpoint_is_no_memory() -> None:
    app, affinity = backend(), Affinity(10.0)
    assert affinity.pick("1.1.1.1", app, 0.0) is None
    assert len(affinity) == 0


def test_the_memory_is_bounded_and_forgets_who_was_not_seen_for_the_longest_time() -> None:
    app, affinity = backend("a", "b", "c"), Affinity(10.0, clients_max=2)
    first = picked(affinity, app, "1.1.1.1", 0.0)
    picked(affinity, app, "2.2.2.2", 1.0)
    picked(affinity, app, "1.1.1.1", 2.0)
    picked(affinity, app, "3.3.3.3", 3.0)  # in the place of 2.2.2.2
    assert len(affinity) == 2
    assert picked(affinity, app, "1.1.1.1", 4.0) == first


def test_expired_clients_are_swept_while_others_come() -> None:
    app, affinity = backend("a"), Affinity(10.0)
    for number in range(100):
        picked(affinity, app, f"1.1.1.{number}", 0.0)
    for number in range(60):
        picked(affinity, app, "2.2.2.2", 20.0 + number)
    assert len(affinity) == 1


def test_an_expired_client_that_is_not_swept_yet_is_new_all_the_same() -> None:
    app, affinity = backend("a", "b"), Affinity(10.0)
    first = [picked(affinity, app, f"1.1.1.{number}", 0.0) for number in range(10)]
    assert first[0] != first[1]
    assert picked(affinity, app, "1.1.1.9", 50.0) != first[9]  # round-robin moved on


def test_a_sticky_backend_is_the_backend_as_one_client_sees_it() -> None:
    app, affinity = backend("a", "b", "c"), Affinity(10.0)
    view = StickyBackend(app, affinity, "1.1.1.1", lambda: 0.0)
    first = view.pick()
    assert first is not None
    assert [view.pick() for _ in range(3)] == [first] * 3
    assert first.active == 4
    view.release(first)
    assert first.active == 3
    other = view.pick({first.id})
    assert other is not None
    assert other is not first
    assert view.usable == app.usable
    taken = view.take("c")
    assert taken is app.endpoints["c"]


def test_a_sticky_backend_follows_what_the_backend_becomes() -> None:
    app = backend("a")
    view = StickyBackend(app, Affinity(10.0), "1.1.1.1", lambda: 0.0)
    app.set_spec(model.Backend("app", response_timeout_s=3.0))
    assert view.follow().spec.response_timeout_s == 3.0
    app.set_spec(None)
    assert not view.follow().known
    assert not view.has_usable
    assert view.pick() is None
