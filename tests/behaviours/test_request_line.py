"""Behaviours 1 to 18: the request line and its target (RFC 9112 2.2, 2.3, 3; RFC 9110 9.1, 9.3, 7.7)."""

from __future__ import annotations

import pytest

from dataplane.l7.limits import Limits
from dataplane.snapshot import model
from tests.fakes.origin import answering, ok
from tests.fakes.worked import GET, Worked, message


async def test_001_line_ends_before_a_request_are_skipped() -> None:
    async with Worked() as worked:
        assert (await worked.passed(b"\r\n\r\n" + GET)).startswith(b"GET / HTTP/1.1\r\n")
        client = await worked.client()
        for _ in range(2):
            assert (await client.ask(b"\r\n" + GET)).status == 200


@pytest.mark.parametrize(
    "data", [GET.replace(b"\r\n", b"\n"), b"GET / HTTP/1.1\nHost: h\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\n\r\n\r\n"]
)
async def test_002_a_bare_lf_is_refused(data: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(data, 400)


@pytest.mark.parametrize(
    "data", [b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", message(b"A: b\rc"), message(b"A\r: b"), message(b"A: b\r")]
)
async def test_003_a_bare_cr_is_refused(data: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(data, 400)


@pytest.mark.parametrize("space", [b" ", b"\t"])
async def test_004_white_space_before_the_first_field_is_refused(space: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(b"GET / HTTP/1.1\r\n" + space + b"Host: h\r\n\r\n", 400)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1 ",
    ],
)
async def test_005_other_white_space_in_the_request_line_is_not_repaired(line: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(line=line), 400)


@pytest.mark.parametrize("data", [b"GET /\r\n\r\n", b"GET /\r\nHost: h\r\n\r\n"])
async def test_006_http_0_9_is_refused(data: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(data, 400)


async def test_007_a_higher_minor_version_is_1_1_and_another_major_refused() -> None:
    async with Worked() as worked:
        assert b" HTTP/1.1\r\n" in await worked.passed(message(line=b"GET / HTTP/1.2"))
    for version in (b"HTTP/2.0", b"HTTP/3.1", b"HTTP/0.9"):
        async with Worked() as worked:
            await worked.refused(message(line=b"GET / " + version), 505)


@pytest.mark.parametrize("version", [b"http/1.1", b"HTTP/01.1", b"HTTP/1", b"HTTP/1.10", b"HTTP/1.", b"HTTP 1.1"])
async def test_008_a_version_that_is_none_is_refused(version: bytes) -> None:
    async with Worked() as worked:
        await worked.refused(message(line=b"GET / " + version), 400)


async def test_009_each_side_is_spoken_to_in_our_own_version() -> None:
    async with Worked(answering(ok().replace(b"HTTP/1.1", b"HTTP/1.0"))) as worked:
        client = await worked.client()
        answer = await client.ask(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await client.rest() == b""
        assert worked.origin.received.startswith(b"GET / HTTP/1.1\r\n")


async def test_010_a_request_line_may_have_8000_bytes_and_not_endlessly_more() -> None:
    async with Worked() as worked:
        target = b"/" + b"a" * (8000 - len(b"GET / HTTP/1.1"))
        assert target in await worked.passed(message(line=b"GET " + target + b" HTTP/1.1"))
    for data in (message(line=b"GET /" + b"a" * 8192 + b" HTTP/1.1"), b"GET /" + b"a" * 9000):
        async with Worked() as worked:
            await worked.refused(data, 414)


async def test_011_any_token_is_a_method() -> None:
    async with Worked() as worked:
        for method in (b"FOO", b"PROPFIND", b"get"):
            assert (await worked.passed(message(line=method + b" / HTTP/1.1"))).startswith(method + b" / ")
    for method in (b"G@T", b"G/T", b"G\xe9T", b""):
        async with Worked() as worked:
            await worked.refused(message(line=method + b" / HTTP/1.1"), 400)


async def test_012_absolute_form_becomes_origin_form_and_its_authority_the_host() -> None:
    async with Worked() as worked:
        got = await worked.passed(message(line=b"GET http://shop.example:80/a?b HTTP/1.1"))
        assert got.startswith(b"GET /a?b HTTP/1.1\r\n")
        assert got.count(b"\r\nHost:") == 1
        assert b"\r\nHost: shop.example:80\r\n" in got


async def test_013_the_target_decides_over_the_host_field() -> None:
    routes = (
        model.Route("a", "t", "a.example", "/", "Prefix", "b", ("", "", 0)),
        model.Route("h", "t", "h", "/", "Prefix", "nobody", ("", "", 1)),
    )
    async with Worked(routes=routes) as worked:
        assert b"Host: a.example\r\n" in await worked.passed(message(line=b"GET http://a.example/ HTTP/1.1"))
        assert (await worked.ask(GET)).status == 503


async def test_014_connect_makes_no_tunnel() -> None:
    for line in (b"CONNECT h:443 HTTP/1.1", b"CONNECT / HTTP/1.1"):
        async with Worked() as worked:
            await worked.refused(message(line=line) + b"secret", 501)


async def test_015_only_options_may_ask_for_everything() -> None:
    async with Worked() as worked:
        assert (await worked.passed(message(line=b"OPTIONS * HTTP/1.1"))).startswith(b"OPTIONS * HTTP/1.1\r\n")
        assert (await worked.passed(message(line=b"OPTIONS http://h HTTP/1.1"))).startswith(b"OPTIONS * HTTP/1.1\r\n")
    async with Worked() as worked:
        await worked.refused(message(line=b"GET * HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/a#b", b"/a b", b"/a\x00", b"/a\x7f", b"/a\x0b", b"/\xc3\xa4", b"a", b"//u@h:x@"])
async def test_016_a_target_is_visible_ascii_without_fragment(target: bytes) -> None:
    async with Worked() as worked:
        if target.startswith(b"//"):  # a path, whatever it looks like
            assert b"GET //u@h:x@ HTTP/1.1" in await worked.passed(message(line=b"GET " + target + b" HTTP/1.1"))
        else:
            await worked.refused(message(line=b"GET " + target + b" HTTP/1.1"), 400)


@pytest.mark.parametrize("target", [b"/a%2Fb", b"/%2e%2e/x", b"/a//b", b"/a;x=1", b"/a?", b"/a/../b", b"/%41%zz"])
async def test_017_a_target_is_forwarded_and_routed_as_it_came(target: bytes) -> None:
    routes = (
        model.Route("as-it-is", "t", "", target.decode().partition("?")[0], "Exact", "b", ("", "", 0)),
        model.Route("decoded", "t", "", "/", "Prefix", "nobody", ("", "", 1)),
    )
    async with Worked(routes=routes) as worked:
        assert (await worked.passed(message(line=b"GET " + target + b" HTTP/1.1"))).startswith(b"GET " + target + b" ")
        assert worked.flows[0].route == "as-it-is"


async def test_018_coded_controls_are_never_decoded() -> None:
    async with Worked() as worked:
        target = b"/%00%0d%0aX-Evil:%201?%0d%0a%0d%0aGET%20/"
        got = await worked.passed(message(b"A: %0d%0aX-Evil: 1", line=b"GET " + target + b" HTTP/1.1"))
        assert got.startswith(b"GET " + target + b" HTTP/1.1\r\n")
        assert b"\r\nA: %0d%0aX-Evil: 1\r\n" in got
        assert b"\r\nX-Evil" not in got


async def test_010_the_limit_is_one_of_the_worker() -> None:
    async with Worked(limits=Limits(request_line_max=100)) as worked:
        await worked.refused(message(line=b"GET /" + b"a" * 100 + b" HTTP/1.1"), 414)
