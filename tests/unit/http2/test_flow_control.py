"""Windows as back-pressure: who is slow stops whoever feeds him, and nobody else."""

from __future__ import annotations

import asyncio

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from dataplane.l7.http2.client_stream import ClientStream
from dataplane.l7.http2.downstream import Http2Downstream
from dataplane.l7.http2.link import STREAM_WINDOW
from tests.fakes.http2_peers import Exchange, Http2Client, Http2Peer, answering, request
from tests.fakes.http2_proxied import Http2Proxied
from tests.fakes.origin import OriginConnection, ok

LARGE = 3 * 1024 * 1024
SLACK = 600 * 1024  # one read of uvloop (256 KiB) beyond the mark, and what was there before
ENDLESS = 64 * 1024 * 1024  # the kernel's buffers on loopback take some 6 MiB
BLOB = bytes(range(256)) * (LARGE // 256)


def only_stream(proxied: Http2Proxied) -> ClientStream:
    [connection] = proxied.proxy.clients
    assert isinstance(connection, Http2Downstream)
    [stream] = connection.streams.values()
    return stream


def take(client: Http2Client, stream: int) -> None:
    """Acknowledge what has come, and from now on what comes."""
    client.taking = True
    client.link.acknowledge_received_data(len(client.exchanges[stream].body), stream)
    client.flush()


async def large(connection: OriginConnection) -> None:
    while True:
        head = await connection.head()
        connection.write(ok(BLOB if b"/large" in head else b"small"))


async def test_a_slow_client_stops_its_endpoint_and_no_other_stream() -> None:
    async with Http2Proxied(large) as proxied:
        client = await proxied.http2({SettingCodes.INITIAL_WINDOW_SIZE: 30_000})
        client.taking = False
        stream = client.open(request(path=b"/large"))
        await proxied.until(lambda: len(client.exchanges[stream].body) == 30_000 and only_stream(proxied).full)
        await proxied.moved()
        assert only_stream(proxied).line.size < SLACK
        assert (await client.ask(request(path=b"/small"))).body == b"small"
        take(client, stream)
        answer = await client.answer(stream)
        assert (answer.body == BLOB, answer.ended) == (True, True)
        assert [flow.bytes_out for flow in proxied.flows] == [5, LARGE]


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    async with Http2Proxied(large) as proxied:
        client = await proxied.http2({SettingCodes.INITIAL_WINDOW_SIZE: 30_000})
        client.taking = False
        stream = client.open(request(path=b"/large"))
        await proxied.until(lambda: len(client.exchanges[stream].body) == 30_000 and only_stream(proxied).full)
        await proxied.pass_time(61)
        assert (await client.answer(stream)).reset == ErrorCodes.INTERNAL_ERROR
        assert [flow.outcome for flow in proxied.flows] == ["timeout"]
        assert (await client.ask(request(path=b"/small"))).body == b"small"


async def test_an_answer_that_waits_when_its_exchange_is_over_has_its_time() -> None:
    async with Http2Proxied(large) as proxied:
        client = await proxied.http2({SettingCodes.INITIAL_WINDOW_SIZE: 2})
        stream = client.open(request(path=b"/small"))
        client.taking = False
        await proxied.until(lambda: proxied.flows)
        await proxied.pass_time(61)
        assert (await client.answer(stream)).reset == ErrorCodes.CANCEL


async def test_a_slow_endpoint_stops_its_client_and_no_other_stream() -> None:
    gate = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        head = await connection.head()
        if b"/slow" in head:
            await gate.wait()
        await connection.body(head)
        connection.write(ok())
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST", b"/slow"), end=False)
        sent, still = 0, 0
        while still < 20:  # as long as somebody's buffers take it
            size = min(client.link.local_flow_control_window(stream), 16_384)
            still = 0 if size else still + 1
            if size:
                client.data(stream, BLOB[:size])
                sent += size
            await proxied.moved()
            assert sent < ENDLESS
        assert (await client.ask(request(b"POST"), b"x" * 100)).status == 200
        gate.set()
        client.data(stream, b"", end=True)
        assert (await client.answer(stream)).status == 200
        assert max(flow.bytes_in for flow in proxied.flows) == sent


async def test_a_slow_client_stops_an_endpoint_that_speaks_http_2() -> None:
    sent = 0

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        nonlocal sent
        link = peer.link
        link.send_headers(exchange.id, [(b":status", b"200")])
        while sent < LARGE:
            await peer.until(lambda: link.local_flow_control_window(exchange.id) > 0)
            size = min(link.local_flow_control_window(exchange.id), 16_384, LARGE - sent)
            link.send_data(exchange.id, BLOB[sent : sent + size])
            sent += size
            peer.flush()
        link.end_stream(exchange.id)
        peer.flush()

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        client.taking = False
        stream = client.open(request())
        await proxied.until(lambda: len(client.exchanges[stream].body) == STREAM_WINDOW and only_stream(proxied).full)
        await proxied.moved()
        assert sent <= 4 * STREAM_WINDOW
        take(client, stream)
        assert (await client.answer(stream)).body == BLOB


async def test_settings_that_change_the_window_apply_to_open_streams() -> None:
    async with Http2Proxied(to=answering(b"x" * 1000)) as proxied:
        client = await proxied.http2({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.taking = False
        stream = client.open(request())
        await client.until(lambda: len(client.exchanges[stream].body) == 10)
        client.link.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
        client.flush()
        assert (await client.answer(stream)).body == b"x" * 1000


async def test_streams_take_turns() -> None:
    async with Http2Proxied(large) as proxied:
        client = await proxied.http2({SettingCodes.INITIAL_WINDOW_SIZE: 4 * LARGE})
        streams = [client.open(request(path=b"/large")) for _ in range(2)]
        small = client.open(request(path=b"/small"))
        assert (await client.answer(small)).body == b"small"
        assert not any(client.exchanges[stream].ended for stream in streams)
        for stream in streams:
            assert (await client.answer(stream)).body == BLOB
