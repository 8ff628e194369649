"""Through real sockets: persistence, pipelining, timeouts, half-close, lingering and draining."""

from __future__ import annotations

import asyncio

from tests.fakes.origin import OriginConnection, answering, ok
from tests.fakes.proxied import Proxied

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_a_connection_persists_on_both_sides() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        for _ in range(200):
            assert (await client.ask(GET)).status == 200
        assert len(proxied.origin.connections) == 1
        assert len(proxied.flows) == 200


async def test_close_is_answered_and_followed_by_the_end() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        answer = await client.ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.field(b"Connection") == b"close"
        assert await client.rest() == b""
        assert b"Connection" not in proxied.origin.received
        await proxied.ask(GET)
        assert len(proxied.origin.connections) == 1  # the client's wish is not the endpoint's


async def test_an_endpoints_close_is_not_the_clients() -> None:
    async with Proxied(
        answering(ok(b"", b"Connection: close, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5"))
    ) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert [answer.field(name) for name in (b"Connection", b"X-Hop", b"Keep-Alive")] == [None, None, None]
        assert len(proxied.origin.connections) == 2


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with Proxied(answering(lambda head: ok(head.split(b" ")[1])), answering(ok(b"/other"))) as proxied:
        client = await proxied.client()
        requests = b""
        for number in range(20):
            if number % 3 == 0:
                requests += b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" % number
            elif number % 3 == 1:
                requests += (
                    b"POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" % number
                )
            else:
                requests += b"GET /nowhere/%d HTTP/1.1\r\nHost: h\r\n\r\n" % number
        client.send(requests)
        answers = [await client.answer() for _ in range(20)]
        for number, answer in enumerate(answers):
            if number % 3 == 2:
                assert answer.status == 404
            else:
                assert answer.body in (b"/%d" % number, b"/other")


async def test_thousands_of_pipelined_requests_answered_here_need_no_stack() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" * 3000)
        for _ in range(3000):
            assert (await client.answer()).status == 404


async def test_a_client_that_pipelines_without_reading_is_not_read_on() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.rest()

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET * 200_000)
        await proxied.until(lambda: [item._pauses for item in proxied.downstreams] == [{"held"}])
        (downstream,) = proxied.downstreams
        assert len(downstream._held) < 1024 * 1024


async def test_half_close_within_a_pipelined_body_ends_it() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(ok(b"first"))
        await connection.rest()

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET + b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
        client.end()
        await proxied.until(lambda: proxied.proxy.half_closed)
        go.set()
        assert (await client.answer()).body == b"first"
        assert await client.rest() == b""
        assert [flow.outcome for flow in proxied.flows] == ["ok", "client_abort"]
        assert proxied.leases == 0


async def test_an_answer_of_ours_to_a_request_that_is_all_here_leaves_the_connection_usable() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        answer = await client.ask(b"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        assert (answer.status, answer.field(b"Connection")) == (404, None)
        assert (await client.ask(GET)).status == 200


async def test_half_close_after_a_request_still_gets_the_answer() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        while True:
            await connection.head()
            await go.wait()
            connection.write(ok(b"late"))

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET + GET)
        client.end()
        await proxied.until(lambda: proxied.proxy.half_closed)
        await proxied.pass_time(1)
        go.set()
        data = await client.rest()
        assert data.count(b"\r\n\r\nlate") == 2
        assert b"Connection: close\r\n\r\nlate" in data


async def test_a_head_that_does_not_come_in_time() -> None:
    async with Proxied() as proxied:
        slow, silent, served = await proxied.client(), await proxied.client(), await proxied.client()
        slow.send(b"GET / HT")
        await served.ask(GET)
        await proxied.pass_time(60)
        assert (await slow.answer()).status == 408
        assert await slow.rest() == b""
        assert await silent.rest() == b""
        assert (await served.ask(GET)).status == 200
        assert [flow.status for flow in proxied.flows] == [200, 408, 200]


async def test_a_head_that_comes_byte_by_byte_has_one_deadline() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"GET ")
        for octet in b"/ HTTP":
            await proxied.pass_time(10)
            client.send(bytes((octet,)))
        assert (await client.answer()).status == 408


async def test_a_body_that_does_not_come_in_time() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
        await proxied.until(lambda: proxied.origin.connections)
        await proxied.until(lambda: proxied.proxy.clients)
        await proxied.pass_time(61)
        assert (await client.answer()).status == 408
        await proxied.until(lambda: proxied.origin.connections[0].ended.is_set())
        assert proxied.leases == 0


async def test_idle_connections_are_closed_on_both_sides_each_in_its_time() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        await client.ask(GET)
        await proxied.pass_time(61)
        await proxied.until(lambda: not proxied.proxy.upstreams)
        assert proxied.proxy.clients
        await proxied.pass_time(15)
        assert await client.rest() == b""
        await proxied.until(lambda: not proxied.proxy.clients)


async def test_a_refusal_can_be_read_although_the_client_goes_on_sending() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * 500_000)
        assert (await client.answer()).status == 400
        assert await client.rest() == b""
        client.send(b"x" * 100_000)
        await proxied.settle()
        assert proxied.proxy.clients
        await proxied.pass_time(5)
        await proxied.until(lambda: not proxied.proxy.clients)


async def test_draining_ends_connections_with_their_answers() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(ok())
        await connection.head()
        connection.write(ok())

    async with Proxied(script) as proxied:
        go.set()
        idle = await proxied.client()
        await idle.ask(GET)
        await proxied.pass_time(2)
        busy, fresh, recent = await proxied.client(), await proxied.client(), await proxied.client()
        await recent.ask(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        go.clear()
        busy.send(GET)
        await proxied.until(lambda: proxied.leases == 1)
        proxied.proxy.drain()
        assert await idle.rest() == b""
        go.set()
        answer = await busy.answer()
        assert (answer.status, answer.field(b"Connection")) == (200, b"close")
        assert await busy.rest() == b""
        answer = await fresh.ask(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answer.field(b"Connection") == b"close"
        fresh.close()
        assert proxied.proxy.clients
        await proxied.pass_time(1)
        assert await recent.rest() == b""
        assert await proxied.proxy.drained(5.0)


async def test_drained_gives_up_in_time() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        await proxied.until(lambda: proxied.proxy.clients)
        proxied.proxy.drain()
        assert not await proxied.proxy.drained(0.01)
        client.close()
        assert await proxied.proxy.drained(5.0)
