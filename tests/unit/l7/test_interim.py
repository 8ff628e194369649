"""Through real sockets: 1xx, Expect, upgrades and tunnels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fakes.origin import OriginConnection, answering, ok
from tests.fakes.proxied import Proxied, RawClient

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: y\r\n\r\n"


async def test_expect_is_forwarded_and_the_origins_100_relayed() -> None:
    async def script(connection: OriginConnection) -> None:
        assert b"Expect: 100-continue\r\n" in await connection.head()
        connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await connection.exactly(2) == b"ab"
        connection.write(ok())

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ab")
        assert (await client.answer()).status == 200


async def test_a_refusal_instead_of_100_needs_no_body() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    async with Proxied(script) as proxied:
        client = await proxied.client()
        answer = await client.ask(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert answer.status == 401
        assert await client.rest() == b""


async def test_an_http_1_0_client_gets_no_interim_answer() -> None:
    async with Proxied(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"hi"))) as proxied:
        answer = await proxied.ask(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na")
        assert (answer.status, answer.body) == (200, b"hi")
        assert b"Expect" not in proxied.origin.received


async def test_several_interim_answers_are_relayed_in_order() -> None:
    hints = b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: %d\r\n\r\n" % number for number in range(3))
    async with Proxied(answering(hints + ok())) as proxied:
        client = await proxied.client()
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await client.exactly(len(hints)) == hints
            assert (await client.answer()).status == 200
        assert len(proxied.origin.connections) == 1


async def test_a_flood_of_interim_answers_needs_no_stack() -> None:
    async with Proxied(answering(b"HTTP/1.1 102 Processing\r\n\r\n" * 5000 + ok(b"hi"))) as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        for _ in range(5000):
            await client.until(b"\r\n\r\n")
        assert (await client.answer()).body == b"hi"


async def echo(connection: OriginConnection) -> None:
    """Switch as asked for, then send back what comes until its end, then 'bye'."""
    await connection.head()
    connection.write(SWITCHING + b"first")
    while data := await connection.reader.read(65536):
        connection.write(data)
    connection.write(b"bye")
    connection.close()


@pytest.fixture
async def tunnel() -> AsyncIterator[tuple[Proxied, RawClient]]:
    async with Proxied(echo) as proxied:
        client = await proxied.client()
        client.send(UPGRADE + b"early")
        head = await client.until(b"\r\n\r\n")
        assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n" in head
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert await client.exactly(10) == b"firstearly"
        assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n" in proxied.origin.received
        yield proxied, client


async def test_a_tunnel_is_transparent_and_ends_each_direction_on_its_own(tunnel: tuple[Proxied, RawClient]) -> None:
    proxied, client = tunnel
    blob = bytes(range(256)) * 4096
    client.send(blob)
    assert await client.exactly(len(blob)) == blob
    client.end()
    assert await client.rest() == b"bye"
    await proxied.until(lambda: proxied.flows)
    (flow,) = proxied.flows
    assert (flow.status, flow.outcome) == (101, "ok")
    assert (flow.bytes_in, flow.bytes_out) == (len(blob) + 5, len(blob) + 13)
    assert (proxied.leases, len(proxied.proxy.tunnels), proxied.endpoints["e0"].pool.connections) == (0, 0, 0)


async def test_a_tunnel_without_traffic_is_closed(tunnel: tuple[Proxied, RawClient]) -> None:
    proxied, client = tunnel
    await proxied.pass_time(59)
    client.send(b"x")
    await client.exactly(1)
    await proxied.pass_time(59)
    assert proxied.proxy.tunnels
    await proxied.pass_time(2)
    assert await client.rest() == b""
    assert proxied.flows[0].outcome == "timeout"


async def test_a_reset_goes_through_a_tunnel(tunnel: tuple[Proxied, RawClient]) -> None:
    proxied, client = tunnel
    proxied.origin.connections[0].reset()
    with pytest.raises(ConnectionResetError):
        await client.rest()
    assert proxied.flows[0].outcome == "reset"


async def test_a_refused_upgrade_stays_http() -> None:
    async with Proxied(
        answering(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: foo\r\nContent-Length: 0\r\n\r\n")
    ) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(UPGRADE)
            assert (answer.status, answer.field(b"Upgrade")) == (426, b"foo")
            assert answer.field(b"Connection") == b"Upgrade"
        assert len(proxied.origin.connections) == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_upgrade_that_is_none_is_not_forwarded_and_101_not_believed(request_bytes: bytes) -> None:
    async with Proxied(answering(SWITCHING)) as proxied:
        assert (await proxied.ask(request_bytes)).status == 502
        assert b"pgrade" not in proxied.origin.received
        assert b"HTTP2-Settings" not in proxied.origin.received


async def test_a_client_that_ended_its_side_before_the_switch() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(SWITCHING + b"hello")
        assert await connection.rest() == b""
        connection.close()

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(UPGRADE)
        client.end()
        await proxied.until(lambda: proxied.proxy.half_closed)
        go.set()
        assert (await client.rest()).endswith(b"\r\n\r\nhello")
