"""Many clients and bad endpoints at once, in random order from fixed seeds: whatever happens, the books balance."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.fakes.origin import OriginConnection, Script, ok
from tests.fakes.proxied import Proxied, RawClient

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def unreliable(dice: random.Random) -> Script:
    """Answers, or resets, closes, cuts short, talks nonsense or too much."""

    async def script(connection: OriginConnection) -> None:
        while True:
            head = await connection.head()
            what = dice.randrange(10)
            if what == 0:
                connection.reset()
                return
            await connection.body(head)
            if what == 1:
                connection.close()
                return
            if what == 2:
                connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
                connection.close()
                return
            if what == 3:
                connection.write(CHUNKED + b"5\r\nhello\r\n")
                await asyncio.sleep(0)
                connection.write(b"0\r\n\r\n")
            elif what == 4:
                connection.write(ok(b"hello") + b"and more")
            elif what == 5:
                connection.write(b"nonsense")
            elif what == 6:
                connection.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
                connection.close()
                return
            else:
                connection.write(ok(b"hello"))

    return script


async def behave(proxied: Proxied, dice: random.Random) -> None:
    """A client that mostly behaves."""
    client: RawClient | None = None
    for _ in range(25):
        client = client or await proxied.client()
        what = dice.randrange(8)
        if what == 0:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await asyncio.sleep(0)
            client.send(b"0\r\n\r\n")
        elif what == 1:
            client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
        elif what == 2:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhello")
            await asyncio.sleep(0)
            client.reset() if dice.random() < 0.5 else client.close()
            client = None
            continue
        elif what == 3:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            client.end()
        else:
            client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % dice.randrange(3))
        try:
            answer = await client.answer()
            assert answer.status in (200, 502, 503)
            assert answer.status != 200 or answer.body == b"hello"
            closing = what == 3 or answer.field(b"Connection") == b"close"
        except (asyncio.IncompleteReadError, ConnectionError):
            closing = True  # cut off in the middle, and visibly so
        if closing:
            client.close()
            client = None


@pytest.mark.parametrize("seed", range(4))
async def test_the_books_balance(seed: int) -> None:
    dice = random.Random(seed)
    backend = {"retry": "ingress-nginx", "tries_max": 3, "connections_max": 3, "pending_max": 4}
    async with Proxied(*[unreliable(dice) for _ in range(3)], dead=1, backend=backend) as proxied:
        await asyncio.gather(*[behave(proxied, random.Random(seed * 100 + number)) for number in range(12)])
        for client in proxied._clients:
            client.writer.transport.abort()
        await proxied.until(lambda: not proxied.proxy.clients)
        assert proxied.leases == 0
        for endpoint in proxied.endpoints.values():
            pool = endpoint.pool
            await proxied.until(lambda pool=pool: not pool.dialing)
            await proxied.until(lambda pool=pool: pool.connections == len(pool.idle))
            assert not pool.waiting
            assert pool.connections <= 3
        assert len(proxied.flows) >= 12 * 20
        assert {flow.outcome for flow in proxied.flows} >= {"ok", "client_abort", "reset", "bad_response"}
