"""Through real sockets: request lines, hosts and header fields, as the origin and the client see them."""

from __future__ import annotations

import logging

import pytest

from dataplane.l7.limits import Limits
from dataplane.l7.proxy import HttpProxy
from tests.fakes.origin import answering, ok
from tests.fakes.proxied import Proxied

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


async def test_a_request_goes_to_the_endpoint_and_its_answer_comes_back() -> None:
    async with Proxied(answering(ok(b"hello", b"Date: today", b"X-Origin: 1"))) as proxied:
        answer = await proxied.ask(b"GET /a?b HTTP/1.1\r\nHost: shop.example\r\nAccept: x\r\n\r\n")
        assert answer.head == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: today\r\nX-Origin: 1\r\n\r\n"
        assert answer.body == b"hello"
        assert proxied.origin.received == (
            b"GET /a?b HTTP/1.1\r\nHost: shop.example\r\nAccept: x\r\nX-Real-IP: 127.0.0.1\r\n"
            b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Port: %d\r\nX-Forwarded-Proto: http\r\n"
            b"X-Forwarded-Host: shop.example\r\nVia: 1.1 loopkube\r\n\r\n" % proxied.port
        )
        assert proxied.leases == 0


async def test_the_record_of_an_exchange_says_what_happened() -> None:
    async with Proxied(answering(ok(b"hello"))) as proxied:
        client = await proxied.client()
        await client.ask(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        await client.ask(GET)
        first, second = proxied.flows
        assert (first.listener, first.route, first.backend, first.endpoint) == ("web", "r", "b", "e0")
        assert (first.target, first.phase_at_pick, first.phase_at_end) == ("ns/pod-0", "ready", "ready")
        assert (first.attempts, first.method, first.status, first.outcome) == (1, b"POST", 200, "ok")
        assert (first.bytes_in, first.bytes_out) == (3, 5)
        assert first.connect_s >= 0 <= first.first_byte_s <= first.total_s
        assert (second.connect_s, second.method, second.bytes_in) == (-1.0, b"GET", 0)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"TRACE / HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 65536 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
async def test_a_bad_request_is_answered_and_nothing_after_it_is_executed(request_bytes: bytes, status: int) -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        client.send(request_bytes + GET)
        answer = await client.answer()
        assert answer.status == status
        assert answer.field(b"Connection") == b"close"
        assert answer.field(b"Content-Type") == b"text/plain; charset=utf-8"
        assert await client.rest() == b""
        assert proxied.origin.connections == []
        assert [(flow.outcome, flow.status) for flow in proxied.flows] == [("bad_request", status)]


async def test_a_request_line_of_8000_octets_is_served() -> None:
    async with Proxied() as proxied:
        target = b"/" + b"a" * 7980
        assert (await proxied.ask(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)).status == 200
        assert proxied.origin.received.startswith(b"GET %b HTTP/1.1\r\n" % target)


async def test_every_request_may_come_one_byte_at_a_time() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        for octet in b"\r\n" + b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n":
            client.send(bytes((octet,)))
            await proxied.settle(3)
        assert (await client.answer()).status == 200
        assert b"".join(proxied.origin.received.split(b"\r\n\r\n")[1:]).count(b"a") == 1


async def test_a_route_that_is_not_there_and_a_backend_without_endpoint() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        answer = await client.ask(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (answer.status, answer.body) == (404, b"default backend - 404\n")
        proxied.apply(removes=(("endpoint", "b|e0"),))
        assert (await client.ask(GET)).status == 503
        head = await client.ask(b"HEAD /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (head.field(b"Content-Length"), head.field(b"Connection")) == (b"22", None)
        assert [flow.outcome for flow in proxied.flows] == ["no_route", "no_endpoint", "no_route"]


async def test_options_that_may_not_go_further_are_answered_here() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        answer = await client.ask(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n")
        assert (answer.status, answer.field(b"Content-Length")) == (200, b"0")
        assert answer.field(b"Allow") is not None
        await client.ask(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 7\r\n\r\n")
        assert b"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 6\r\n" in proxied.origin.received


async def test_http_1_0_is_forwarded_as_1_1_and_answered_as_it_can_understand() -> None:
    async with Proxied(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
    ) as proxied:
        client = await proxied.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.answer()
        assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (answer.field(b"Transfer-Encoding"), answer.field(b"Connection")) == (None, b"close")
        assert answer.body == b"hi"
        assert b"Host: 127.0.0.1:%d\r\n" % proxied.port in proxied.origin.received
        assert b"Via: 1.0 loopkube\r\n" in proxied.origin.received


async def test_http_1_0_persists_only_if_it_asks_and_is_told() -> None:
    async with Proxied() as proxied:
        client = await proxied.client()
        answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.field(b"Connection") == b"keep-alive"
        answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert answer.field(b"Connection") == b"close"
        assert await client.rest() == b""


async def test_too_many_connections_are_refused_with_an_answer() -> None:
    async with Proxied(limits=Limits(connections_max=1)) as proxied:
        client = await proxied.client()
        await client.ask(GET)
        other = await proxied.client()
        assert (await other.answer()).status == 503
        assert await other.rest() == b""
        assert (await client.ask(GET)).status == 200
        assert proxied.proxy.statistics()["refused"] == 1


def test_a_fault_that_comes_with_every_request_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    proxy = HttpProxy(lambda flow: None, limits=Limits(log_every_s=5.0), clock=lambda: now)
    for second in range(12):
        now = 100.0 + second
        proxy.tell(logging.WARNING, "cannot dial %s", second)
        if second == 1:
            proxy.tell(logging.WARNING, "another fault")
    assert [record.getMessage() for record in caplog.records] == [
        "cannot dial 0",
        "another fault",
        "cannot dial 5 (and 4 more such faults before)",
        "cannot dial 10 (and 4 more such faults before)",
    ]
