"""Behaviours 98 to 112: persistence, pipelining, failures, timeouts, draining, TLS (RFC 9112 9; RFC 9110 15.6)."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from dataplane.l7.limits import Limits
from tests.fakes.origin import OriginConnection, answering, ok
from tests.fakes.sockets import full_queue
from tests.fakes.worked import GET, Worked, message

POST = message(b"Content-Length: 2", line=b"POST / HTTP/1.1", body=b"ab")
NGINX = {"retry": "ingress-nginx", "tries_max": 3}


async def resetting(connection: OriginConnection) -> None:
    await connection.body(await connection.head())
    connection.reset()


async def silent(connection: OriginConnection) -> None:
    await connection.rest()


async def test_098_1000_requests_on_one_connection() -> None:
    async with Worked() as worked:
        client = await worked.client()
        for _ in range(1000):
            answer = await client.ask(GET)
            assert (answer.status, answer.field(b"Connection")) == (200, None)
        assert len(worked.origin.connections) == 1


async def test_099_close_is_honoured_said_and_done() -> None:
    async with Worked() as worked:
        for options in (b"close", b"Close", b"keep-alive, close"):
            client = await worked.client()
            client.send(message(b"Connection: " + options) + GET)
            assert (await client.answer()).field(b"Connection") == b"close"
            assert await client.rest() == b""
        assert worked.origin.received.count(b"GET / ") == 3  # what came after it is nobody's


async def test_100_http_1_0_persists_only_if_it_asks_and_is_told() -> None:
    async with Worked() as worked:
        client = await worked.client()
        answer = await client.ask(message(line=b"GET / HTTP/1.0"))
        assert (answer.field(b"Connection"), await client.rest()) == (b"close", b"")
        client = await worked.client()
        for _ in range(2):
            answer = await client.ask(message(b"Connection: Keep-Alive", line=b"GET / HTTP/1.0"))
            assert answer.field(b"Connection") == b"keep-alive"


async def test_101_pipelined_requests_are_answered_in_order() -> None:
    async with Worked(answering(lambda head: ok(head.split(b" ")[1]))) as worked:
        data = b""
        for number in range(20):
            line = b"POST /%d HTTP/1.1" % number
            if number % 3 == 0:
                data += message(line=b"GET /%d HTTP/1.1" % number)
            elif number % 3 == 1:
                data += message(b"Content-Length: 4", line=line, body=b"GET ")
            else:
                data += message(b"Transfer-Encoding: chunked", line=line, body=b"3\r\nabc\r\n0\r\n\r\n")
        client = await worked.client()
        client.send(data)
        assert [(await client.answer()).body for _ in range(20)] == [b"/%d" % number for number in range(20)]


@pytest.mark.parametrize(
    "bad", [b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", message(b"Content-Length: x"), message(host=None)]
)
async def test_102_after_a_refusal_nothing_is_executed(bad: bytes) -> None:
    async with Worked() as worked:
        client = await worked.client()
        client.send(GET + bad + message(line=b"DELETE /all HTTP/1.1"))
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.rest() == b""
        assert b"DELETE" not in worked.origin.received


async def test_103_a_stale_connection_costs_an_idempotent_request_nothing() -> None:
    async def once(connection: OriginConnection) -> None:
        await connection.body(await connection.head())
        connection.write(ok())
        await connection.head()
        connection.reset()

    for data, status in ((GET, 200), (POST, 502)):
        async with Worked(once) as worked:
            client = await worked.client()
            assert (await client.ask(GET)).status == 200
            assert (await client.ask(data)).status == status  # on the connection that the origin is about to reset
            assert len(worked.origin.connections) == (2 if status == 200 else 1)


async def test_104_a_refused_connection_is_tried_elsewhere_and_none_is_503() -> None:
    async with Worked(answering(), backend=NGINX, dead=1) as worked:
        for _ in range(4):
            assert (await worked.ask(POST)).status == 200  # it never left, so any method may be tried again
    async with Worked(backend={"retry": "none"}, dead=1) as worked:
        assert sorted([(await worked.ask(GET)).status for _ in range(2)]) == [200, 502]
        worked.apply(
            worked.endpoint(0, 1, ready=False, serving=False), worked.endpoint(1, 2, ready=False, serving=False)
        )
        answer = await worked.ask(GET)
        assert (answer.status, answer.field(b"Connection")) == (503, None)


async def test_105_too_slow_is_504_and_a_reset_before_the_head_502() -> None:
    async with Worked(silent) as worked:
        client = await worked.client()
        client.send(GET)
        await worked.until(lambda: worked.origin.connections)
        await worked.pass_time(59)
        assert not worked.flows
        await worked.pass_time(1)
        assert (await client.answer()).status == 504
    async with Worked(resetting) as worked:
        assert (await worked.ask(GET)).status == 502
    with full_queue() as port:
        async with Worked(backend={"connect_timeout_s": 0.05}) as worked:
            worked.apply(worked.endpoint(0, port))
            assert (await worked.ask(GET)).status == 504


async def test_106_a_head_has_one_deadline_however_it_drips() -> None:
    async with Worked() as worked:
        slow, silent_one, other = [await worked.client() for _ in range(3)]
        for octet in b"GET / ":
            slow.send(bytes((octet,)))
            await worked.until(lambda: worked.proxy.clients)
            await worked.pass_time(9)
            assert (await other.ask(GET)).status == 200
        await worked.pass_time(6)
        answer = await slow.answer()
        assert (answer.status, answer.field(b"Connection")) == (408, b"close")
        assert await slow.rest() == b""
        assert await silent_one.rest() == b""  # who has said nothing is told nothing
        assert (await other.ask(GET)).status == 200


async def test_107_a_body_that_does_not_come_is_given_up() -> None:
    async with Worked() as worked:
        client, other = await worked.client(), await worked.client()
        client.send(POST[:-1])
        await worked.until(lambda: worked.origin.connections)
        assert (await other.ask(GET)).status == 200
        await worked.pass_time(61)
        answer = await client.answer()
        assert (answer.status, answer.field(b"Connection"), worked.leases) == (408, b"close", 0)
        await worked.until(worked.origin.connections[0].ended.is_set)


@pytest.mark.large
async def test_107_a_client_that_does_not_read_is_cut_off() -> None:
    async with Worked(answering(ok(bytes(8 * 1024 * 1024)))) as worked:
        client, other = await worked.client(), await worked.client()
        client.reader._limit = 4096  # type: ignore[attr-defined]  # its transport stops reading early
        client.send(GET)
        await worked.until(lambda: any(item.full for item in worked.downstreams))
        assert (await other.ask(message(line=b"OPTIONS / HTTP/1.1"))).status == 200
        for _ in range(20):  # buffers on the way may still move
            await worked.pass_time(61)
        await worked.until(lambda: any(flow.outcome == "timeout" for flow in worked.flows))
        assert worked.leases == 0


async def test_108_a_client_that_leaves_takes_its_request_along() -> None:
    for leaves in ("reset", "close"):
        async with Worked(silent) as worked:
            client = await worked.client()
            client.send(GET)
            await worked.until(lambda: worked.origin.connections)
            getattr(client, leaves)()
            await worked.until(lambda: not worked.proxy.clients or worked.proxy.half_closed)
            await worked.pass_time(2)
            await worked.until(worked.origin.connections[0].ended.is_set)
            assert (worked.flows[0].outcome, worked.leases) == ("client_abort", 0)


async def test_109_an_endpoint_that_leaves_finishes_and_gets_nothing_new() -> None:
    go = asyncio.Event()

    async def slow(connection: OriginConnection) -> None:
        while True:
            await connection.head()
            await go.wait()
            connection.write(ok(b"slow"))

    async with Worked(slow, answering(ok(b"other"))) as worked:
        client = await worked.client()
        client.send(GET)
        await worked.until(lambda: worked.leases == 1 and worked.origin.connections)
        port = worked.origin.port
        worked.apply(worked.endpoint(0, port, ready=False, serving=False, terminating=True))
        assert [(await worked.ask(GET)).body for _ in range(3)] == [b"other"] * 3
        go.set()
        assert (await client.answer()).body == b"slow"
        await worked.until(worked.origin.connections[0].ended.is_set)


async def test_110_draining_ends_connections_with_their_answers() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(ok(b"last"))
        await connection.rest()

    async with Worked(script) as worked:
        client = await worked.client()
        client.send(GET)
        await worked.until(lambda: worked.leases)
        stopping = asyncio.ensure_future(worked.worker.stop(5.0))
        await worked.until(lambda: worked.proxy.draining)
        go.set()
        answer = await client.answer()
        assert (answer.body, answer.field(b"Connection")) == (b"last", b"close")
        assert await client.rest() == b""
        await stopping
        assert worked.proxy.statistics()["clients"] == 0


@pytest.mark.large
async def test_111_a_refusal_can_be_read_by_who_is_still_sending() -> None:
    async with Worked(limits=Limits(body_max=1000)) as worked:
        client = await worked.client()
        client.send(message(b"Content-Length: 900000", line=b"POST / HTTP/1.1", body=b"x" * 500_000))
        answer = await client.answer()
        assert (answer.status, answer.field(b"Connection")) == (413, b"close")
        assert await client.rest() == b""
        client.send(b"x" * 400_000)
        await worked.settle()
        assert worked.proxy.clients
        await worked.pass_time(6)
        await worked.until(lambda: not worked.proxy.clients)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.example", "a.example"),
        ("x.wild.example", "*.wild.example"),
        ("x.y.wild.example", "default"),
        (None, "default"),
    ],
)
async def test_112_tls_shows_the_certificate_that_was_asked_for(name: str | None, shown: str) -> None:
    async with Worked(certificates=("", "a.example", "*.wild.example")) as worked:
        client = await worked.tls_client(name, alpn=("http/1.1",))
        session: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
        assert shown.encode() in (session.getpeercert(binary_form=True) or b"")
        assert session.selected_alpn_protocol() == "http/1.1"
        assert session.version() in ("TLSv1.2", "TLSv1.3")
        answer = await client.ask(message(b"Connection: close", host=b"Host: " + (name or "h").encode()))
        assert answer.status == 200
        assert await client.rest() == b""  # close_notify, or this would raise
