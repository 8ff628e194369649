"""The state that is measured is one that a worker takes, and its changes are changes."""

from __future__ import annotations

from pathlib import Path

from bench.limits.endpoints import endpoint, objects, slice_endpoints, state
from bench.limits.idle import DESCRIPTORS_RESERVED, possible
from bench.peers import loopkube
from bench.peers.front import Front
from bench.publisher import Upsert, update
from dataplane.snapshot.codec import Decoder
from dataplane.snapshot.model import Update
from dataplane.table import Changes, Table

SERVICES, EACH = 3, 10


def applied(table: Table, version: int, upserts: list[Upsert], *, full: bool = False) -> Changes:
    (message,) = Decoder().feed(update(version, upserts, full=full))
    assert isinstance(message, Update)
    return table.apply(message)


def test_a_worker_takes_the_state() -> None:
    table = Table(lambda: 0.5)
    changes = applied(table, 1, list(state(SERVICES, EACH)), full=True)
    assert [len(backend.endpoints) for backend in table.backends] == [EACH] * SERVICES
    assert len(changes.opened) == SERVICES + 1, "each Service's and the Ingress's"
    match = table.resolve("t", b"service-2.test", b"/")
    assert match is not None
    assert match.backend.name == "many/service-2:80"


def test_a_flip_changes_one_endpoint_and_the_last_one_closes_the_listener() -> None:
    table = Table(lambda: 0.5)
    applied(table, 1, list(state(SERVICES, EACH)), full=True)
    assert len(applied(table, 2, [endpoint(1, 4, ready=False)]).changed) == 1
    assert not applied(table, 3, [endpoint(0, number, ready=False) for number in range(1, EACH)]).closed
    assert len(applied(table, 4, [endpoint(0, 0, ready=False)]).closed) == 1
    assert len(applied(table, 5, [endpoint(0, 0)]).opened) == 1


def test_addresses_differ_among_all_endpoints() -> None:
    found = {(spec["address"], spec["port"]) for kind, spec in state(1000, EACH) if kind == "endpoint"}
    assert len(found) == 1000 * EACH


def test_what_is_sent_to_the_api_has_as_many_endpoints_one_of_them_not_ready() -> None:
    _, (_, slice_), _ = objects(7, EACH)
    assert slice_["metadata"]["labels"] == {"kubernetes.io/service-name": "service-7"}
    assert all(each["conditions"]["ready"] for each in slice_["endpoints"])
    assert [each["conditions"]["ready"] for each in slice_endpoints(7, 3, unready=1)] == [True, False, True]


def test_the_comparison_has_a_state_that_a_worker_takes(tmp_path: Path) -> None:
    table = Table(lambda: 0.5)
    applied(table, 1, loopkube.state(tmp_path, 8080, [1001, 1002], Front()), full=True)
    assert [endpoint.spec.port for endpoint in table.backends[0].endpoints.values()] == [1001, 1002]


def test_a_connection_takes_two_descriptors() -> None:
    assert possible(10_000, 20_000 + DESCRIPTORS_RESERVED) == 10_000
    assert possible(10_000, 1000 + DESCRIPTORS_RESERVED) == 500
