"""Through real sockets: endpoints that refuse, reset, are slow or leave, and what is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataplane.l7.limits import Limits
from tests.fakes.origin import Origin, OriginConnection, Script, answering, ok
from tests.fakes.proxied import Proxied

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
NGINX = {"retry": "ingress-nginx", "tries_max": 3}


async def resetting(connection: OriginConnection) -> None:
    await connection.body(await connection.head())
    connection.reset()


async def silent(connection: OriginConnection) -> None:
    await connection.rest()


def stale_after(first: bytes = b"") -> Script:
    """Answers the first request of a connection and closes on the second one."""

    async def script(connection: OriginConnection) -> None:
        await connection.body(await connection.head())
        connection.write(first or ok())
        await connection.body(await connection.head())
        connection.close()

    return script


@pytest.mark.parametrize("retry", ["none", "kube-proxy"])
async def test_without_a_retry_policy_a_failure_is_seen(retry: str) -> None:
    async with Proxied(dead=1, backend={"retry": retry, "tries_max": 3}) as proxied:
        statuses = sorted([(await proxied.ask(GET)).status for _ in range(2)])
        assert statuses == [200, 502]
        assert sorted(flow.outcome for flow in proxied.flows) == ["ok", "refused"]


@pytest.mark.parametrize("request_bytes", [GET, POST])
async def test_an_endpoint_that_refuses_is_skipped(request_bytes: bytes) -> None:
    async with Proxied(dead=1, backend=NGINX) as proxied:
        assert [(await proxied.ask(request_bytes)).status for _ in range(2)] == [200, 200]
        assert sorted(flow.attempts for flow in proxied.flows) == [1, 2]
        assert proxied.leases == 0


async def test_a_reset_is_retried_for_idempotent_requests_only() -> None:
    async with Proxied(resetting, resetting, answering(), backend=NGINX) as proxied:
        assert [(await proxied.ask(GET)).status for _ in range(3)] == [200, 200, 200]
        statuses = [(await proxied.ask(POST)).status for _ in range(3)]
        assert sorted(statuses) == [200, 502, 502]
        assert proxied.leases == 0


async def test_the_number_of_tries_is_bounded() -> None:
    async with Proxied(resetting, resetting, resetting, answering(), backend=NGINX | {"tries_max": 2}) as proxied:
        answers = [await proxied.ask(GET) for _ in range(4)]
        assert {flow.attempts for flow in proxied.flows} <= {1, 2}
        assert 502 in [answer.status for answer in answers]


async def test_all_endpoints_tried_and_all_bad() -> None:
    async with Proxied(resetting, dead=1, backend=NGINX) as proxied:
        answer = await proxied.ask(GET)
        assert answer.status == 502
        assert (proxied.flows[0].attempts, proxied.leases) == (2, 0)


async def test_a_body_is_sent_again_with_its_request() -> None:
    async with Proxied(resetting, answering(), backend=NGINX) as proxied:
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(
                b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            )
            assert answer.status == 200
        assert proxied.origins[1].received.count(b"\r\n\r\n2\r\nab\r\n0\r\n\r\n") == 2


async def test_a_body_that_is_not_kept_is_not_sent_again() -> None:
    async with Proxied(resetting, resetting, backend=NGINX, limits=Limits(replay_max=1)) as proxied:
        answer = await proxied.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")
        assert (answer.status, proxied.flows[0].attempts) == (502, 1)


async def test_a_stale_connection_is_replaced_under_every_policy() -> None:
    async with Proxied(stale_after()) as proxied:
        client = await proxied.client()
        for _ in range(3):
            assert (await client.ask(GET)).status == 200
        assert len(proxied.origin.connections) == 3
        assert {flow.attempts for flow in proxied.flows} == {1}


async def test_a_request_that_is_not_idempotent_is_not_sent_twice_over_a_stale_connection() -> None:
    async with Proxied(stale_after()) as proxied:
        client = await proxied.client()
        assert [(await client.ask(POST)).status for _ in range(3)] == [200, 502, 200]


async def test_a_stale_connection_of_an_endpoint_that_left_is_replaced_by_another_endpoint() -> None:
    go = asyncio.Event()

    async def leaving(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(ok())
        await connection.head()
        await go.wait()
        connection.close()

    async with Proxied(leaving) as proxied:
        client = await proxied.client()
        assert (await client.ask(GET)).status == 200
        client.send(GET)
        await proxied.until(lambda: proxied.leases)
        origin = await Origin(answering(ok(b"other"))).start()
        proxied.apply(
            proxied.endpoint(0, proxied.origin.port, ready=False, serving=False, terminating=True),
            proxied.endpoint(1, origin.port),
        )
        go.set()
        assert (await client.answer()).body == b"other"
        await origin.stop()


async def test_a_connection_that_the_endpoint_closed_is_not_used() -> None:
    async def once(connection: OriginConnection) -> None:
        await connection.body(await connection.head())
        connection.write(ok())
        connection.close()

    async with Proxied(once) as proxied:
        client = await proxied.client()
        for _ in range(3):
            assert (await client.ask(POST)).status == 200
            await proxied.until(lambda: not proxied.proxy.upstreams)


async def test_an_endpoint_that_does_not_answer_in_time() -> None:
    async with Proxied(silent) as proxied:
        client = await proxied.client()
        client.send(GET)
        await proxied.until(lambda: proxied.origin.connections)
        await proxied.pass_time(59)
        assert not proxied.flows
        await proxied.pass_time(1)
        assert (await client.answer()).status == 504
        assert (proxied.flows[0].outcome, proxied.leases) == ("timeout", 0)
        await proxied.until(lambda: proxied.origin.connections[0].ended.is_set())


async def test_a_slow_endpoint_is_given_up_for_another() -> None:
    async with Proxied(silent, answering(), backend=NGINX) as proxied:
        first, second = await proxied.client(), await proxied.client()
        first.send(GET)
        second.send(GET)
        await proxied.until(lambda: len(proxied.flows) == 1 and proxied.origins[0].connections)
        await proxied.pass_time(61)
        assert [(await client.answer()).status for client in (first, second)] == [200, 200]


async def test_an_answer_that_stops_in_the_middle_is_cut_off() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        await connection.rest()

    async with Proxied(script) as proxied:
        client = await proxied.client()
        client.send(GET)
        await client.until(b"hello")
        await proxied.pass_time(61)
        assert await client.rest() == b""
        assert proxied.flows[0].outcome == "timeout"


async def test_a_connect_that_does_not_succeed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Proxied(backend={"connect_timeout_s": 0.01}) as proxied:

        async def never(*args: Any, **kwargs: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(proxied.proxy, "connect", never)
        assert (await proxied.ask(GET)).status == 504
        assert proxied.flows[0].outcome == "timeout"


async def test_requests_beyond_the_connections_wait_and_beyond_that_are_refused() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        while True:
            await connection.head()
            await go.wait()
            connection.write(ok())

    async with Proxied(script, backend={"connections_max": 1, "pending_max": 1}) as proxied:
        clients = [await proxied.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(GET)
            await proxied.until(lambda number=number: proxied.leases > min(number, 1))
        assert (await clients[2].answer()).status == 503
        go.set()
        assert [(await client.answer()).status for client in clients[:2]] == [200, 200]
        assert len(proxied.origin.connections) == 1
        assert sorted(flow.outcome for flow in proxied.flows) == ["ok", "ok", "overload"]


async def test_a_request_that_waits_too_long_for_a_connection_is_refused() -> None:
    async with Proxied(silent, backend={"connections_max": 1}) as proxied:
        first, second = await proxied.client(), await proxied.client()
        first.send(GET)
        await proxied.until(lambda: proxied.origin.connections)
        second.send(GET)
        await proxied.until(lambda: proxied.leases == 2)
        await proxied.pass_time(6)
        assert (await second.answer()).status == 503
        assert proxied.leases == 1


async def test_a_client_that_leaves_cancels_its_request() -> None:
    async with Proxied(silent) as proxied:
        client = await proxied.client()
        client.send(GET)
        await proxied.until(lambda: proxied.origin.connections)
        client.reset()
        await proxied.until(lambda: proxied.origin.connections[0].ended.is_set())
        assert (proxied.flows[0].outcome, proxied.leases) == ("client_abort", 0)


async def test_a_client_that_closed_is_told_from_one_that_half_closed() -> None:
    async with Proxied(silent) as proxied:
        closing, half = await proxied.client(), await proxied.client()
        for client in (closing, half):
            client.send(GET)
        await proxied.until(lambda: len(proxied.origin.connections) == 2)
        closing.close()
        half.end()
        await proxied.until(lambda: len(proxied.proxy.half_closed) == 2)
        await proxied.pass_time(1)
        await proxied.until(lambda: proxied.flows)
        assert [flow.outcome for flow in proxied.flows] == ["client_abort"]
        assert proxied.leases == 1


async def test_an_endpoint_that_left_finishes_what_is_under_way_and_keeps_no_connection() -> None:
    go = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        await connection.head()
        await go.wait()
        connection.write(ok())
        await connection.rest()

    async with Proxied(script, answering()) as proxied:
        busy, idle = await proxied.client(), await proxied.client()
        busy.send(GET)
        idle.send(GET)
        await proxied.until(lambda: proxied.flows and proxied.origins[0].connections)
        slow, other = proxied.origins
        proxied.apply(
            proxied.endpoint(0, slow.port, ready=False, serving=False, terminating=True),
            proxied.endpoint(1, other.port, ready=False, serving=False),
        )
        await proxied.until(lambda: other.connections[0].ended.is_set())
        assert (await proxied.ask(GET)).status == 503
        go.set()
        await busy.answer()
        await proxied.until(lambda: slow.connections[0].ended.is_set())
        assert (proxied.flows[-1].phase_at_pick, proxied.flows[-1].phase_at_end) == ("ready", "terminating")


@pytest.mark.parametrize("takes", [False, True])
async def test_an_endpoint_that_takes_no_more_of_a_request_has_its_own_time(takes: bool) -> None:
    reading = asyncio.Event()

    async def deaf(connection: OriginConnection) -> None:
        await connection.head()
        await reading.wait()
        while await connection.reader.read(65536):
            pass

    size = 64 * 1024 * 1024
    async with Proxied(deaf, backend={"send_timeout_s": 3.0}, limits=Limits(body_timeout_s=60.0)) as proxied:
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        client.send(bytes(16 * 1024 * 1024))
        talk = proxied.downstreams[0].talk
        await proxied.until(lambda: talk.upstream is not None and talk.upstream.unsent > 0)
        await proxied.pass_time(2.0)
        assert proxied.flows == []
        if takes:
            reading.set()
            await proxied.until(lambda: talk.bytes_in > 8 * 1024 * 1024)
            reading.clear()
            await proxied.pass_time(2.0)
            assert proxied.flows == []
        else:
            await proxied.pass_time(2.0)
            assert [(flow.status, flow.outcome) for flow in proxied.flows] == [(504, "timeout")]
