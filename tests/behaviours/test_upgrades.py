"""Behaviours 85 to 97: 1xx, expectations, upgrades and tunnels (RFC 9110 7.8, 10.1.1, 15.2; RFC 6455 4)."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.origin import OriginConnection, answering, ok
from tests.fakes.worked import GET, Worked, message

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
UPGRADE = message(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: k")
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"
)
EXPECTING = message(b"Expect: 100-continue", b"Content-Length: 2", line=b"POST / HTTP/1.1")


async def test_085_the_origin_says_continue_and_the_client_hears_it() -> None:
    async def script(connection: OriginConnection) -> None:
        assert b"\r\nExpect: 100-continue\r\n" in await connection.head()
        connection.write(CONTINUE)
        assert await connection.exactly(2) == b"ab"
        connection.write(ok())

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(EXPECTING)
        assert await client.until(b"\r\n\r\n") == CONTINUE
        client.send(b"ab")
        assert (await client.answer()).status == 200


async def test_085_a_client_that_does_not_wait_is_served_as_well() -> None:
    async with Worked(answering(CONTINUE + ok())) as worked:
        client = await worked.client()
        client.send(EXPECTING + b"ab")
        assert (await client.answer()).status == 100
        assert (await client.answer()).status == 200


async def test_086_a_refusal_instead_of_continue_needs_no_body() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")

    async with Worked(script) as worked:
        client = await worked.client()
        answer = await client.ask(EXPECTING)
        assert (answer.status, answer.body, answer.field(b"Connection")) == (417, b"no", b"close")
        assert await client.rest() == b""


async def test_087_an_http_1_0_client_gets_no_interim_answer() -> None:
    async with Worked(answering(CONTINUE + HINTS + ok(b"hi"))) as worked:
        data = message(b"Expect: 100-continue", b"Content-Length: 2", line=b"POST / HTTP/1.0", body=b"ab")
        answer = await worked.ask(data)
        assert (answer.status, answer.body) == (200, b"hi")
        assert b"Expect" not in worked.origin.received


async def test_088_an_unknown_expectation_is_the_origins_to_judge() -> None:
    async with Worked() as worked:
        assert b"\r\nExpect: the-unexpected\r\n" in await worked.passed(message(b"Expect: the-unexpected"))


async def test_089_several_hints_are_relayed_in_order() -> None:
    hints = b"".join(HINTS.replace(b"a.css", b"%d.css" % number) for number in range(3))
    async with Worked(answering(hints + ok())) as worked:
        client = await worked.client()
        for _ in range(2):
            client.send(GET)
            assert await client.exactly(len(hints)) == hints
            assert (await client.answer()).status == 200
        assert len(worked.origin.connections) == 1


PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize("interim", [CONTINUE, PROCESSING, b"HTTP/1.1 199 X\r\nContent-Length: 3\r\n\r\n"])
async def test_090_an_interim_answer_is_not_the_answer(interim: bytes) -> None:
    async with Worked(answering(interim + ok(b"hi"))) as worked:
        client = await worked.client()
        client.send(GET)
        answer = await client.answer()
        assert answer.status < 200
        assert answer.field(b"Content-Length") is None
        assert (await client.answer()).body == b"hi"
        assert worked.flows[0].status == 200


async def echo(connection: OriginConnection) -> None:
    """Switches as asked for, says something, sends back what comes and 'bye' at its end."""
    await connection.head()
    connection.write(SWITCHING + b"first")
    while data := await connection.reader.read(65536):
        connection.write(data)
    connection.write(b"bye")
    connection.close()


async def test_091_a_websocket_is_a_transparent_tunnel() -> None:
    async with Worked(echo) as worked:
        client = await worked.client()
        client.send(UPGRADE + b"early")
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" in head
        assert b"\r\nSec-WebSocket-Accept: a\r\n" in head
        assert b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" in worked.origin.received
        assert b"\r\nSec-WebSocket-Key: k\r\n" in worked.origin.received
        assert await client.exactly(10) == b"firstearly"
        blob = bytes(range(256)) * 1024
        client.send(blob)
        assert await client.exactly(len(blob)) == blob


REQUIRED = b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: foo\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize("refusal", [ok(b"hi"), REQUIRED])
async def test_092_a_refused_upgrade_stays_http(refusal: bytes) -> None:
    async with Worked(answering(refusal)) as worked:
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(UPGRADE)
            assert answer.body == b"hi"
            assert answer.field(b"Upgrade") == (b"foo" if answer.status == 426 else None)
        assert len(worked.origin.connections) == 1


@pytest.mark.parametrize(
    "data",
    [
        message(b"Upgrade: websocket"),
        message(b"Upgrade: websocket", b"Connection: upgrade", b"Content-Length: 0", line=b"POST / HTTP/1.1"),
        message(b"Upgrade: websocket", b"Connection: upgrade", line=b"GET / HTTP/1.0"),
        message(b"Connection: upgrade"),
    ],
)
async def test_093_an_upgrade_that_is_not_one_is_not_asked_for(data: bytes) -> None:
    async with Worked() as worked:
        got = await worked.passed(data)
        assert b"Upgrade" not in got
        assert b"Connection" not in got


async def test_094_http_2_is_not_smuggled_through() -> None:
    async with Worked() as worked:
        got = await worked.passed(
            message(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA")
        )
        assert b"h2c" not in got
        assert b"HTTP2-Settings" not in got
        got = await worked.passed(message(b"Connection: upgrade", b"Upgrade: H2C, websocket, h2c-14"))
        assert b"\r\nUpgrade: websocket\r\n" in got


@pytest.mark.parametrize("data", [GET, EXPECTING + b"ab", message(b"Upgrade: websocket")])
async def test_095_a_switch_that_nobody_asked_for_is_502(data: bytes) -> None:
    async with Worked(answering(SWITCHING + b"evil")) as worked:
        answer = await worked.ask(data)
        assert answer.status == 502
        assert b"evil" not in answer.body


async def test_096_a_client_that_ended_its_side_gets_its_answer() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(ok(b"late"))

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(GET)
        client.end()
        await worked.until(lambda: worked.proxy.half_closed)
        await worked.pass_time(2)
        go.set()
        answer = await client.answer()
        assert (answer.body, answer.field(b"Connection")) == (b"late", b"close")
        assert await client.rest() == b""


async def test_096_each_direction_of_a_tunnel_ends_by_itself() -> None:
    async with Worked(echo) as worked:
        client = await worked.client()
        client.send(UPGRADE)
        await client.until(b"first")
        client.send(b"last words")
        client.end()
        assert await client.rest() == b"last wordsbye"
        await worked.until(lambda: worked.flows)
        assert (worked.flows[0].status, worked.flows[0].outcome, worked.leases) == (101, "ok", 0)

    async def leaving(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(SWITCHING)
        connection.writer.write_eof()
        await connection.rest()

    async with Worked(leaving) as worked:
        client = await worked.client()
        client.send(UPGRADE)
        assert (await client.rest()).endswith(b"\r\n\r\n")
        client.send(b"still here")
        client.end()
        await worked.until(lambda: worked.flows)
        await worked.until(lambda: worked.origin.received.endswith(b"still here"))


async def test_097_a_silent_tunnel_ends_and_a_reset_goes_through() -> None:
    async with Worked(echo) as worked:
        client = await worked.client()
        client.send(UPGRADE)
        await client.until(b"first")
        await worked.pass_time(59)
        client.send(b"x")
        await client.exactly(1)
        await worked.pass_time(59)
        assert worked.proxy.tunnels
        await worked.pass_time(2)
        assert await client.rest() == b""
        assert worked.flows[0].outcome == "timeout"
        client = await worked.client()
        client.send(UPGRADE)
        await client.until(b"first")
        worked.origin.connections[1].reset()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        client = await worked.client()
        client.send(UPGRADE)
        await client.until(b"first")
        client.reset()
        await worked.until(worked.origin.connections[2].ended.is_set)
        await worked.until(lambda: len(worked.flows) == 3)
        assert [flow.outcome for flow in worked.flows] == ["timeout", "reset", "client_abort"]
