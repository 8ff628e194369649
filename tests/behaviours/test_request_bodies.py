"""Behaviours 48 to 69: where a request's body ends, and how it gets there (RFC 9112 6, 7; RFC 9110 8.6, 9.3)."""

from __future__ import annotations

import asyncio
import hashlib
import re

import pytest

from dataplane.l7.limits import Limits
from tests.fakes.origin import OriginConnection, answering, ok
from tests.fakes.worked import GET, Worked, message

POST = b"POST / HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"


def sized(length: bytes, body: bytes = b"", *more: bytes) -> bytes:
    return message(b"Content-Length: " + length, *more, line=POST, body=body)


def coded(body: bytes, *more: bytes) -> bytes:
    return message(CHUNKED, *more, line=POST, body=body)


async def test_048_a_body_is_byte_exact_in_any_segments() -> None:
    body = bytes(range(256)) * 3
    async with Worked() as worked:
        client = await worked.client()
        client.send(sized(b"%d" % len(body)))
        for at in range(len(body)):
            client.send(body[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.answer()).status == 200
        assert worked.origin.received.endswith(b"\r\n\r\n" + body)


async def test_049_neither_length_nor_coding_is_no_body() -> None:
    async with Worked() as worked:
        client = await worked.client()
        client.send(message(line=POST) + message(line=b"PUT /2 HTTP/1.1"))
        for _ in range(2):
            assert (await client.answer()).status == 200
        assert re.findall(rb"(\w+) /\d? HTTP", worked.origin.received) == [b"POST", b"PUT"]


@pytest.mark.parametrize("second", [b"6", b"0", b"05", b""])
async def test_050_two_different_lengths_are_refused(second: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(sized(b"5", b"hello" + GET, b"Content-Length: " + second), 400)


async def test_051_the_same_length_twice_is_refused_as_well() -> None:
    async with Worked() as worked:
        await worked.refused(sized(b"5", b"hello", b"Content-Length: 5"), 400)
        await worked.refused(sized(b"5, 5", b"hello"), 400)
        await worked.refused(sized(b"5,", b"hello"), 400)


BAD_NUMBERS = [b"-1", b"+5", b"0x5", b"5_0", b"5 5", b"", b"5;", b"18446744073709551616", b"9223372036854775808",
               b"1e1", b"\xd9\xa5", b"5\xa0", b"5\x0b", b"a", b'"5"']  # fmt: skip


@pytest.mark.parametrize("number", BAD_NUMBERS)
async def test_052_a_length_is_digits(number: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(sized(number, b"hello" + GET), 400)


async def test_053_after_a_body_of_nothing_comes_the_next_request() -> None:
    async with Worked() as worked:
        client = await worked.client()
        client.send(sized(b"0", message(line=b"GET /next HTTP/1.1")))
        for _ in range(2):
            assert (await client.answer()).status == 200
        assert b"\r\nContent-Length: 0\r\n" in worked.origin.received
        assert b"GET /next HTTP/1.1\r\n" in worked.origin.received


@pytest.mark.parametrize("length", [b"Content-Length: 5", b"content-length: 0"])
async def test_054_a_length_beside_a_coding_is_refused(length: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(length, CHUNKED, line=POST, body=b"0\r\n\r\n" + GET), 400)
        await worked.refused(message(CHUNKED, length, line=POST, body=b"0\r\n\r\n" + GET), 400)


BAD_CODINGS = {b"gzip": 400, b"identity": 400, b"xchunked": 400, b"chunked, chunked": 400, b"chunked, gzip": 400,
               b"gzip, chunked": 501, b"\x0bchunked": 400, b"chunked\x0c": 400, b"chunked\0": 400, b"": 400,
               b"chunked\r\nTransfer-Encoding: chunked": 400, b"chunked\r\nTransfer-Encoding: identity": 400,
               b"chunked;x": 400, b'"chunked"': 400, b"chunk": 400, b"c\thunked": 400}  # fmt: skip


@pytest.mark.parametrize("coding", BAD_CODINGS)
async def test_055_any_coding_but_one_chunked_is_refused(coding: bytes) -> None:
    async with Worked() as worked:
        data = message(b"Transfer-Encoding: " + coding, line=POST, body=b"0\r\n\r\n" + GET)
        await worked.refused(data, BAD_CODINGS[coding])


async def test_056_http_1_0_has_no_coding() -> None:
    async with Worked() as worked:
        await worked.refused(message(CHUNKED, line=b"POST / HTTP/1.0", body=b"0\r\n\r\n" + GET), 400)


async def test_057_chunked_has_no_case_and_no_company() -> None:
    async with Worked() as worked:
        got = await worked.passed(message(b"Transfer-Encoding: ChUnKeD", line=POST, body=b"2\r\nab\r\n0\r\n\r\n"))
        assert got.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
    for coding in (b", chunked", b"chunked ,", b"chunked,", b",chunked,"):
        async with Worked() as worked:
            await worked.refused(message(b"Transfer-Encoding: " + coding, line=POST, body=b"0\r\n\r\n"), 400)


def joined(got: bytes) -> bytes:
    """The data of a chunked body."""
    rest, data = got.partition(b"\r\n\r\n")[2], b""
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        if not int(line, 16):
            return data
        data, rest = data + rest[: int(line, 16)], rest[int(line, 16) + 2 :]
    raise AssertionError("no last chunk")


async def test_058_a_chunk_size_is_hexadecimal() -> None:
    async with Worked() as worked:
        got = await worked.passed(coded(b"a\r\n0123456789\r\nA\r\n0123456789\r\n000001\r\nx\r\n000\r\n\r\n"))
        assert joined(got) == b"0123456789" * 2 + b"x"


@pytest.mark.parametrize("size", [b"0x5", b"+5", b"-1", b" 5", b"5 ", b"5_0", b"", b"g", b"\xd9\xa5", b"5\t", b"5,"])
async def test_058_and_nothing_else(size: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(coded(size + b"\r\nhello\r\n0\r\n\r\n" + GET), 400, reaches=True)
        assert b"hello" not in worked.origin.received
        assert b"0\r\n\r\n" not in worked.origin.received


@pytest.mark.parametrize("size", [b"8000000000000000", b"FFFFFFFFFFFFFFFF", b"10000000000000000", b"f" * 40])
async def test_059_a_chunk_that_nobody_can_count_is_refused(size: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(coded(size + b"\r\nhello"), 400, 413, reaches=True)


async def test_060_extensions_stop_here_and_have_bounds() -> None:
    async with Worked() as worked:
        got = await worked.passed(coded(b'2;a;b="c\\"d"\r\nhe\r\n3 ; x=y\r\nllo\r\n0;last\r\n\r\n'))
        assert joined(got) == b"hello"
        assert b";" not in got.partition(b"\r\n\r\n")[2]
    for line in (b"5;" + b"a" * 65536, b"5;a\rb", b"5;a\nb", b"5;a\0b"):
        async with Worked() as worked:
            await worked.refused(coded(line + b"\r\nhello\r\n0\r\n\r\n"), 400, reaches=True)
    async with Worked() as worked:  # little data with much of them
        await worked.refused(coded((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 64), 400, reaches=True)


async def hearing(connection: OriginConnection) -> None:
    """Hears everything, says nothing."""
    while data := await connection.reader.read(65536):
        connection.received += data


@pytest.mark.parametrize("end", [b"", b"X\r\n", b"\n", b"\r", b"world\r\n"])
async def test_061_data_that_does_not_end_where_it_said_aborts_the_request(end: bytes) -> None:
    async with Worked(hearing) as worked:
        client = await worked.client()
        client.send(coded(b"5\r\nhello"))
        await worked.until(lambda: b"hello" in worked.origin.received)
        client.send(end + b"0\r\n\r\n" + GET)
        answer = await client.answer()
        assert (answer.status, answer.field(b"Connection")) == (400, b"close")
        assert await client.rest() == b""
        await worked.until(worked.origin.connections[0].ended.is_set)
        assert b"0\r\n\r\n" not in worked.origin.received
        assert worked.leases == 0


BARE = [b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n", b"0\r\n\n", b"0\r\nA: b\n\r\n"]


@pytest.mark.parametrize("body", BARE)
async def test_062_bare_lf_in_the_coding_is_refused(body: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(coded(body + GET), 400, reaches=True)
        assert b"0\r\n\r\n" not in worked.origin.received


async def test_063_trailers_go_on_but_for_those_that_decide_something() -> None:
    evil = [b"Host: evil", b"Content-Length: 9", b"Transfer-Encoding: gzip", b"Authorization: a", b"Cookie: c",
            b"Connection: close", b"Content_Length: 9", b"X-Forwarded-For: 1.2.3.4", b"Content-Type: x/y"]  # fmt: skip
    async with Worked() as worked:
        trailers = b"\r\n".join([b"X-Sum: 7", *evil, b"grpc-status: 0"])
        got = await worked.passed(coded(b"2\r\nab\r\n0\r\n" + trailers + b"\r\n\r\n", b"Trailer: X-Sum, Host"))
        assert got.endswith(b"\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\ngrpc-status: 0\r\n\r\n")
        assert b"\r\nTrailer: x-sum\r\n" in got
        assert b"\r\nHost: h\r\n" in got
    async with Worked() as worked:
        await worked.refused(coded(b"0\r\n" + b"A: b\r\n" * 2000), 431, reaches=True)


UNFINISHED = [sized(b"9", b"abc"), coded(b"5\r\nabc"), coded(b"3\r\nabc\r\n"), coded(b"3\r\nabc\r\n0\r\n")]


@pytest.mark.parametrize("data", UNFINISHED)
async def test_064_the_clients_end_within_a_body_looks_like_one_to_the_origin(data: bytes) -> None:
    async with Worked() as worked:
        client = await worked.client()
        client.send(data)
        await worked.until(lambda: worked.origin.connections)
        client.end()
        await worked.until(lambda: worked.origin.connections[0].ended.is_set())
        assert not worked.origin.received.endswith((b"abcdefghi", b"0\r\n\r\n"))
        await worked.until(lambda: worked.flows)
        assert (worked.flows[0].outcome, worked.leases) == ("client_abort", 0)


ELEVEN = [sized(b"11", b"x" * 11), coded(b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"), coded(b"6\r\nxxxxxx\r\n" * 2)]


@pytest.mark.parametrize("data", ELEVEN)
async def test_065_a_body_beyond_the_limit_is_413(data: bytes) -> None:
    async with Worked(limits=Limits(body_max=10)) as worked:
        await worked.refused(data, 413, reaches=True)
        assert b"x" * 11 not in worked.origin.received
        assert (await worked.ask(sized(b"10", b"x" * 10))).status == 200


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
async def test_066_any_method_may_have_a_body(method: bytes) -> None:
    async with Worked() as worked:
        client = await worked.client()
        line = method + b" / HTTP/1.1"
        client.send(message(b"Content-Length: 2", line=line, body=b"ab"))
        assert (await client.answer(head_only=method == b"HEAD")).status == 200
        client.send(message(CHUNKED, line=line, body=b"2\r\nab\r\n0\r\n\r\n"))
        assert (await client.answer(head_only=method == b"HEAD")).status == 200
        assert (await client.ask(GET)).status == 200
        assert worked.origin.received.count(method + b" / ") == (3 if method == b"GET" else 2)


async def test_067_an_early_answer_is_relayed_and_the_connection_ended() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(sized(b"1000000", b"a" * 100))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.field(b"Connection")) == (401, b"no", b"close")
        client.send(b"b" * 1000)
        assert await client.rest() == b""
        await worked.pass_time(5)
        await worked.until(lambda: not worked.proxy.clients)


async def test_068_a_body_is_not_collected_before_it_is_sent_on() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await connection.exactly(3)
        connection.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await connection.exactly(3)
        connection.write(ok())

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(sized(b"6", b"abc"))
        assert (await client.answer()).status == 102  # the origin has the first half, the second is not sent yet
        client.send(b"def")
        assert (await client.answer()).status == 200


@pytest.mark.large
async def test_069_a_slow_origin_slows_the_client_down() -> None:
    size, go, digest = 32 * 1024 * 1024, asyncio.Event(), hashlib.sha256()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        left = size
        while left:
            data = await connection.reader.read(65536)
            digest.update(data)
            left -= len(data)
        connection.write(ok())

    async with Worked(script) as worked:
        client = await worked.client()
        body = bytes(range(256)) * (size // 256)
        client.send(sized(b"%d" % size, body))
        await worked.until(lambda: [item._pauses for item in worked.downstreams] == [{"upstream"}])
        (upstream,) = worked.proxy.upstreams
        assert upstream.transport.get_write_buffer_size() < 1024 * 1024
        go.set()
        assert (await client.answer()).status == 200
        assert digest.digest() == hashlib.sha256(body).digest()


async def test_049_an_answer_needs_no_body_read_by_the_origin() -> None:
    async with Worked(answering(ok(b"early"))) as worked:
        client = await worked.client()
        assert (await client.ask(sized(b"0"))).body == b"early"
        assert (await client.ask(GET)).body == b"early"
