"""Balancing with care, through a worker: what clients get, and what its metrics say."""

from __future__ import annotations

from collections import Counter

from dataplane.metrics import names
from dataplane.metrics.exposition import exposition
from dataplane.metrics.registry import Family
from dataplane.snapshot.model import Backend
from dataplane.worker import Worker
from tests.fakes.contract import endpoint, full, rule
from tests.fakes.sockets import connect, unused_port
from tests.unit.worker.test_worker import app, get, tcp, web, worker


def metric(made: Worker, family: Family) -> float:
    exposition(made.registry)
    return made.registry.value(family, "app").value


async def test_an_endpoint_that_refuses_is_ejected_and_clients_stop_noticing() -> None:
    port, dead = unused_port(), unused_port()
    spec = Backend("app", policy="round-robin", eject_after=2, eject_s=60.0)
    async with app(b"1") as one:
        endpoints = endpoint("a", port=one.port), endpoint("b", port=dead)
        async with worker(full(spec, web(port), rule("r"), *endpoints)) as made:
            statuses = Counter([(await get(port))[0] for _ in range(12)])
            assert statuses == {200: 10, 502: 2}
            assert (metric(made, names.EJECTED), metric(made, names.EJECTIONS)) == (1, 1)
            (shown,) = [one for one in made.view()["backends"][0]["endpoints"] if one["id"] == "b"]
            assert shown["health"] == "ejected"


async def test_connections_eject_too() -> None:
    port, dead = unused_port(), unused_port()
    spec = Backend("app", policy="round-robin", eject_after=1, eject_s=60.0)
    async with app(b"1") as one:
        endpoints = endpoint("a", port=one.port), endpoint("b", port=dead)
        async with worker(full(spec, tcp(port), *endpoints)) as made:
            lost = 0
            for _ in range(8):
                try:
                    assert await get(port) == (200, b"1")
                except (ConnectionError, EOFError):
                    lost += 1
            assert lost == 1
            assert metric(made, names.EJECTED) == 1


async def test_a_retry_budget_ends_retries_and_says_so() -> None:
    port, dead = unused_port(), unused_port()
    budget = {"retry_budget": 0.2, "retries_min_per_s": 0.1}  # one retry in reserve, and one for five requests
    spec = Backend("app", "round-robin", "ingress-nginx", 3, **budget)  # type: ignore[arg-type]
    async with app(b"1") as one:
        endpoints = endpoint("a", port=one.port), endpoint("b", port=dead)
        async with worker(full(spec, web(port), rule("r"), *endpoints)) as made:
            statuses = Counter([(await get(port))[0] for _ in range(20)])
            assert statuses[200] + statuses[502] == 20
            assert 4 <= statuses[502] <= 9, "ten or so meet the dead one first; five of them may try again"
            assert metric(made, names.RETRIES_DENIED) == statuses[502]


async def test_a_hashed_key_has_one_endpoint() -> None:
    port, relayed = unused_port(), unused_port()
    spec = Backend("app", policy="maglev", hash_on="$http_x_user")
    async with app(b"1") as one, app(b"2") as two:
        endpoints = endpoint("a", port=one.port), endpoint("b", port=two.port)
        async with worker(full(spec, web(port), tcp(relayed), rule("r"), *endpoints)):
            homes = {}
            for user in range(12):
                wire = await connect(port)
                bodies = set()
                for _ in range(3):
                    wire.send(f"GET / HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n".encode())
                    head = await wire.reader.readuntil(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 200 ")
                    bodies.add(await wire.exactly(1))
                wire.close()
                (homes[user],) = bodies
            assert set(homes.values()) == {b"1", b"2"}
            assert len({(await get(relayed))[1] for _ in range(5)}) == 1, "a connection goes by its client's address"
            others = {(await get(relayed, source=f"127.0.0.{last}"))[1] for last in range(2, 14)}
            assert others == {b"1", b"2"}
