"""Through real sockets: bodies of requests and responses, their framing and their pace."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from dataplane.l7.limits import Limits
from tests.fakes.origin import OriginConnection, Script, answering, ok
from tests.fakes.proxied import Proxied

HOST = b"Host: h\r\n"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def saying(response: bytes, *, close: bool = False, reset: bool = False) -> Script:
    """For each request these bytes, then perhaps the end."""

    async def script(connection: OriginConnection) -> None:
        while True:
            await connection.body(await connection.head())
            connection.write(response)
            if reset:
                await connection.writer.drain()
                connection.reset()
            if close or reset:
                connection.close()
                return

    return script


async def test_a_sized_body_is_byte_exact_and_what_follows_is_the_next_request() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nGET GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 200
        first, second = proxied.origin.received.split(b"GET GET", 1)[0], proxied.origin.received.split(b"\r\n\r\n")
        assert first.startswith(b"POST /1")
        assert second[1].startswith(b"GET GET /2 HTTP/1.1\r\n")


async def test_chunks_are_written_anew_without_extensions_and_trailers_that_could_harm() -> None:
    async with Proxied() as proxied:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X, Host\r\n\r\n"
        await proxied.ask(head + b"3;a=b\r\nabc\r\n000A \t;x\r\n0123456789\r\n0\r\nX: y\r\nHost: evil\r\n\r\n")
        sent_head, body = proxied.origin.received.split(b"\r\n\r\n", 1)
        assert body == b"d\r\nabc0123456789\r\n0\r\nX: y\r\n\r\n"
        assert sent_head.endswith(b"\r\nTransfer-Encoding: chunked\r\nTrailer: x")
        assert proxied.flows[0].bytes_in == 13


@pytest.mark.parametrize(
    "chunk", [b"5x\r\n", b"0x5\r\n", b"+5\r\n", b" 5\r\n", b"5 \r\n", b"\r\n", b"5\n", b"2\r\nabc\r\n"]
)
async def test_a_chunk_that_is_none_aborts_the_request_on_both_sides(chunk: bytes) -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await proxied.until(lambda: b"1\r\na\r\n" in proxied.origin.received or proxied.origin.connections)
        client.send(chunk + b"0\r\n\r\n" + GET)
        assert (await client.answer()).status == 400
        assert await client.rest() == b""
        await proxied.until(lambda: proxied.origin.connections[0].ended.is_set())
        assert b"0\r\n\r\n" not in proxied.origin.received
        assert proxied.leases == 0


async def test_the_clients_end_within_a_body_is_the_endpoints_too() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
        await proxied.until(lambda: proxied.origin.connections)
        client.end()
        await proxied.until(lambda: proxied.origin.connections[0].ended.is_set())
        await proxied.until(lambda: proxied.flows)
        assert proxied.flows[0].outcome == "client_abort"


async def test_the_first_bytes_of_a_body_arrive_before_the_last_are_sent() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        assert await connection.exactly(3) == b"abc"
        connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # a signal that the client can see
        await connection.exactly(3)
        connection.write(ok())

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"def")
        assert (await client.answer()).status == 200


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with Proxied(limits=Limits(body_max=4)) as proxied:
        answer = await proxied.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde")
        assert (answer.status, answer.field(b"Connection")) == (413, b"close")
        answer = await proxied.ask(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
        )
        assert answer.status == 413


async def test_a_large_upload_waits_for_a_slow_endpoint_in_bounded_memory() -> None:
    size = 8 * 1024 * 1024
    go = asyncio.Event()
    digest = hashlib.sha256()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        left = size
        while left:
            data = await connection.reader.read(65536)
            digest.update(data)
            left -= len(data)
        connection.write(ok())

    async with Proxied(script) as proxied:
        client = await proxied.client()
        body = bytes(range(256)) * (size // 256)
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + body)
        await proxied.until(lambda: proxied.proxy.upstreams)
        (upstream,) = proxied.proxy.upstreams
        (downstream,) = proxied.downstreams
        await proxied.until(lambda: downstream._pauses == {"upstream"})
        assert upstream.transport.get_write_buffer_size() < 1024 * 1024
        go.set()
        assert (await client.answer()).status == 200
        assert digest.digest() == hashlib.sha256(body).digest()


async def test_a_large_answer_waits_for_a_slow_client_in_bounded_memory() -> None:
    size = 8 * 1024 * 1024
    body = bytes(range(256)) * (size // 256)
    async with Proxied(answering(ok(body))) as proxied:
        client = await proxied.client()
        client.reader._limit = 4096  # type: ignore[attr-defined]  # its transport stops reading early
        client.send(GET)
        await proxied.until(lambda: any(item.full for item in proxied.downstreams))
        (downstream,) = proxied.downstreams
        await proxied.until(lambda: any(item.paused for item in proxied.connections))
        assert downstream.transport.get_write_buffer_size() < 1024 * 1024
        answer = await client.answer()
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()
        assert proxied.flows[0].bytes_out == size


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    body = bytes(8 * 1024 * 1024)
    async with Proxied(answering(ok(body))) as proxied:
        client = await proxied.client()
        client.reader._limit = 4096  # type: ignore[attr-defined]
        client.send(GET)
        await proxied.until(lambda: any(item.full for item in proxied.downstreams))
        for _ in range(20):  # a few buffers on the way may still move
            await proxied.pass_time(61)
        await proxied.until(lambda: proxied.flows)
        assert proxied.flows[0].outcome == "timeout"
        assert proxied.leases == 0


async def test_a_request_with_method_get_may_have_a_body() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        for method in (b"GET", b"DELETE", b"HEAD"):
            answer = await client.ask(method + b" / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")
            assert answer.status == 200
        assert proxied.origin.received.count(b"\r\n\r\nab") == 3


async def test_an_early_answer_is_relayed_and_the_connection_closed() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)
        answer = await client.answer()
        assert (answer.status, answer.body, answer.field(b"Connection")) == (413, b"big", b"close")
        client.send(b"b" * 1000)  # still sending: no reset
        assert await client.rest() == b""
        assert proxied.flows[0].outcome == "ok"


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n03\r\nllo\r\n0\r\nX: y\r\n\r\n", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_answers_of_every_framing_leave_both_connections_usable(response: bytes, body: bytes) -> None:
    async with Proxied(saying(response)) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert answer.body == body
            assert answer.field(b"Connection") is None
            if b"Transfer-Encoding" in response or b"204" in response:
                assert answer.field(b"Content-Length") is None
        both = b"Transfer-Encoding" in response and b"Content-Length" in response
        assert len(proxied.origin.connections) == (2 if both else 1)


async def test_head_keeps_the_length_and_has_no_body() -> None:
    async with Proxied(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert answer.field(b"Content-Length") == b"5"
        assert len(proxied.origin.connections) == 1


async def test_a_body_that_ends_with_the_connection_becomes_chunks() -> None:
    async with Proxied(saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", close=True)) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert (answer.body, answer.field(b"Transfer-Encoding"), answer.field(b"Connection")) == (
                b"hello",
                b"chunked",
                None,
            )


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n",
    ],
)
async def test_an_answer_cut_short_never_looks_complete(part: bytes) -> None:
    async with Proxied(saying(part, close=True)) as proxied:
        client = await proxied.client()
        client.send(GET)
        data = await client.rest()
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert not data.endswith(b"0\r\n\r\n")
        assert proxied.flows[0].outcome in ("reset", "bad_response")
        assert proxied.leases == 0


async def test_where_closing_is_the_end_an_answer_cut_short_is_a_reset() -> None:
    part = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with Proxied(saying(part, close=True)) as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_extra_bytes_after_an_answer_are_not_relayed_and_the_connection_not_reused() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with Proxied(saying(response)) as proxied:
        client = await proxied.client()
        for _ in range(2):
            assert (await client.ask(GET)).body == b"hello"
        assert len(proxied.origin.connections) == 2


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"<html>hello</html>",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 40000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    ],
)
async def test_an_answer_that_is_none_is_a_502(response: bytes) -> None:
    async with Proxied(saying(response)) as proxied:
        answer = await proxied.ask(GET)
        assert (answer.status, answer.field(b"Connection")) == (502, None)
        assert proxied.flows[0].outcome == "bad_response"
        assert proxied.leases == 0


async def test_the_answer_may_come_one_byte_at_a_time() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        for octet in b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok(b"hello", b"Date: d"):
            connection.write(bytes((octet,)))
            await asyncio.sleep(0)

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET)
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        answer = await client.answer()
        assert (answer.head, answer.body) == (ok(b"", b"Date: d").replace(b": 0", b": 5"), b"hello")


async def test_trailers_reach_clients_that_take_them() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n"
    )
    async with Proxied(saying(response)) as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        assert (await client.until(b"a\r\n0\r\nX-Sum: 7\r\n\r\n")).endswith(b"0\r\nX-Sum: 7\r\n\r\n")
        assert b"TE: trailers\r\nConnection: TE\r\n" in proxied.origin.received
        client.send(GET)
        assert (await client.until(b"0\r\n\r\n")).endswith(b"a\r\n0\r\n\r\n")


async def test_each_chunk_reaches_the_client_when_it_comes() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nevent1\r\n")
        await go.wait()
        connection.write(b"6\r\nevent2\r\n0\r\n\r\n")

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET)
        await client.until(b"event1\r\n")
        go.set()
        await client.until(b"6\r\nevent2\r\n0\r\n\r\n")
