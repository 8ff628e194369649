"""Clients that speak HTTP/2, in front of an HTTP/1 origin: the behaviours that matter, and those of streams."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes

from dataplane.l7.limits import Limits
from tests.fakes.http2_peers import Headers, request
from tests.fakes.http2_proxied import Http2Proxied
from tests.fakes.origin import OriginConnection, answering, ok

GET = request()


async def test_a_request_goes_to_the_endpoint_and_its_answer_comes_back() -> None:
    async with Http2Proxied(answering(ok(b"hello", b"Date: today", b"X-Origin: 1"))) as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(b"GET", b"/a?b", (b"accept", b"x")))
        assert answer.raw == [(b":status", b"200"), (b"content-length", b"5"), (b"date", b"today"), (b"x-origin", b"1")]
        assert answer.body == b"hello"
        assert proxied.origin.received == (
            b"GET /a?b HTTP/1.1\r\nHost: shop.example\r\naccept: x\r\nX-Real-IP: 127.0.0.1\r\n"
            b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Port: %d\r\nX-Forwarded-Proto: http\r\n"
            b"X-Forwarded-Host: shop.example\r\nVia: 2.0 loopkube\r\n\r\n" % proxied.port
        )
        assert proxied.leases == 0
        [flow] = proxied.flows
        assert (flow.method, flow.status, flow.bytes_out, flow.outcome) == (b"GET", 200, 5, "ok")


async def test_bytes_may_come_one_at_a_time() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        stream = client.link.get_next_available_stream_id()
        client.link.send_headers(stream, request(b"POST", b"/"))
        client.link.send_data(stream, b"hello", end_stream=True)
        sent = client.link.data_to_send()
        for octet in sent:
            client.writer.write(bytes((octet,)))
            await proxied.settle(3)
        await client.until(lambda: stream in client.exchanges and client.exchanges[stream].over)
        assert client.exchanges[stream].status == 200
        assert proxied.origin.received.endswith(b"5\r\nhello\r\n0\r\n\r\n")


async def test_requests_share_a_connection_and_answers_come_as_they_are_ready() -> None:
    gate = asyncio.Event()

    async def script(connection: OriginConnection) -> None:
        while True:
            head = await connection.head()
            if b"/slow" in head:
                await gate.wait()
            connection.write(ok(head.split(b" ")[1]))

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        slow = client.open(request(path=b"/slow"))
        assert (await client.ask(request(path=b"/fast"))).body == b"/fast"
        assert not client.exchanges[slow].over
        gate.set()
        assert (await client.answer(slow)).body == b"/slow"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (request(b"CONNECT"), 501),
        (request(b"TRACE"), 405),
        (request(b"GET", b"/" + b"a" * 9000), 414),
        (request(b"GET", b"/", *[(b"a", b"b")] * 150), 431),
        (request(b"GET", b"/", (b"a", b"b" * 40_000)), 431),
        (request(b"GET", b"/", (b"Upper", b"x")), 400),
        (request(b"GET", b"/", (b"connection", b"close")), 400),
        (request(b"GET", b"/", (b"host", b"other")), 400),
        (request(b"POST", b"/", (b"content-length", b"-1")), 0),
        (request(b"GET", b"/nowhere"), 404),
    ],
)
async def test_a_request_that_cannot_be_served_ends_alone(headers: Headers, status: int) -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        answer = await client.ask(headers)
        assert answer.status == status
        assert answer.reset == (ErrorCodes.PROTOCOL_ERROR if status in (0, 400) else None)
        assert (await client.ask(GET)).status == 200
        assert client.goaways == []
        assert proxied.origin.received.count(b"\r\n\r\n") == 1


async def test_a_malformed_request_whose_body_is_still_to_come_is_answered_and_reset() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST", b"/", (b"connection", b"close")), end=False)
        await client.until(lambda: client.exchanges[stream].reset is not None)
        assert (client.exchanges[stream].status, client.exchanges[stream].reset) == (400, ErrorCodes.PROTOCOL_ERROR)
        assert proxied.proxy.counts["malformed"] == 1


@pytest.mark.parametrize(("length", "sent"), [(b"5", b"abc"), (b"3", b"abcde")])
async def test_data_that_contradict_content_length_end_the_stream(length: bytes, sent: bytes) -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(b"POST", b"/", (b"content-length", length)), sent)
        assert answer.reset == ErrorCodes.PROTOCOL_ERROR
        await proxied.until(lambda: proxied.flows)
        assert (proxied.flows[0].outcome, proxied.leases) == ("bad_request", 0)
        assert (await client.ask(GET)).status == 200


async def test_a_head_has_its_length_and_no_body() -> None:
    async with Http2Proxied(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(b"HEAD"))
        assert (answer.headers[b"content-length"], answer.body, answer.ended_with_head) == (b"5", b"", True)


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b""),
    ],
)
async def test_answers_of_every_framing(response: bytes, body: bytes) -> None:
    async with Http2Proxied(answering(response)) as proxied:
        client = await proxied.http2()
        for _ in range(2):
            answer = await client.ask(GET)
            assert (answer.body, answer.ended, answer.reset) == (body, True, None)
            assert not {b"connection", b"transfer-encoding"} & set(answer.headers)


async def test_an_answer_that_ends_with_its_connection_ends_and_one_that_breaks_off_is_reset() -> None:
    async def script(connection: OriginConnection) -> None:
        head = await connection.head()
        length = b"" if b"/whole" in head else b"Content-Length: 9\r\n"
        connection.write(b"HTTP/1.1 200 OK\r\n%b\r\nabc" % length)
        connection.close()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        whole = await client.ask(request(path=b"/whole"))
        assert (whole.body, whole.ended, whole.reset) == (b"abc", True, None)
        broken = await client.ask(GET)
        assert (broken.ended, broken.reset) == (False, ErrorCodes.INTERNAL_ERROR)
        assert (await client.ask(request(path=b"/whole"))).ended


async def test_trailers_go_both_ways() -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nHost: bad\r\n\r\n"
    async with Http2Proxied(answering(response)) as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(b"POST", b"/"), b"abc", [(b"x-their", b"2")])
        assert answer.trailers == {b"x-sum": b"1"}
        assert proxied.origin.received.endswith(b"3\r\nabc\r\n0\r\nx-their: 2\r\n\r\n")


async def test_interim_answers_are_passed_on() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with Http2Proxied(answering(early + ok())) as proxied:
        client = await proxied.http2()
        answer = await client.ask(GET)
        assert (answer.interim, answer.status) == ([[(b":status", b"103"), (b"link", b"</a>")]], 200)


async def test_an_answer_before_the_request_is_complete_is_followed_by_a_reset_without_error() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.head()
        connection.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST"), end=False)
        client.data(stream, b"abc")
        await client.until(lambda: client.exchanges[stream].reset is not None)
        assert (client.exchanges[stream].status, client.exchanges[stream].reset) == (413, ErrorCodes.NO_ERROR)


async def test_a_client_that_resets_its_stream_cancels_its_request_and_no_other() -> None:
    async def script(connection: OriginConnection) -> None:
        head = await connection.head()
        if b"/other" in head:
            connection.write(ok())
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        stream = client.open(GET)
        await proxied.until(lambda: proxied.origin.connections and proxied.origin.connections[0].received)
        client.reset(stream)
        await asyncio.wait_for(proxied.origin.connections[0].ended.wait(), 5)
        assert (await client.ask(request(path=b"/other"))).status == 200
        assert [flow.outcome for flow in proxied.flows] == ["client_abort", "ok"]
        assert proxied.leases == 0


async def test_a_client_that_leaves_cancels_all_its_requests() -> None:
    async def script(connection: OriginConnection) -> None:
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        for _ in range(3):
            client.open(GET)
        await proxied.until(lambda: proxied.leases == 3)
        client.close()
        await proxied.until(lambda: len(proxied.flows) == 3)
        assert (proxied.leases, proxied.proxy.statistics()["clients"]) == (0, 0)


async def test_no_endpoint_no_route_and_a_refused_connection_are_answered() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        proxied.apply(removes=(("endpoint", "b|e0"),))
        assert (await client.ask(GET)).status == 503
        assert (await client.ask(request(path=b"/nowhere"))).body == b"default backend - 404\n"
    async with Http2Proxied(dead=1) as proxied:
        client = await proxied.http2()
        assert {(await client.ask(GET)).status for _ in range(4)} == {200, 502}


async def test_timeouts_are_a_streams_own() -> None:
    async def script(connection: OriginConnection) -> None:
        head = await connection.head()
        if b"/silent" not in head:
            connection.write(ok())
        await connection.rest()

    async with Http2Proxied(script) as proxied:
        client = await proxied.http2()
        silent = client.open(request(path=b"/silent"))
        halfway = client.open(request(b"POST"), end=False)
        await proxied.until(lambda: proxied.leases == 1 and len(proxied.origin.connections) == 2)
        await proxied.pass_time(61)
        assert (await client.answer(silent)).status == 504
        assert client.exchanges[halfway].status in (200, 408)  # the origin may have answered first
        assert (await client.ask(GET)).status == 200


async def test_a_request_that_does_not_arrive_in_time_is_answered() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST"), end=False)
        await proxied.until(lambda: proxied.origin.connections)
        await proxied.pass_time(61)
        answer = await client.answer(stream)
        await client.until(lambda: answer.reset is not None)
        assert (answer.status, answer.reset) == (408, ErrorCodes.NO_ERROR)


async def test_too_many_connections_are_told_so() -> None:
    async with Http2Proxied(limits=Limits(connections_max=1)) as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        other = await proxied.http2()
        await other.until(lambda: other.goaways)
        assert other.goaways == [(ErrorCodes.NO_ERROR, 0)]
        assert (await client.ask(GET)).status == 200


async def test_a_body_that_is_too_long_is_refused() -> None:
    async with Http2Proxied(limits=Limits(body_max=10)) as proxied:
        client = await proxied.http2()
        assert (await client.ask(request(b"POST"), b"x" * 10)).status == 200
        assert (await client.ask(request(b"POST", b"/", (b"content-length", b"11")), b"x" * 11)).status == 413
        assert (await client.ask(request(b"POST"), b"x" * 11)).status == 413
        assert (await client.ask(GET)).status == 200
        assert proxied.leases == 0


async def test_a_host_that_this_connection_is_not_for_is_misdirected_and_no_other_stream() -> None:
    async with Http2Proxied(site={"covers": lambda session, host: host == b"shop.example"}) as proxied:
        client = await proxied.http2()
        other = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"other.example"), (b":path", b"/")]
        assert (await client.ask(other)).status == 421
        assert (await client.ask(GET)).status == 200
