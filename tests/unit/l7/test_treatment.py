"""Policies through real sockets: what reaches the endpoint and what reaches the client."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dataplane.snapshot import model
from dataplane.snapshot.policy import (
    BasicAuth,
    Canary,
    CookieAffinity,
    Cors,
    HttpsRedirect,
    RateLimits,
    Redirect,
    RoutePolicy,
)
from tests.fakes.origin import OriginConnection, Script, answering, ok
from tests.fakes.proxied import Answer, Proxied

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def treat(proxied: Proxied, path: str = "/", path_type: Any = "Prefix", **parts: Any) -> None:
    """The one route gets a policy."""
    proxied.apply(model.Route("r", "t", "", path, path_type, "b", ("", "", 0), policy="p"), RoutePolicy("p", **parts))


def status_of(text: bytes, *lines: bytes) -> Script:
    """Answers every request with this status line and these lines."""

    async def script(connection: OriginConnection) -> None:
        while head := await connection.head():
            await connection.body(head)
            connection.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n%b\r\nhi" % (text, b"".join(lines)))

    return script


async def test_a_policy_answers_without_the_endpoint_and_the_connection_goes_on() -> None:
    async with Proxied() as proxied:
        treat(proxied, redirect=Redirect("https://new.example", 301))
        client = await proxied.client()
        for _ in range(2):
            answer = await client.ask(GET)
            assert (answer.status, answer.field(b"Location"), answer.body) == (
                301, b"https://new.example", b"Moved Permanently\n",
            )  # fmt: skip
        assert [(flow.outcome, flow.status, flow.backend, flow.attempts) for flow in proxied.flows] == [
            ("policy", 301, "b", 0)
        ] * 2
        assert proxied.origin.received == b""


async def test_a_route_whose_policy_is_not_there_is_closed() -> None:
    async with Proxied() as proxied:
        proxied.apply(model.Route("r", "t", "", "/", "Prefix", "b", ("", "", 0), policy="gone"))
        assert (await proxied.ask(GET)).status == 503
        proxied.apply(RoutePolicy("gone"))
        assert (await proxied.ask(GET)).status == 200
        proxied.apply(removes=(("routepolicy", "gone"),))
        assert (await proxied.ask(GET)).status == 503


async def test_the_endpoint_is_asked_for_another_path_and_host() -> None:
    async with Proxied() as proxied:
        treat(proxied, "/api(/|$)(.*)", "Regex", rewrite_target="/$2", host="inner", forwarded_prefix="/api")
        answer = await proxied.ask(b"GET /api/x?q=1 HTTP/1.1\r\nHost: h\r\nX-Forwarded-Prefix: /lie\r\nX: y\r\n\r\n")
        assert answer.status == 200
        head = proxied.origin.received
        assert head.startswith(b"GET /x?q=1 HTTP/1.1\r\nHost: inner\r\nX: y\r\nX-Forwarded-Prefix: /api\r\n")
        assert b"/lie" not in head
        assert b"X-Forwarded-Host: h\r\n" in head


@pytest.mark.parametrize(
    "request_head", [b"GET / HTTP/1.0\r\n\r\n", b"GET http://h/ HTTP/1.1\r\nHost: other\r\n\r\n", GET]
)
async def test_there_is_one_host_however_it_came(request_head: bytes) -> None:
    async with Proxied() as proxied:
        treat(proxied, host="inner")
        assert (await proxied.ask(request_head)).status == 200
        assert re.findall(rb"\r\nHost: ([^\r]*)", proxied.origin.received) == [b"inner"]


async def test_the_client_gets_other_fields() -> None:
    script = status_of(b"302 Found", b"Location: http://inner/x\r\n", b"X-A: theirs\r\n", b"X-B: theirs\r\n")
    async with Proxied(script) as proxied:
        treat(proxied, response_fields=(("x-a", "ours"),), location_from="http://inner/", location_to="/outer/")
        for _ in range(2):  # the second response is one that is remembered
            answer = await proxied.ask(GET)
            assert (answer.field(b"Location"), answer.field(b"X-B")) == (b"/outer/x", b"theirs")
            assert re.findall(rb"(?i)\r\nx-a: ([^\r]*)", answer.head) == [b"ours"]
        proxied.apply(RoutePolicy("p"))
        assert (await proxied.ask(GET)).field(b"X-A") == b"theirs"  # what was remembered was not touched


async def test_scripts_of_an_origin_may_read_failures_too() -> None:
    async with Proxied(dead=1, backend={"policy": "round-robin"}) as proxied:
        treat(proxied, cors=Cors(("*",), "GET", "X"))
        answers = [await proxied.ask(GET) for _ in range(2)]
        assert sorted(answer.status for answer in answers) == [200, 502]
        assert {answer.field(b"Access-Control-Allow-Origin") for answer in answers} == {b"*"}
        preflight = await proxied.ask(b"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\n\r\n")
        assert (preflight.status, preflight.field(b"Content-Length")) == (204, None)


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Content-Length: 5\r\n\r\nabcde", 200),
        (b"Content-Length: 6\r\n\r\nabcdef", 413),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 200),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n", 413),
    ],
)
async def test_a_body_beyond_the_limit_is_413(framing: bytes, status: int, bytewise: bool) -> None:
    async with Proxied() as proxied:
        treat(proxied, body_max=5)
        client = await proxied.client()
        request = b"POST / HTTP/1.1\r\nHost: h\r\n" + framing
        for piece in [bytes([octet]) for octet in request] if bytewise else [request]:
            client.send(piece)
            await proxied.settle(2)
        answer = await client.answer()
        assert answer.status == status
        if b"Connection: close" in answer.head:  # it had to be read to its end, or not at all
            assert await client.rest() == b""
        else:
            assert (await client.ask(GET)).status == 200
            proxied.records.pop()
        await proxied.until(lambda: proxied.leases == 0)
        assert [flow.status for flow in proxied.flows] == [status]


async def test_credentials_open_the_way_and_stay_outside() -> None:
    async with Proxied() as proxied:
        treat(proxied, auth=BasicAuth("r", (("jo", "{PLAIN}pw"),)))
        refused = await proxied.ask(GET)
        assert (refused.status, refused.field(b"WWW-Authenticate")) == (401, b'Basic realm="r"')
        passed = await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic am86cHc=\r\n\r\n")
        assert passed.status == 200
        assert b"uthorization" not in proxied.origin.received


async def test_requests_under_way_are_let_go_however_they_end() -> None:
    async with Proxied(answering(), dead=1) as proxied:
        treat(proxied, limits=RateLimits(connections=1))
        for _ in range(4):  # answered, refused by the endpoint, and again
            assert (await proxied.ask(GET)).status in (200, 502)
        client = await proxied.client()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        await proxied.until(lambda: proxied.leases == 1)
        assert (await proxied.ask(GET)).status == 503
        client.reset()
        await proxied.until(lambda: proxied.leases == 0)
        assert (await proxied.ask(GET)).status in (200, 502)


async def test_a_cookie_brings_clients_back_to_their_endpoint() -> None:
    def cookie(answer: Answer) -> bytes:
        return (answer.field(b"Set-Cookie") or b"").partition(b";")[0]

    async with Proxied(answering(ok(b"0")), answering(ok(b"1")), answering(ok(b"2"))) as proxied:
        treat(proxied, affinity=CookieAffinity("S", persistent=True))
        first = [await proxied.ask(GET) for _ in range(3)]
        assert {answer.body for answer in first} == {b"0", b"1", b"2"}
        for answer in first:
            again = await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: %b\r\n\r\n" % cookie(answer))
            assert (again.body, cookie(again)) == (answer.body, b"")


async def test_a_canary_has_its_own_backend_and_name() -> None:
    async with Proxied(answering(ok(b"main")), answering(ok(b"canary"))) as proxied:
        canary = proxied.origins[1]
        proxied.apply(
            model.Backend("c"),
            model.Endpoint("c", "e", "127.0.0.1", canary.port, True, True, False),
            model.Route("new", "t", "", "/", "Prefix", "c", ("", "", 1), policy="q", is_canary=True),
            RoutePolicy("q", canary=Canary(header="X-New")),
            removes=(("endpoint", "b|e1"),),
        )
        assert {(await proxied.ask(GET)).body for _ in range(3)} == {b"main"}
        answer = await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX-New: always\r\n\r\n")
        assert answer.body == b"canary"
        assert (proxied.flows[-1].route, proxied.flows[-1].backend) == ("new", "c")
        proxied.apply(removes=(("endpoint", "c|e"),))
        assert (await proxied.ask(b"GET / HTTP/1.1\r\nHost: h\r\nX-New: always\r\n\r\n")).body == b"main"


async def test_https_is_where_plain_requests_are_sent() -> None:
    async with Proxied() as proxied:
        treat(proxied, https=HttpsRedirect(("",), 8443))
        answer = await proxied.ask(b"GET /a HTTP/1.1\r\nHost: h:80\r\n\r\n")
        assert (answer.status, answer.field(b"Location")) == (308, b"https://h:8443/a")
    async with Proxied(site={"scheme": b"https"}) as proxied:
        treat(proxied, https=HttpsRedirect(("",), 8443))
        assert (await proxied.ask(GET)).status == 200


NEXT_ON_STATUS = {"retry": "ingress-nginx", "tries_max": 3, "retry_on": ("http_502", "http_404")}


@pytest.mark.parametrize("text", [b"502 Bad Gateway", b"404 Not Found"])
async def test_an_answer_with_a_bad_status_is_passed_over(text: bytes) -> None:
    async with Proxied(status_of(text), status_of(b"200 OK"), backend=NEXT_ON_STATUS) as proxied:
        assert [(await proxied.ask(GET)).status for _ in range(4)] == [200] * 4
        assert 2 in {flow.attempts for flow in proxied.flows}
        assert proxied.leases == 0


async def test_the_last_bad_answer_is_relayed_as_it_is() -> None:
    scripts = [status_of(b"502 Bad Gateway", b"X: %d\r\n" % number) for number in range(2)]
    async with Proxied(*scripts, backend=NEXT_ON_STATUS) as proxied:
        answer = await proxied.ask(GET)
        assert (answer.status, answer.body) == (502, b"hi")
        assert proxied.flows[0].attempts == 2
        post = await proxied.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert post.status == 502
        assert proxied.flows[1].attempts == 1


async def test_a_bad_answer_that_streams_is_passed_over_too() -> None:
    async def streaming(connection: OriginConnection) -> None:
        await connection.body(await connection.head())
        connection.write(b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")

    async with Proxied(streaming, status_of(b"200 OK"), backend=NEXT_ON_STATUS) as proxied:
        assert [(await proxied.ask(GET)).status for _ in range(2)] == [200, 200]
        assert proxied.leases == 0
