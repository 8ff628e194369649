"""Behaviours 19 to 26: Host and what is routed by it (RFC 9112 3.2, RFC 9110 7.2, 7.4, 4.2.3, 15.5.20)."""

from __future__ import annotations

import pytest

from dataplane.snapshot import model
from tests.fakes.worked import Worked, message

SHOP = (
    model.Route("shop", "t", "shop.example", "/", "Prefix", "b", ("", "", 0)),
    model.Route("default", "t", "", "/", "Prefix", "nobody", ("", "", 1), is_default=True),
)


async def test_019_http_1_1_needs_a_host() -> None:
    async with Worked() as worked:
        await worked.refused(message(host=None), 400)
        await worked.refused(message(host=None, line=b"GET http://h/ HTTP/1.1"), 400)


@pytest.mark.parametrize("second", [b"Host: h", b"Host: other", b"host:h"])
async def test_020_two_hosts_are_refused(second: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(second), 400)
        await worked.refused(message(second, line=b"GET / HTTP/1.0"), 400)


@pytest.mark.parametrize(
    "host",
    [b"u@h", b"u:p@h", b"h/p", b"h?q", b"h#f", b"a,b", b"a, b", b"a b", b"h:80:80", b"h:x", b"[::1", b"\xe4"],
)
async def test_021_a_host_is_nothing_but_host_and_port(host: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(host=b"Host: " + host), 400)


@pytest.mark.parametrize("line", [b"Host:", b"Host: ", b"Host: \t"])
async def test_022_an_empty_host_is_refused(line: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(host=line), 400)


@pytest.mark.parametrize("host", [b"SHOP.example", b"shop.example:80", b"Shop.Example:8080", b"shop.example:"])
async def test_023_case_and_port_do_not_matter_for_routing(host: bytes) -> None:
    async with Worked(routes=SHOP) as worked:
        assert b"\r\nHost: " + host + b"\r\n" in await worked.passed(message(host=b"Host: " + host))


@pytest.mark.parametrize("host", [b"shop.example.", b"shop.example.:80"])
async def test_024_a_trailing_dot_is_the_same_host(host: bytes) -> None:
    async with Worked(routes=SHOP) as worked:
        assert b"\r\nHost: " + host + b"\r\n" in await worked.passed(message(host=b"Host: " + host))


async def test_025_http_1_0_without_host_goes_to_the_default_backend() -> None:
    async with Worked(routes=SHOP) as worked:
        assert (await worked.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 503  # whose backend has no endpoint
        assert worked.flows[0].route == "default"
    async with Worked() as worked:
        got = await worked.passed(b"GET / HTTP/1.0\r\n\r\n")
        assert b"\r\nHost: 127.0.0.1:%d\r\n" % worked.port in got


@pytest.mark.parametrize(
    ("name", "host", "status"),
    [
        ("a.example", b"a.example", 200),
        ("a.example", b"A.example:443", 200),
        ("a.example", b"b.example", 421),
        ("a.example", b"nobody.example", 200),  # has no certificate, so nobody could reach it otherwise
        ("a.example", b"x.wild.example", 421),
        ("x.wild.example", b"y.wild.example", 200),
        ("x.wild.example", b"b.example", 421),
        ("nobody.example", b"b.example", 200),  # got the default certificate
        (None, b"b.example", 200),
    ],
)
async def test_026_a_connection_is_for_the_hosts_of_its_certificate(name: str | None, host: bytes, status: int) -> None:
    async with Worked(certificates=("", "a.example", "b.example", "*.wild.example")) as worked:
        client = await worked.tls_client(name)
        answer = await client.ask(message(host=b"Host: " + host))
        assert answer.status == status
        assert answer.field(b"Connection") is None
        assert (await client.ask(message(host=b"Host: " + (name or "h").encode()))).status == 200


async def test_026_a_renewed_certificate_misdirects_nobody() -> None:
    async with Worked(certificates=("", "a.example", "b.example")) as worked:
        client = await worked.tls_client("a.example")
        renewed = model.Certificate("a.example", ("a.example",), *worked.another_pem("a.example"))
        worked.apply(renewed)
        assert (await client.ask(message(host=b"Host: a.example"))).status == 200
        assert (await client.ask(message(host=b"Host: b.example"))).status == 421
