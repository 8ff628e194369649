"""Names of endpoints: asked for once in a while, tried by turns."""

from __future__ import annotations

import asyncio

import pytest

from dataplane.l7.lookup import NEGATIVE_TTL_S, TTL_S, Lookup
from dataplane.snapshot.model import Endpoint
from tests.fakes.origin import answering, ok
from tests.fakes.proxied import Proxied


class Resolver:
    """Answers as told, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> float:
        return self.now

    async def __call__(self, name: str) -> list[str]:
        self.asked += 1
        await self.gate.wait()
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


async def test_addresses_are_tried_by_turns_and_asked_for_once_in_a_ttl() -> None:
    resolver = Resolver("192.0.2.1", "192.0.2.2", "192.0.2.1")
    lookup = Lookup(resolver.clock, resolver)
    found = [await lookup.addresses("db.example") for _ in range(3)]
    assert found == [("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1"), ("192.0.2.1", "192.0.2.2")]
    assert resolver.asked == 1
    resolver.addresses, resolver.now = ["192.0.2.3"], TTL_S
    assert await lookup.addresses("db.example") == ("192.0.2.3",)
    assert resolver.asked == 2


async def test_whoever_asks_meanwhile_waits_for_the_same_answer() -> None:
    resolver = Resolver("192.0.2.1")
    resolver.gate.clear()
    lookup = Lookup(resolver.clock, resolver)
    waiting = [asyncio.ensure_future(lookup.addresses("db.example")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    resolver.gate.set()
    assert await asyncio.gather(*waiting) == [("192.0.2.1",)] * 2
    assert resolver.asked == 1


async def test_a_name_that_is_none_is_asked_for_again_soon() -> None:
    resolver = Resolver()
    lookup = Lookup(resolver.clock, resolver)
    for _ in range(2):
        with pytest.raises(OSError, match=r"db\.example has no address"):
            await lookup.addresses("db.example")
    assert resolver.asked == 1
    resolver.addresses, resolver.now = ["192.0.2.1"], NEGATIVE_TTL_S
    assert await lookup.addresses("db.example") == ("192.0.2.1",)


async def test_what_was_known_stays_while_the_resolver_fails() -> None:
    resolver = Resolver("192.0.2.1")
    lookup = Lookup(resolver.clock, resolver)
    await lookup.addresses("db.example")
    resolver.addresses, resolver.now = [], TTL_S
    assert await lookup.addresses("db.example") == ("192.0.2.1",)


async def test_an_endpoint_that_is_a_name_is_served() -> None:
    async with Proxied(answering(ok(b"named"))) as proxied:
        port = proxied.origin.port
        resolver = Resolver("127.0.0.2", "127.0.0.1")  # nobody listens at the first one
        proxied.proxy.names = Lookup(resolver.clock, resolver)
        named = Endpoint("b", "n", "origin.example", port, True, True, False, by_name=True)
        proxied.apply(named, removes=(("endpoint", "b|e0"),))
        answers = [await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") for _ in range(3)]
        assert {(answer.status, answer.body) for answer in answers} == {(200, b"named")}
        resolver.addresses, resolver.now = [], TTL_S
        proxied.proxy.names = Lookup(resolver.clock, resolver)
        for upstream in tuple(proxied.proxy.upstreams):
            upstream.abort()
        await proxied.until(lambda: not proxied.proxy.upstreams)
        answer = await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answer.status == 502
