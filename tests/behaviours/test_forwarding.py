"""Behaviours 38 to 47: what stays on one connection, and what is said about the way (RFC 9110 7.6, 7.7, RFC 7239)."""

from __future__ import annotations

import pytest

from tests.fakes.origin import answering, ok
from tests.fakes.worked import GET, Worked, message


async def test_038_fields_that_connection_names_stop_both_ways() -> None:
    lines = [b"Connection: X-Mine, x-other", b"X-Mine: 1", b"X-Other: 2", b"X-Kept: 3"]
    async with Worked(answering(ok(b"", *lines))) as worked:
        answer = await worked.ask(message(*lines))
        for bytes_on in (worked.origin.received, answer.head):
            assert b"X-Mine" not in bytes_on
            assert b"X-Other" not in bytes_on
            assert b"\r\nX-Kept: 3\r\n" in bytes_on


HOP_BY_HOP = (b"Keep-Alive: 5", b"Proxy-Connection: keep-alive", b"TE: gzip", b"Trailer: X", b"Upgrade: foo")


async def test_039_hop_by_hop_fields_are_not_passed_on_as_they_came() -> None:
    async with Worked(answering(ok(b"", b"Connection: keep-alive", *HOP_BY_HOP))) as worked:
        answer = await worked.ask(message(b"Connection: keep-alive", *HOP_BY_HOP))
        for bytes_on in (worked.origin.received, answer.head):
            for line in (b"Connection: keep-alive", *HOP_BY_HOP):
                assert line.partition(b":")[0] + b":" not in bytes_on


async def test_039_framing_is_written_by_us() -> None:
    async with Worked() as worked:
        got = await worked.passed(message(b"Transfer-Encoding:  Chunked", body=b"1;x\r\na\r\n00\r\n\r\n"))
        assert b"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" in got


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Cookie", b"Authorization", b"X-Forwarded-For"])
async def test_040_connection_cannot_take_out_what_is_end_to_end(name: bytes) -> None:
    async with Worked() as worked:
        data = message(
            b"Connection: close, " + name,
            b"Cookie: c",
            b"Authorization: a",
            b"Content-Length: 3",
            line=b"POST / HTTP/1.1",
            body=b"abc",
        )
        got = await worked.passed(data)
        assert got.count(b"\r\n" + name + b": ") == 1
        assert got.endswith(b"\r\n\r\nabc")


async def test_041_close_concerns_one_side_only() -> None:
    async with Worked() as worked:
        for _ in range(2):
            client = await worked.client()
            answer = await client.ask(message(b"Connection: close"))
            assert answer.field(b"Connection") == b"close"
            assert await client.rest() == b""
        assert len(worked.origin.connections) == 1
        assert b"Connection" not in worked.origin.received
    async with Worked(answering(ok(b"", b"Connection: close"))) as worked:
        client = await worked.client()
        for number in (1, 2):
            assert (await client.ask(GET)).field(b"Connection") is None
            assert len(worked.origin.connections) == number


async def test_042_the_origin_is_told_who_asked_and_the_client_cannot_lie() -> None:
    names = (b"X-Forwarded-For", b"X-Real-IP", b"Forwarded", b"X-Forwarded-Proto", b"X-Forwarded-Host")
    spoofed = [name + b": 1.2.3.4" for name in names]
    async with Worked() as worked:
        got = await worked.passed(message(*spoofed, b"Via: 1.0 fred", host=b"Host: h:8080"))
        assert b"1.2.3.4" not in got
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in got
        assert b"\r\nX-Real-IP: 127.0.0.1\r\n" in got
        assert b"\r\nX-Forwarded-Proto: http\r\n" in got
        assert b"\r\nX-Forwarded-Host: h:8080\r\n" in got
        assert b"\r\nX-Forwarded-Port: %d\r\n" % worked.port in got
        assert got.index(b"Via: 1.0 fred\r\n") < got.index(b"Via: 1.1 loopkube\r\n")


async def test_043_te_trailers_is_said_where_trailers_are_passed_on() -> None:
    async with Worked() as worked:
        assert b"\r\nTE: trailers\r\nConnection: TE\r\n" in await worked.passed(message(b"TE: gzip, trailers"))
        assert b"TE:" not in await worked.passed(message(b"TE: gzip;q=0.5"))
        assert b"TE:" not in await worked.passed(message(b"TE: trailers", line=b"GET / HTTP/1.0"))


async def test_044_max_forwards_counts_down_for_options() -> None:
    async with Worked() as worked:
        answer = await worked.ask(message(b"Max-Forwards: 0", line=b"OPTIONS / HTTP/1.1"))
        assert answer.status == 200
        assert b"GET" in (answer.field(b"Allow") or b"")
        assert worked.origin.received == b""
        got = await worked.passed(message(b"Max-Forwards: 5", line=b"OPTIONS * HTTP/1.1"))
        assert b"\r\nMax-Forwards: 4\r\n" in got
        assert b"\r\nMax-Forwards: 0\r\n" in await worked.passed(message(b"Max-Forwards: 0"))
    async with Worked() as worked:
        await worked.refused(message(b"Max-Forwards: many", line=b"OPTIONS / HTTP/1.1"), 400)


async def test_045_trace_reflects_nothing() -> None:
    async with Worked() as worked:
        answer = await worked.refused(message(b"Cookie: secret", line=b"TRACE / HTTP/1.1"), 405)
        assert b"secret" not in answer.head + answer.body
        assert b"TRACE" not in (answer.field(b"Allow") or b"TRACE")


async def test_046_a_date_is_added_where_there_is_none() -> None:
    async with Worked() as worked:
        answer = await worked.ask(GET)
        assert b" GMT" in (answer.field(b"Date") or b"")
    async with Worked(answering(ok(b"", b"Date: then"))) as worked:
        answer = await worked.ask(GET)
        assert answer.head.count(b"Date:") == 1
        assert answer.field(b"Date") == b"then"


async def test_047_the_origins_own_fields_stay() -> None:
    lines = [b'ETag: W/"x"', b"Content-Encoding: gzip", b"Server: origin/1", b"Cache-Control: no-store", b"Vary: *"]
    async with Worked(answering(ok(b"\x1f\x8b", *lines))) as worked:
        answer = await worked.ask(GET)
        assert b"\r\n" + b"\r\n".join(lines) + b"\r\n" in answer.head
        assert answer.body == b"\x1f\x8b"
