"""Endpoints that speak HTTP/2, behind clients of both versions."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from tests.fakes.http2_peers import Exchange, Headers, Http2Peer, answering, request
from tests.fakes.http2_proxied import Http2Proxied

GET = request()
HTTP1_GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def go_away(peer: Http2Peer, last: int) -> None:
    frame = GoAwayFrame(0)
    frame.last_stream_id = last
    peer.writer.write(frame.serialize())


async def respond(peer: Http2Peer, exchange: Exchange, body: bytes = b"ok") -> None:
    await answering(body)(peer, exchange)


async def test_a_request_is_translated_and_so_is_its_answer() -> None:
    async with Http2Proxied(to=answering(b"hello", (b"x-origin", b"1"))) as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(b"POST", b"/a?b", (b"te", b"trailers")), b"abc", [(b"x-sum", b"1")])
        assert (answer.status, answer.headers[b"x-origin"], answer.body) == (200, b"1", b"hello")
        [asked] = proxied.far.requests
        assert asked.raw == [
            (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"shop.example"), (b":path", b"/a?b"),
            (b"x-real-ip", b"127.0.0.1"), (b"x-forwarded-for", b"127.0.0.1"),
            (b"x-forwarded-port", b"%d" % proxied.port), (b"x-forwarded-proto", b"http"),
            (b"x-forwarded-host", b"shop.example"), (b"via", b"2.0 loopkube"), (b"te", b"trailers"),
        ]  # fmt: skip
        assert (asked.body, asked.trailers) == (b"abc", {b"x-sum": b"1"})


async def test_an_http_1_client_gets_a_length_or_chunks() -> None:
    async with Http2Proxied(to=answering(b"hello")) as proxied:
        answer = await proxied.ask(HTTP1_GET)
        assert (answer.body, answer.field(b"Content-Length")) == (b"hello", b"5")
        posted = await proxied.ask(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        assert posted.status == 200
        assert (proxied.far.requests[-1].body, proxied.far.requests[-1].trailers) == (b"abc", {b"x-sum": b"1"})
    async with Http2Proxied(to=answering(b"hello", trailers=[(b"x-sum", b"1")])) as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n")
        assert (await client.until(b"\r\n\r\n")).count(b"Transfer-Encoding: chunked") == 1
        assert await client.until(b"\r\n\r\n") == b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"


async def test_an_answer_that_ends_with_its_head_does_so_for_http_2_and_has_length_0_for_http_1() -> None:
    async with Http2Proxied(to=answering(b"", (b"grpc-status", b"12"))) as proxied:
        client = await proxied.http2()
        answer = await client.ask(GET)
        assert (answer.ended_with_head, answer.headers[b"grpc-status"]) == (True, b"12")
        assert b"content-length" not in answer.headers
        assert (await proxied.ask(HTTP1_GET)).field(b"Content-Length") == b"0"


async def test_a_trailers_only_answer_to_a_request_still_under_way_stays_one() -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        peer.link.send_headers(exchange.id, [(b":status", b"200"), (b"grpc-status", b"12")], end_stream=True)
        peer.flush()

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST"), end=False)
        await client.until(lambda: client.exchanges[stream].reset is not None)
        assert client.exchanges[stream].ended_with_head
        assert client.exchanges[stream].reset == ErrorCodes.NO_ERROR


async def test_both_directions_flow_at_once() -> None:
    async def echo(peer: Http2Peer, exchange: Exchange) -> None:
        peer.link.send_headers(exchange.id, [(b":status", b"200")])
        sent = 0
        while not exchange.ended or sent < len(exchange.body):
            await peer.until(lambda sent=sent: len(exchange.body) > sent or exchange.ended)  # type: ignore[misc]
            peer.link.send_data(exchange.id, exchange.body[sent:])
            sent = len(exchange.body)
            peer.flush()
        peer.link.send_headers(exchange.id, [(b"grpc-status", b"0")], end_stream=True)
        peer.flush()

    async with Http2Proxied(to=echo) as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST"), end=False)
        for number in range(5):
            client.data(stream, b"%d" % number)
            await client.until(lambda number=number: len(client.exchanges[stream].body) == number + 1)  # type: ignore[misc]
        client.data(stream, b"", end=True)
        answer = await client.answer(stream)
        assert (answer.body, answer.trailers, answer.reset) == (b"01234", {b"grpc-status": b"0"}, None)


async def test_requests_share_one_connection() -> None:
    gate = asyncio.Event()

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        await gate.wait()
        await respond(peer, exchange, exchange.headers[b":path"])

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        streams = [client.open(request(path=b"/%d" % number)) for number in range(10)]
        await proxied.until(lambda: len(proxied.far.requests) == 10)
        gate.set()
        assert [(await client.answer(stream)).body for stream in streams] == [b"/%d" % number for number in range(10)]
        assert len(proxied.far.connections) == 1
        assert proxied.leases == 0


async def test_more_streams_than_the_endpoint_allows_get_another_connection() -> None:
    gate = asyncio.Event()

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        await gate.wait()
        await respond(peer, exchange)

    async with Http2Proxied(to=script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2}) as proxied:
        client = await proxied.http2()
        gate.set()
        await client.ask(GET)
        gate.clear()
        streams = [client.open(GET) for _ in range(3)]
        await proxied.until(lambda: len(proxied.far.requests) == 4)
        assert len(proxied.far.connections) == 2
        gate.set()
        assert [(await client.answer(stream)).status for stream in streams] == [200] * 3


async def test_a_client_that_resets_its_stream_cancels_the_endpoints() -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        await peer.until(lambda: exchange.over)

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        stream = client.open(request(b"POST"), end=False)
        other = client.open(GET)
        await proxied.until(lambda: len(proxied.far.requests) == 2)
        client.reset(stream)
        await proxied.until(lambda: proxied.far.requests[0].reset is not None)
        assert proxied.far.requests[0].reset == ErrorCodes.CANCEL
        assert not client.exchanges[other].over
        assert [flow.outcome for flow in proxied.flows] == ["client_abort"]


@pytest.mark.parametrize(
    ("method", "code", "after_head", "status", "reset"),
    [
        (b"GET", ErrorCodes.INTERNAL_ERROR, False, 502, None),
        (b"GET", ErrorCodes.CANCEL, True, 200, ErrorCodes.CANCEL),
        (b"GET", ErrorCodes.ENHANCE_YOUR_CALM, True, 200, ErrorCodes.ENHANCE_YOUR_CALM),
        (b"GET", ErrorCodes.PROTOCOL_ERROR, True, 200, ErrorCodes.INTERNAL_ERROR),
        (b"GET", ErrorCodes.NO_ERROR, True, 200, ErrorCodes.INTERNAL_ERROR),
        (b"POST", ErrorCodes.REFUSED_STREAM, False, 503, None),
    ],
)
async def test_a_stream_that_the_endpoint_resets_is_a_failure_of_its_own(
    method: bytes, code: ErrorCodes, after_head: bool, status: int, reset: ErrorCodes | None
) -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        if after_head:
            peer.link.send_headers(exchange.id, [(b":status", b"200")])
            peer.link.send_data(exchange.id, b"half")
            peer.flush()
        peer.link.reset_stream(exchange.id, code)
        peer.flush()

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        answer = await client.ask(request(method))
        assert (answer.status, answer.reset) == (status, reset)
        assert proxied.leases == 0


async def test_what_the_endpoint_did_not_look_at_is_asked_again_whatever_the_method() -> None:
    refused: list[int] = []

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        if exchange.headers[b":method"] == b"POST" and not refused:
            refused.append(exchange.id)
            peer.link.reset_stream(exchange.id, ErrorCodes.REFUSED_STREAM)
            peer.flush()
        else:
            await respond(peer, exchange)

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        answer = await client.ask(request(b"POST"), b"body")
        assert (answer.status, len(refused)) == (200, 1)
        assert proxied.far.requests[-1].body == b"body"
        assert proxied.flows[-1].attempts == 1


async def test_goaway_moves_what_was_not_looked_at_and_lets_the_rest_finish() -> None:
    gate = asyncio.Event()
    told = False

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        nonlocal told
        if exchange.headers[b":path"] == b"/first":
            await gate.wait()
        elif exchange.headers[b":path"] == b"/second" and not told:
            told = True
            go_away(peer, exchange.id - 2)
            return
        await respond(peer, exchange, exchange.headers[b":path"])

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        first = client.open(request(path=b"/first"))
        await proxied.until(lambda: len(proxied.far.requests) == 2)
        second = client.open(request(b"POST", b"/second"))
        assert (await client.answer(second)).body == b"/second"
        assert (await client.ask(request(path=b"/third"))).body == b"/third"
        assert len(proxied.far.connections) == 2
        gate.set()
        assert (await client.answer(first)).body == b"/first"
        await proxied.until(lambda: proxied.far.connections[0].closed.is_set())


async def test_a_connection_that_is_lost_fails_its_streams() -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        if exchange.headers[b":path"] == b"/begun":
            peer.link.send_headers(exchange.id, [(b":status", b"200")])
            peer.link.send_data(exchange.id, b"half")
            peer.flush()
        else:
            await peer.until(lambda: len(peer.exchanges) == 2)
            peer.writer.transport.abort()

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        begun = client.open(request(path=b"/begun"))
        await client.head(begun)
        answer = await client.ask(request(b"POST"))
        assert answer.status == 502
        assert (await client.answer(begun)).reset == ErrorCodes.INTERNAL_ERROR
        assert [flow.outcome for flow in proxied.flows] == ["reset", "reset"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b":status", b"2000")],
        [(b":status", b"200"), (b"connection", b"close")],
        [(b":status", b"200"), (b"X-Upper", b"1")],
        [(b":status", b"200"), (b"a", b"b\r\nc: d")],
        [(b":status", b"200"), (b"content-length", b"1"), (b"content-length", b"1")],
        [(b":status", b"200"), (b"content-length", b"9")],
        [(b":status", b"204")],
        [(b":status", b"200"), (b"a", b"b" * 40_000)],
    ],
)
async def test_a_bad_response_is_502_and_ends_alone(headers: Headers) -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        if exchange.headers[b":path"] == b"/good":
            await respond(peer, exchange)
            return
        peer.link.send_headers(exchange.id, headers)
        peer.link.send_data(exchange.id, b"four", end_stream=True)
        peer.flush()

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        assert (await client.ask(GET)).status == 502
        assert (await client.ask(request(path=b"/good"))).status == 200
        assert [flow.outcome for flow in proxied.flows] == ["bad_response", "ok"]
        assert len(proxied.far.connections) == 1


async def test_an_endpoint_that_does_not_speak_http_2_is_a_bad_one() -> None:
    async with Http2Proxied(backend={"protocol": "h2c"}) as proxied:
        client = await proxied.http2()
        assert (await client.ask(GET)).status == 502
        assert proxied.flows[0].outcome == "bad_response"


async def test_an_endpoint_that_leaves_keeps_what_it_has_begun() -> None:
    gate = asyncio.Event()

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        await gate.wait()
        await respond(peer, exchange)

    async with Http2Proxied(to=script) as proxied:
        client = await proxied.http2()
        stream = client.open(GET)
        await proxied.until(lambda: proxied.far.requests)
        proxied.apply(proxied.endpoint(0, proxied.far.port, ready=False, serving=True, terminating=True))
        proxied.apply(removes=(("endpoint", "b|e0"),))
        gate.set()
        assert (await client.answer(stream)).status == 200
        await proxied.until(lambda: proxied.far.connections[0].closed.is_set())
        assert proxied.far.connections[0].goaways == [(ErrorCodes.NO_ERROR, 0)]


async def test_an_idle_connection_is_closed_after_its_timeout() -> None:
    async with Http2Proxied(to=answering()) as proxied:
        client = await proxied.http2()
        await client.ask(GET)
        await proxied.pass_time(61)
        await proxied.until(lambda: proxied.far.connections[0].closed.is_set())
        assert proxied.proxy.statistics()["upstreams"] == 0


async def test_a_backend_that_changes_its_protocol_changes_its_connections() -> None:
    async with Http2Proxied(to=answering(b"h2")) as proxied:
        client = await proxied.http2()
        assert (await client.ask(GET)).body == b"h2"
        proxied.backend_is(protocol="http1")
        proxied.apply(proxied.endpoint(0, proxied.origin.port))
        assert (await client.ask(GET)).body == b"ok"
        assert b"GET / HTTP/1.1" in proxied.origin.received


async def test_a_connection_that_is_silent_when_a_request_is_given_up_is_lent_no_more() -> None:
    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        if exchange.headers[b":path"] == b"/good":
            await respond(peer, exchange)

    async with Http2Proxied(to=script, backend={"response_timeout_s": 9.0}) as proxied:
        client = await proxied.http2()
        lost = client.open(GET)
        await proxied.until(lambda: proxied.far.requests)
        await proxied.pass_time(1)
        cancelled = client.open(GET)
        await proxied.until(lambda: len(proxied.far.requests) == 2)
        client.reset(cancelled)
        assert (await client.ask(request(path=b"/good"))).status == 200
        assert len(proxied.far.connections) == 1
        await proxied.pass_time(10)
        assert (await client.answer(lost)).status == 504
        assert (await client.ask(request(path=b"/good"))).status == 200
        assert len(proxied.far.connections) == 2
