"""Behaviours 27 to 37: header fields (RFC 9112 5, RFC 9110 5)."""

from __future__ import annotations

import pytest

from dataplane.l7.limits import Limits
from tests.fakes.origin import answering, ok
from tests.fakes.worked import GET, Worked, message


@pytest.mark.parametrize("space", [b" ", b"\t"])
async def test_027_white_space_before_the_colon(space: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(b"A" + space + b": b"), 400)
        await worked.refused(message(b"Content-Length" + space + b": 5", body=b"GET /"), 400)
    async with Worked(answering(ok(b"", b"A" + space + b": b"))) as worked:
        assert (await worked.ask(GET)).status == 502


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b" \r\n "])
async def test_028_folded_lines_are_refused(fold: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(b"A: b" + fold + b"c"), 400)
        await worked.refused(message(b"Transfer-Encoding:" + fold + b"chunked"), 400)
    async with Worked(answering(ok(b"", b"A: b" + fold + b"c"))) as worked:
        assert (await worked.ask(GET)).status == 502


@pytest.mark.parametrize("line", [b"A", b": b", b" : b", b"A B: c", b"A@: b", b"A\xe9: b", b"A(: b", b"A\0: b"])
async def test_029_a_line_needs_a_colon_and_a_token_before_it(line: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(line), 400)
    async with Worked(answering(ok(b"", line))) as worked:
        assert (await worked.ask(GET)).status == 502


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n", b"\x01", b"\x0b", b"\x0c", b"\x1b", b"\x7f"])
async def test_030_controls_in_a_value_are_refused(octet: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(b"A: b" + octet + b"c"), 400)
    async with Worked(answering(ok(b"", b"A: b" + octet + b"c"))) as worked:
        assert (await worked.ask(GET)).status == 502


async def test_031_unknown_fields_their_order_and_their_number_stay() -> None:
    lines = [b"x-b: 1", b"A: 2", b"X-B: 3", b"zz: 4", b"a: 5"]
    cookies = [b"Set-Cookie: a=1; Path=/", b"X: y", b"Set-Cookie: b=2", b"Set-Cookie: a=3"]
    async with Worked(answering(ok(b"", *cookies))) as worked:
        client = await worked.client()
        answer = await client.ask(message(*lines))
        assert b"\r\nHost: h\r\n" + b"\r\n".join(lines) + b"\r\n" in worked.origin.received
        assert b"\r\n".join(cookies) + b"\r\n" in answer.head


async def test_032_octets_above_ascii_survive() -> None:
    octets = bytes(range(0x80, 0x100))
    async with Worked(answering(ok(b"", b"B: " + octets))) as worked:
        answer = await worked.ask(message(b"A: " + octets))
        assert b"\r\nA: " + octets + b"\r\n" in worked.origin.received
        assert answer.field(b"B") == octets


async def test_033_space_around_a_value_is_not_its_part_and_a_value_may_be_empty() -> None:
    async with Worked() as worked:
        got = await worked.passed(message(b"A:b", b"B: \t b \t c\t ", b"C:", b"D:  ", b"E: \x85e\xa0"))
        assert b"\r\nA: b\r\nB: b \t c\r\nC: \r\nD: \r\nE: \x85e\xa0\r\n" in got


@pytest.mark.parametrize(
    "lines", [[b"A: " + b"b" * 65536], [b"A: b"] * 1000, [b"A" * 40_000 + b": b"], [b"A: " + b"b" * 500] * 80]
)
async def test_034_a_head_has_bounds(lines: list[bytes]) -> None:
    async with Worked() as worked:
        await worked.refused(message(*lines), 431)
    async with Worked() as worked:
        client = await worked.client()
        endless = message(*lines)[:-4]
        client.send(endless * (1 + 40_000 // len(endless)))
        assert (await client.answer()).status == 431
        await worked.until(lambda: not worked.proxy.clients or _held(worked) == 0)


def _held(worked: Worked) -> int:
    return sum(len(client._held) for client in worked.downstreams)


async def test_034_the_bounds_are_the_workers() -> None:
    async with Worked(limits=Limits(fields_max=3, head_max=200)) as worked:
        await worked.passed(message(b"A: b", b"C: d"))
        client = await worked.client()
        assert (await client.ask(message(b"A: b", b"C: d", b"E: f"))).status == 431
        client = await worked.client()
        assert (await client.ask(message(b"A: " + b"b" * 200))).status == 431


async def test_035_a_name_with_underscores_frames_nothing() -> None:
    async with Worked() as worked:
        client = await worked.client()
        client.send(message(b"Content_Length: 60", b"Transfer_Encoding: chunked", b"My_Field: 1") + GET)
        for _ in range(2):
            assert (await client.answer()).status == 200
        assert worked.origin.received.count(b"GET / HTTP/1.1\r\n") == 2
        assert b"Content_Length" not in worked.origin.received
        assert b"Transfer_Encoding" not in worked.origin.received
        assert b"\r\nMy_Field: 1\r\n" in worked.origin.received


async def test_036_names_have_no_case() -> None:
    async with Worked(answering(b"HTTP/1.1 200 OK\r\ncONTENT-lENGTH: 2\r\nsErVeR: s\r\n\r\nok")) as worked:
        client = await worked.client()
        data = b"POST / HTTP/1.1\r\nhOST: h\r\ncONTENT-lENGTH: 3\r\ncONNECTION: x-a\r\nX-a: 1\r\nx-B: 2\r\n\r\nabc"
        for _ in range(2):
            answer = await client.ask(data)
            assert (answer.body, answer.field(b"Server")) == (b"ok", b"s")
        got = worked.origin.received
        assert got.count(b"\r\nx-B: 2\r\n") == 2
        assert got.count(b"\r\n\r\nabc") == 2
        assert b"X-a" not in got


async def test_037_fields_that_should_be_one_are_not_merged() -> None:
    lines = [b"Content-Type: a/b", b"Content-Type: c/d", b"User-Agent: e", b"User-Agent: f"]
    async with Worked(answering(ok(b"", *lines))) as worked:
        answer = await worked.ask(message(*lines))
        assert b"\r\n".join(lines) in worked.origin.received
        assert b"\r\n".join(lines) in answer.head
