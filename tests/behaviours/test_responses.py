"""Behaviours 70 to 84: where a response's body ends, and how it reaches the client (RFC 9112 6.3, 7, 8)."""

from __future__ import annotations

import asyncio
import hashlib
import resource

import pytest

from tests.fakes.origin import OriginConnection, Script, answering, ok
from tests.fakes.worked import GET, Worked, message

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def then_closing(response: bytes, *, reset: bool = False) -> Script:
    """One answer, then the end."""

    async def script(connection: OriginConnection) -> None:
        await connection.body(await connection.head())
        connection.write(response)
        await connection.writer.drain()
        if reset:
            connection.reset()
        else:
            connection.close()

    return script


async def test_070_head_has_the_length_and_no_body() -> None:
    async with Worked(answering(OK + b"Content-Length: 5\r\n\r\n")) as worked:
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(message(line=b"HEAD / HTTP/1.1"))
            assert answer.field(b"Content-Length") == b"5"
        assert len(worked.origin.connections) == 1
    async with Worked(answering(CHUNKED)) as worked:
        client = await worked.client()
        for _ in range(2):
            assert (await client.ask(message(line=b"HEAD / HTTP/1.1"))).field(b"Transfer-Encoding") == b"chunked"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("framing", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_071_204_and_304_have_no_body_whatever_they_say(status: bytes, framing: bytes) -> None:
    async with Worked(answering(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n")) as worked:
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert b" " + status + b"\r\n" in answer.head
            assert answer.field(b"Connection") is None
            if status.startswith(b"204"):
                assert answer.field(b"Content-Length") is None
        assert len(worked.origin.connections) == 1


async def test_072_a_body_to_the_end_of_the_connection_is_framed_anew() -> None:
    async with Worked(then_closing(OK + b"Connection: close\r\n\r\nhello")) as worked:
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert (answer.field(b"Transfer-Encoding"), answer.field(b"Connection")) == (b"chunked", None)
            assert answer.body == b"hello"
        client = await worked.client()
        answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert (answer.field(b"Transfer-Encoding"), answer.field(b"Connection")) == (None, b"close")
        assert answer.body == b"hello"


@pytest.mark.parametrize("reset", [False, True])
async def test_073_a_body_shorter_than_its_length_is_seen_to_be(reset: bool) -> None:
    async with Worked(then_closing(OK + b"Content-Length: 9\r\n\r\nhello", reset=reset)) as worked:
        client = await worked.client()
        client.send(GET)
        data = await client.rest()
        assert data in (b"", data.partition(b"\r\n\r\n")[0] + b"\r\n\r\nhello") or b" 502 " in data
        await worked.until(lambda: worked.flows)
        assert worked.flows[0].outcome == "reset"


@pytest.mark.parametrize(
    "part", [b"5\r\nhello\r\n", b"5\r\nhello", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\nA: b\r\n"]
)
async def test_074_a_chunked_body_without_end_gets_none(part: bytes) -> None:
    async with Worked(then_closing(CHUNKED + part)) as worked:
        client = await worked.client()
        client.send(GET)
        data = await client.rest()
        assert data.startswith(OK)
        assert b"\r\n0\r\n" not in data
        assert worked.flows[0].outcome == "reset"
        client = await worked.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):  # closing would say that it is complete
            await client.rest()


@pytest.mark.parametrize("extra", [b"x", OK + b"Content-Length: 4\r\n\r\nevil", b"\r\n"])
async def test_075_bytes_after_the_end_go_nowhere_and_end_the_connection(extra: bytes) -> None:
    for answer in (ok(b"hello"), CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"):
        async with Worked(answering(answer + extra)) as worked:
            client = await worked.client()
            for number in (1, 2):
                assert (await client.ask(GET)).body in (b"hello", b"")
                await worked.until(lambda: not worked.proxy.upstreams)
                assert len(worked.origin.connections) == number


LENGTHS = [
    b"5\r\nContent-Length: 6",
    b"5\r\nContent-Length: 5",
    b"5, 5",
    b"+5",
    b"-1",
    b"0x5",
    b"",
    b"5 5",
    b"18446744073709551616",
]


@pytest.mark.parametrize("length", LENGTHS)
async def test_076_a_length_that_is_none_is_502(length: bytes) -> None:
    async with Worked(answering(OK + b"Content-Length: " + length + b"\r\n\r\nhello")) as worked:
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert (answer.status, answer.field(b"Connection")) == (502, None)
            assert b"hello" not in answer.body
        assert len(worked.origin.connections) == 2


async def test_077_a_coding_wins_over_a_length() -> None:
    response = OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with Worked(answering(response)) as worked:
        client = await worked.client()
        for number in (1, 2):
            answer = await client.ask(GET)
            assert (answer.body, answer.field(b"Content-Length")) == (b"hello", None)
            assert len(worked.origin.connections) == number  # nobody can be sure of the rest


async def test_078_an_http_1_0_client_gets_no_chunks() -> None:
    async with Worked(answering(CHUNKED + b"5;x\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n")) as worked:
        answer = await worked.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (answer.body, answer.field(b"Transfer-Encoding")) == (b"hello!", None)
        assert answer.field(b"Connection") == b"close"


@pytest.mark.parametrize(
    "response",
    [
        b"<html>hello</html>",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 600 x\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        OK + b"A: " + b"b" * 40_000 + b"\r\n\r\n",
        OK + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
async def test_079_an_answer_that_is_none_is_502(response: bytes) -> None:
    async with Worked(answering(response)) as worked:
        answer = await worked.ask(GET)
        assert (answer.status, answer.field(b"Connection")) == (502, None)
        assert worked.flows[0].outcome == "bad_response"


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 \r\n", b"HTTP/1.1 200\r\n"])
async def test_080_a_reason_may_be_empty(line: bytes) -> None:
    async with Worked(answering(line + b"Content-Length: 2\r\n\r\nhi")) as worked:
        answer = await worked.ask(GET)
        assert (answer.status, answer.body) == (200, b"hi")
        assert answer.head.startswith(b"HTTP/1.1 200 \r\n")


async def test_081_trailers_reach_the_client_that_takes_them() -> None:
    response = CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\nSet-Cookie: a\r\n\r\n"
    async with Worked(answering(response)) as worked:
        client = await worked.client()
        client.send(message(b"TE: trailers", b"Connection: TE"))
        assert await client.until(b"\r\n\r\n")
        assert await client.until(b"\r\n\r\n") == b"1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n"
        client.send(GET)
        assert await client.until(b"\r\n\r\n")
        assert await client.until(b"\r\n\r\n") == b"1\r\na\r\n0\r\n\r\n"


@pytest.mark.large
async def test_082_a_slow_client_slows_the_origin_down() -> None:
    body = bytes(range(256)) * (32 * 4096)
    async with Worked(answering(ok(body))) as worked:
        client = await worked.client()
        client.reader._limit = 4096  # type: ignore[attr-defined]  # its transport stops reading early
        client.send(GET)
        await worked.until(lambda: [item.paused for item in worked.connections] == [True])
        (downstream,) = worked.downstreams
        assert downstream.transport.get_write_buffer_size() < 1024 * 1024
        answer = await client.answer()
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()


EVENTS = (b"p", b"q", b"r", b"s", b"u")  # letters of no chunk's size


@pytest.mark.parametrize("start", [CHUNKED, OK + b"Content-Type: text/event-stream\r\n\r\n"])
async def test_083_an_event_is_not_kept_until_there_are_more(start: bytes) -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(start)
        for number in EVENTS:
            event = b"data: <%b>\n\n" % number
            connection.write(b"%x\r\n%b\r\n" % (len(event), event) if start is CHUNKED else event)
            await go.wait()  # the next one is written after the client has had this one
            go.clear()
        await connection.rest()

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(GET)
        for number in EVENTS:
            await client.until(number)
            go.set()


@pytest.mark.large
async def test_084_100_mb_are_byte_exact_and_never_in_memory() -> None:
    piece, count = bytes(range(256)) * 256, 1600

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(OK + b"Content-Length: %d\r\n\r\n" % (len(piece) * count))
        for _ in range(count):
            connection.write(piece)
            await connection.writer.drain()

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(GET)
        await client.until(b"\r\n\r\n")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        digest, left = hashlib.sha256(), len(piece) * count
        while left:
            data = await client.reader.read(1 << 20)
            assert data
            digest.update(data)
            left -= len(data)
        assert digest.digest() == hashlib.sha256(piece * count).digest()
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kb < 150 * 1024  # the body that the test itself hashes, and a bit
