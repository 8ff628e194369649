"""Clients that mean harm, and those that only look so: each bound is met with its code, and nobody else suffers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from dataplane.l7.http2.guard import EARNED, FRAMES_BURST, RESETS_BURST, Bucket, Guard
from dataplane.l7.http2.link import STREAMS_MAX
from tests.fakes.http2_peers import Http2Client, request
from tests.fakes.http2_proxied import Http2Proxied
from tests.fakes.origin import OriginConnection

GET = request()
TOO_MANY = FRAMES_BURST + 1000  # what fills up meanwhile is less


def headers(stream: int, *flags: str, block: bytes = b"") -> Frame:
    frame = HeadersFrame(stream)
    frame.data = block or Encoder().encode(GET)
    frame.flags |= set(flags)
    return frame


def ping() -> bytes:
    frame = PingFrame(0)
    frame.opaque_data = b"8 octets"
    return frame.serialize()


def window_update() -> bytes:
    frame = WindowUpdateFrame(0)
    frame.window_increment = 1
    return frame.serialize()


def priority() -> bytes:
    frame = PriorityFrame(1)
    frame.depends_on = 3
    return frame.serialize()


def empty_data() -> bytes:
    return DataFrame(1).serialize()


@pytest.mark.parametrize(
    "frame", [ping, lambda: SettingsFrame(0).serialize(), window_update, priority, empty_data], ids=range(5)
)
async def test_frames_that_ask_for_nothing_are_taken_up_to_a_number(frame: Callable[[], bytes]) -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        client.writer.write(headers(1, "END_HEADERS").serialize())
        client.writer.write(frame() * TOO_MANY)
        await client.until(lambda: client.goaways)
        assert client.goaways[0][0] == ErrorCodes.ENHANCE_YOUR_CALM
        assert proxied.proxy.counts["flood"] == 1
        await proxied.until(lambda: proxied.leases == 0)
        assert (await (await proxied.http2()).ask(GET)).status == 200


async def test_streams_that_are_reset_at_once_are_taken_up_to_a_number() -> None:
    """CVE-2023-44487."""
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        encoder = Encoder()
        for number in range(RESETS_BURST + 200):
            stream = 2 * number + 1
            client.writer.write(headers(stream, "END_HEADERS", "END_STREAM", block=encoder.encode(GET)).serialize())
            client.writer.write(RstStreamFrame(stream, error_code=8).serialize())
        await client.until(lambda: client.goaways)
        assert client.goaways[0][0] == ErrorCodes.ENHANCE_YOUR_CALM
        await proxied.until(lambda: proxied.leases == 0)
        assert len(proxied.flows) <= RESETS_BURST + 200


async def test_streams_that_we_must_reset_count_like_those_that_they_reset() -> None:
    """CVE-2025-8671: a body that is longer than it said."""
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        client.link.highest_outbound_stream_id = 9999  # what it knows nothing of must not surprise it
        for number in range(1, RESETS_BURST + 200):
            stream = 2 * number + 1
            block = client.link.encoder.encode(request(b"POST", b"/", (b"content-length", b"1")))
            client.writer.write(headers(stream, "END_HEADERS", block=block).serialize())
            client.writer.write(DataFrame(stream, data=b"two").serialize())
        await client.until(lambda: client.goaways)
        assert client.goaways[0][0] == ErrorCodes.ENHANCE_YOUR_CALM
        assert proxied.leases == 0


def continuations(count: int, size: int) -> bytes:
    frames = [headers(1, block=b"\x00" * 1).serialize()]
    for _ in range(count):
        frame = ContinuationFrame(1)
        frame.data = b"\x00" * size
        frames.append(frame.serialize())
    return b"".join(frames)


async def wrecked(client: Http2Client) -> int:
    await client.until(lambda: client.goaways and client.closed.is_set())
    return client.goaways[0][0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (continuations(100, 0), ErrorCodes.PROTOCOL_ERROR),
        (continuations(100, 16_000), ErrorCodes.PROTOCOL_ERROR),
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", ErrorCodes.FRAME_SIZE_ERROR),
        (headers(2, "END_HEADERS").serialize(), ErrorCodes.PROTOCOL_ERROR),
        (headers(1, "END_HEADERS", block=b"\xff\xff\xff\xff\xff\xff").serialize(), ErrorCodes.PROTOCOL_ERROR),
        (headers(1, "END_HEADERS", block=Encoder().encode([(b"a", b"b" * 4000)] * 20)).serialize(),
         ErrorCodes.ENHANCE_YOUR_CALM),
        (DataFrame(1, data=b"x").serialize(), ErrorCodes.PROTOCOL_ERROR),
        (b"not frames at all, but enough of it", ErrorCodes.FRAME_SIZE_ERROR),
    ],
)  # fmt: skip
async def test_what_breaks_the_connection_ends_it_with_a_reason(data: bytes, code: ErrorCodes) -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        client.writer.write(data)
        assert await wrecked(client) == code
        assert not client.lost
        assert proxied.proxy.counts["protocol_error"] == 1


async def test_more_streams_than_announced_are_refused_and_the_others_go_on() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        encoder = Encoder()
        for number in range(STREAMS_MAX + 2):  # before our settings have come
            block = encoder.encode(GET)
            client.writer.write(headers(2 * number + 1, "END_HEADERS", "END_STREAM", block=block).serialize())
        await proxied.until(lambda: proxied.leases == STREAMS_MAX)
        assert proxied.proxy.counts["refused_stream"] == 2
        assert client.goaways == []


async def test_a_good_client_may_ask_as_often_as_it_likes() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        for _ in range(300):
            client.writer.write(ping())
            assert (await client.ask(request(b"POST"), b"x" * 10)).status == 200
        assert client.goaways == []


def test_a_bucket_fills_with_time_and_not_beyond_its_rim() -> None:
    bucket = Bucket(10, 2, 0.0)
    assert bucket.take(10, 0.0)
    assert not bucket.take(1, 0.25)
    assert bucket.take(1, 1.0)
    assert bucket.take(10, 100.0)
    assert not bucket.take(1, 100.0)


def test_data_sent_earns_window_updates() -> None:
    guard = Guard(0.0)
    assert guard.frames(FRAMES_BURST, 0.0)
    assert not guard.frames(1, 0.0)
    guard.earn(1)
    assert guard.frames(EARNED - 1, 0.0)
    assert not guard.frames(1, 0.0)
