"""How a client's connection ends: drained, idle, left by the client; and how it begins."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.events import PingAckReceived
from hyperframe.frame import GoAwayFrame, PingFrame

from dataplane.l7.http2.link import LAST_STREAM
from tests.fakes.http2_peers import request
from tests.fakes.http2_proxied import Http2Proxied
from tests.fakes.origin import OriginConnection, ok

GET = request()


async def test_draining_says_so_twice_and_loses_nothing() -> None:
    gate = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        while True:
            await connection.head()
            await gate.wait()
            connection.write(ok())

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        first = client.open(GET)
        await proxied.until(lambda: proxied.leases == 1)
        proxied.proxy.drain()
        await client.until(lambda: client.goaways)
        assert client.goaways == [(ErrorCodes.NO_ERROR, LAST_STREAM)]
        crossing = client.open(GET)
        await proxied.until(lambda: proxied.leases == 2)
        await proxied.pass_time(1.0)
        await client.until(lambda: len(client.goaways) == 2)
        assert client.goaways[1] == (ErrorCodes.NO_ERROR, crossing)
        late = client.open(GET)
        assert (await client.answer(late)).reset == ErrorCodes.REFUSED_STREAM
        gate.set()
        assert [(await client.answer(stream)).status for stream in (first, crossing)] == [200, 200]
        await client.until(client.closed.is_set)
        assert not client.lost
        client.close()
        assert await proxied.proxy.drained(5)


async def test_an_idle_connection_is_told_and_closed_and_ping_does_not_keep_it() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        await proxied.pass_time(50)
        ping = PingFrame(0)
        ping.opaque_data = b"8 octets"
        client.writer.write(ping.serialize())
        await proxied.moved()
        await proxied.pass_time(26)
        await client.until(client.closed.is_set)
        assert client.goaways == [(ErrorCodes.NO_ERROR, 1)]


async def test_a_ping_is_answered_between_requests_and_during_one() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        for _ in range(2):
            client.events.clear()
            client.link.ping(b"8 octets")
            client.flush()
            await client.until(lambda: any(isinstance(event, PingAckReceived) for event in client.events))
            client.open(GET)


async def test_a_client_that_never_asks_is_not_waited_for() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        await proxied.until(lambda: client.link.remote_settings.max_concurrent_streams == 128)
        await proxied.pass_time(61)
        await client.until(client.closed.is_set)
        assert client.goaways == [(ErrorCodes.NO_ERROR, 0)]


async def test_a_client_that_says_goodbye_gets_its_answers() -> None:
    gate = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await gate.wait()
        connection.write(ok())

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        stream = client.open(GET)
        await proxied.until(lambda: proxied.leases == 1)
        client.writer.write(GoAwayFrame(0).serialize())
        await proxied.moved()
        gate.set()
        assert (await client.answer(stream)).status == 200
        await client.until(client.closed.is_set)


async def test_stopping_cuts_what_is_left() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        client.open(GET)
        await proxied.until(lambda: proxied.leases == 1)
        proxied.proxy.stop()
        await client.until(client.closed.is_set)
        assert [flow.outcome for flow in proxied.flows] == ["drained"]


@pytest.mark.parametrize("cut", [1, 3, 14, 23])
async def test_a_preface_in_pieces_is_one_and_a_request_that_begins_like_it_is_none(cut: int) -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.client()
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        client.send(preface[:cut])
        await proxied.moved()
        client.send(preface[cut:] + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert (await client.exactly(9))[3] == 4  # SETTINGS
        other = await proxied.client()
        other.send(b"P")
        await proxied.moved()
        assert (await other.ask(b"UT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")).status == 200


async def test_where_endpoints_do_not_speak_it_the_preface_is_a_bad_request() -> None:
    async with Http2Proxied(site={"prior": lambda: False}) as proxied:
        assert (await proxied.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).status == 505


async def test_a_client_that_says_nothing_is_not_waited_for() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.client()
        client.send(b"PRI")
        await proxied.until(lambda: len(proxied.proxy.clients) == 1)
        await proxied.pass_time(61)
        await proxied.until(lambda: not proxied.proxy.clients)


async def test_draining_closes_who_has_said_nothing() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.client()
        await proxied.until(lambda: len(proxied.proxy.clients) == 1)
        proxied.proxy.drain()
        assert await client.rest() == b""
