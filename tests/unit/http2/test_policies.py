"""Policies over HTTP/2, on both sides: the same as over HTTP/1."""

from __future__ import annotations

import pytest

from dataplane.snapshot import model
from dataplane.snapshot.policy import BasicAuth, CookieAffinity, Cors, RateLimits, Redirect, RoutePolicy
from tests.fakes.http2_peers import Exchange, Http2Peer, answering, request
from tests.fakes.http2_proxied import Http2Proxied

ORIGIN = (b"origin", b"https://a.example")


def treat(proxied: Http2Proxied, path: str = "/", **parts: object) -> None:
    route = model.Route("r", "t", "", path, "Regex", "b", ("", "", 0), policy="p")
    proxied.apply(route, RoutePolicy("p", **parts))  # type: ignore[arg-type]


async def test_answers_of_a_policy_have_their_fields() -> None:
    async with Http2Proxied() as proxied:
        client = await proxied.http2()
        treat(proxied, redirect=Redirect("https://new.example", 308))
        answer = await client.ask(request())
        assert (answer.status, answer.headers[b"location"]) == (308, b"https://new.example")
        treat(proxied, auth=BasicAuth("r", (("jo", "{PLAIN}pw"),)), cors=Cors(("*",), "GET", "X"))
        answer = await client.ask(request())
        assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b'Basic realm="r"')
        assert answer.headers[b"access-control-allow-origin"] == b"*"
        preflight = await client.ask(request(b"OPTIONS", b"/", ORIGIN))
        assert (preflight.status, preflight.body) == (204, b"")


@pytest.mark.parametrize("far", [False, True])
async def test_requests_and_responses_change(far: bool) -> None:
    async with Http2Proxied(to=answering() if far else None) as proxied:
        treat(
            proxied, "/api(/|$)(.*)", rewrite_target="/$2", host="inner", response_fields=(("X-A", "b"),),
            affinity=CookieAffinity("S"),
        )  # fmt: skip
        client = await proxied.http2()
        answer = await client.ask(request(b"GET", b"/api/x?y"))
        assert answer.status == 200
        assert answer.headers[b"x-a"] == b"b"
        assert answer.headers[b"set-cookie"].startswith(b"S=")
        if far:
            asked = proxied.far.requests[0].headers
            assert (asked[b":path"], asked[b":authority"]) == (b"/x?y", b"inner")
        else:
            assert proxied.origin.received.startswith(b"GET /x?y HTTP/1.1\r\n")
            assert proxied.origin.received.count(b"Host: inner\r\n") == 1


async def test_streams_are_counted_like_requests() -> None:
    async def silent(peer: Http2Peer, exchange: Exchange) -> None:
        """Never answers."""

    async with Http2Proxied(to=silent) as proxied:
        treat(proxied, limits=RateLimits(connections=2))
        client = await proxied.http2()
        streams = [client.open(request()) for _ in range(2)]
        await proxied.until(lambda: len(proxied.far.requests) == 2)
        assert (await client.ask(request())).status == 503
        client.reset(streams[0])
        await proxied.until(lambda: proxied.leases == 1)
        client.open(request())
        await proxied.until(lambda: len(proxied.far.requests) == 3)


async def test_a_body_beyond_the_limit_is_413() -> None:
    async with Http2Proxied() as proxied:
        treat(proxied, body_max=5)
        client = await proxied.http2()
        assert (await client.ask(request(b"POST"), b"12345")).status == 200
        assert (await client.ask(request(b"POST"), b"123456")).status == 413


async def test_an_answer_with_a_bad_status_is_passed_over() -> None:
    retry = {"retry": "ingress-nginx", "tries_max": 2, "retry_on": ("http_503",), "policy": "round-robin"}
    async with Http2Proxied(to=answering(status=503), backend=retry) as proxied:
        second = await proxied.another_far(answering())
        client = await proxied.http2()
        assert [(await client.ask(request())).status for _ in range(4)] == [200] * 4
        assert proxied.leases == 0
        await second.stop()
