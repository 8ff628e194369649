"""Heads: what is accepted, what it means, what is refused; h11 as the oracle."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.l7.codec import head_end, parse_request, parse_response
from dataplane.l7.events import Refusal, Request, Response
from dataplane.l7.limits import Limits

LIMITS = Limits()


def request(text: bytes) -> Request:
    return parse_request(text, LIMITS)


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bool = True) -> Request:
    lines = [line, *([b"Host: h"] if host else []), *fields]
    return request(b"\r\n".join(lines) + b"\r\n\r\n")


def refused(text: bytes) -> int:
    with pytest.raises(Refusal) as caught:
        request(text)
    return caught.value.status


def raw(parsed: Request) -> list[tuple[bytes, bytes]]:
    return [(field.name, field.value) for field in parsed.fields]


def response(text: bytes) -> Response:
    return parse_response(text, LIMITS)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET /",
        b"GET / http/1.1",
        b"GET / HTTP/01.1",
        b"GET / HTTP/1",
        b"GET / HTTP/1.10",
        b"GET / HTTP/1.1\r",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"G@T / HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET a/b HTTP/1.1",
        b"GET http:// HTTP/1.1",
        b"GET http://u@h/ HTTP/1.1",
        b"GET ftp://h/ HTTP/1.1",
        b"",
    ],
)
def test_a_malformed_request_line_is_refused(line: bytes) -> None:
    assert refused(line + b"\r\nHost: h\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET / HTTP/2.0", 505), (b"GET / HTTP/0.9", 505), (b"CONNECT h:1 HTTP/1.1", 501), (b"TRACE / HTTP/1.1", 405)],
)
def test_what_is_not_served_has_its_own_status(line: bytes, status: int) -> None:
    assert refused(line + b"\r\nHost: h\r\n\r\n") == status


@pytest.mark.parametrize("method", [b"FOO", b"PROPFIND", b"get", b"M-SEARCH", b"a!b"])
def test_any_token_is_a_method(method: bytes) -> None:
    assert get(line=method + b" / HTTP/1.1").terms.method == method


@pytest.mark.parametrize(
    "target", [b"/%2F/%2e%2e//a;b?", b"/%00%0d%0a", b'/a"<>[]\\^`{|}', b"/a?b?c", b"//evil", b"/a%zz"]
)
def test_a_target_is_forwarded_as_it_is(target: bytes) -> None:
    parsed = get(line=b"GET " + target + b" HTTP/1.1")
    assert parsed.target == target
    assert parsed.path == target.split(b"?")[0]


@pytest.mark.parametrize(
    ("line", "host", "path", "target"),
    [
        (b"GET http://A.b:80/c?d HTTP/1.1", b"A.b:80", b"/c", b"/c?d"),
        (b"GET HTTPS://a HTTP/1.1", b"a", b"/", b"/"),
        (b"GET http://a?x=/ HTTP/1.1", b"a", b"/", b"/?x=/"),
        (b"OPTIONS http://a HTTP/1.1", b"a", b"/", b"*"),
        (b"OPTIONS * HTTP/1.1", b"h", b"/", b"*"),
    ],
)
def test_the_target_says_where_to(line: bytes, host: bytes, path: bytes, target: bytes) -> None:
    parsed = get(line=line)
    assert (parsed.terms.host, parsed.path, parsed.target) == (host, path, target)
    assert parsed.kept == b"Host: " + host + b"\r\n"


@pytest.mark.parametrize(
    "host", [b"", b"u@h", b"h/p", b"a,b", b"a b", b"h:80:80", b"h:x", b"[::1", b"h?", b"a\\b", b"%zz"]
)
def test_a_malformed_host_is_refused(host: bytes) -> None:
    assert refused(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == 400


@pytest.mark.parametrize("host", [b"h", b"H.example.", b"h:8080", b"h:", b"[::1]:80", b"10.0.0.1", b"a_b", b"%41"])
def test_a_well_formed_host_is_accepted(host: bytes) -> None:
    assert request(b"GET / HTTP/1.1\r\nhOST:" + host + b"\r\n\r\n").terms.host == host


def test_there_is_one_host_unless_the_client_is_old() -> None:
    assert refused(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400
    assert request(b"GET / HTTP/1.0\r\n\r\n").terms.host == b""


@pytest.mark.parametrize(
    "line",
    [
        b"A : b",
        b" A: b",
        b"\tA: b",
        b"A",
        b": b",
        b"A@: b",
        b"A\x00: b",
        b"A: b\x00",
        b"A: b\rc",
        b"A: b\n c",
        b"A\xe9: b",
        b"A: b\x0b",
        b"A: b\x7f",
    ],
)
def test_a_malformed_field_line_is_refused(line: bytes) -> None:
    assert refused(b"GET / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n") == 400
    assert refused(b"GET / HTTP/1.1\r\n" + line + b"\r\nHost: h\r\n\r\n") == 400
    with pytest.raises(Refusal):
        response(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")


def test_fields_keep_their_order_spelling_and_number() -> None:
    parsed = get(b"x-B: 1", b"Content-Type:a", b"X-b:\t 2 \t", b"Content-Type: b", b"E:", b"O: \x80\xffz")
    assert (
        parsed.kept == b"Host: h\r\nx-B: 1\r\nContent-Type: a\r\nX-b: 2\r\nContent-Type: b\r\nE: \r\nO: \x80\xffz\r\n"
    )
    assert (parsed.fields[3].name, parsed.fields[3].value) == (b"X-b", b"2")


@pytest.mark.parametrize(
    "value",
    [
        b"-1",
        b"+5",
        b"0x5",
        b"5_0",
        b"5 5",
        b"",
        b"5;",
        b"5, 5",
        b"18446744073709551616",
        b"9223372036854775808",
        "٥".encode(),
        b"5\xa0",
        b"1e3",
    ],
)
def test_a_content_length_is_digits(value: bytes) -> None:
    assert refused(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + value + b"\r\n\r\n") == 400
    with pytest.raises(Refusal):
        response(b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\n")


def test_bodies_of_requests() -> None:
    assert (get().terms.body, get(b"Content-Length: 0").terms.body) == ("none", "none")
    sized = get(b"Content-Length: 0012")
    assert (sized.terms.body, sized.terms.length) == ("length", 12)
    assert get(b"Content-Length: 9223372036854775807").terms.length == 2**63 - 1
    assert get(b"Content_Length: 7").terms.body == "none"
    for coding in (b"chunked", b"Chunked", b"CHUNKED "):
        chunked = get(b"Transfer-Encoding: " + coding)
        assert (chunked.terms.body, chunked.terms.tail) == ("chunked", b"Transfer-Encoding: chunked\r\n")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([b"Content-Length: 5", b"Content-Length: 5"], 400),
        ([b"Content-Length: 5", b"Content-Length: 6"], 400),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding: xchunked"], 400),
        ([b"Transfer-Encoding: chunked, chunked"], 400),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding: , chunked"], 400),
        ([b"Transfer-Encoding: chunked ,"], 400),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b"Transfer-Encoding: chunked\x0c"], 400),
        ([b"Transfer-Encoding:"], 400),
    ],
)
def test_ambiguous_framing_is_refused(fields: list[bytes], status: int) -> None:
    assert refused(b"POST / HTTP/1.1\r\nHost: h\r\n" + b"\r\n".join(fields) + b"\r\n\r\n") == status


def test_an_old_client_has_no_transfer_coding() -> None:
    assert refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("line", "field", "persists"),
    [
        (b"GET / HTTP/1.1", b"A: b", True),
        (b"GET / HTTP/1.2", b"A: b", True),
        (b"GET / HTTP/1.1", b"Connection: Close", False),
        (b"GET / HTTP/1.1", b"Connection: keep-alive, close", False),
        (b"GET / HTTP/1.0", b"A: b", False),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive", True),
        (b"GET / HTTP/1.0", b"Proxy-Connection: keep-alive", False),
    ],
)
def test_whether_the_connection_persists(line: bytes, field: bytes, persists: bool) -> None:
    assert get(field, line=line).terms.keep_alive is persists


def test_max_forwards_counts_for_options_only() -> None:
    options = b"OPTIONS / HTTP/1.1"
    assert get(b"Max-Forwards: 0", line=options).terms.local_status == 200
    assert b"Max-Forwards: 9\r\n" in get(b"Max-Forwards: 10", line=options).kept
    assert b"Max-Forwards: 0\r\n" in get(b"Max-Forwards: 0").kept
    with pytest.raises(Refusal):
        get(b"Max-Forwards: x", line=options)


def test_hop_by_hop_fields_of_a_request_stop_here() -> None:
    parsed = get(
        b"Connection: X-Mine, Host, Content-Length, Cookie, keep-alive",
        b"X-Mine: 1",
        b"Cookie: c",
        b"Keep-Alive: 1",
        b"Proxy-Connection: x",
        b"TE: gzip",
        b"Trailer: x",
        b"Upgrade: x",
        b"X-Forwarded-For: spoofed",
        b"X_Forwarded_For: spoofed",
        b"Transfer_Encoding: chunked",
        b"A_b: kept",
        b"Content-Length: 3",
        line=b"POST / HTTP/1.1",
    )
    assert parsed.kept == b"Host: h\r\nCookie: c\r\nA_b: kept\r\nContent-Length: 3\r\n"
    assert parsed.terms.tail == b""
    assert parsed.terms.forwarded == ((b"x-forwarded-for", b"spoofed"),)


def test_upgrades_that_may_be_asked_for() -> None:
    asked = get(b"Connection: Upgrade", b"Upgrade: websocket, h2c, foo/1")
    assert asked.terms.tail == b"Upgrade: websocket, foo/1\r\nConnection: Upgrade\r\n"
    assert get(b"Upgrade: websocket").terms.upgrade == b""


@pytest.mark.parametrize(
    ("head", "body", "length", "persists"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "length", 3, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", "chunked", 0, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "chunked", 0, False),
        (b"HTTP/1.1 200 OK\r\n\r\n", "close", 0, True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "length", 3, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n", "length", 3, True),
        (b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", "none", 3, True),
        (b"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", "none", 3, True),
        (b"HTTP/1.1 103 Hints\r\n\r\n", "none", 0, True),
    ],
)
def test_framing_of_responses(head: bytes, body: str, length: int, persists: bool) -> None:
    parsed = response(head)
    assert (parsed.body, parsed.length, parsed.keep_alive) == (body, length, persists)


def test_a_response_goes_on_without_what_is_not_the_clients() -> None:
    head = (
        b"HTTP/1.0 200 Fine \xe9\r\nserver: s\r\nConnection: x-a\r\nX-A: 1\r\nSet-Cookie: a\r\nETag: e\r\n"
        b"Set-Cookie: b\r\nKeep-Alive: 5\r\nUpgrade: h2\r\nContent-Length: 3\r\n\r\n"
    )
    assert response(head).head == (
        b"HTTP/1.1 200 Fine \xe9\r\nserver: s\r\nSet-Cookie: a\r\nETag: e\r\nSet-Cookie: b\r\nContent-Length: 3\r\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 99 x",
        b"HTTP/1.1 600 x",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/2.0 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"ICY 200 OK",
        b"HTTP/1.1 +20 OK",
    ],
)
def test_a_malformed_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(Refusal):
        response(line + b"\r\n\r\n")


def test_a_head_is_found_however_it_comes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    for cut in range(len(head)):
        assert head_end(head[:cut], 0, LIMITS, is_request=True) == 0
        assert head_end(head + b"body\r\n\r\n", cut, LIMITS, is_request=True) == len(head)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 8300, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 33_000, 431),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    ],
)
def test_what_cannot_become_a_head_is_refused_before_its_end(data: bytes, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        head_end(data, 0, LIMITS, is_request=True)
    assert caught.value.status == status


TOKEN = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8).map(str.encode)
VALUE = st.binary(max_size=12).map(lambda value: bytes(octet for octet in value if octet == 9 or 32 <= octet != 127))
FIELDS = st.lists(st.tuples(TOKEN, VALUE), max_size=6)


@given(TOKEN, st.text("/abc%?=&;~", max_size=10).map(str.encode), FIELDS)
@settings(max_examples=150, deadline=None)
def test_h11_reads_what_we_read(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    head = method + b" /" + target + b" HTTP/1.1\r\nHost: h\r\n"
    head += b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\n"
    parsed = request(head)
    server = h11.Connection(h11.SERVER)
    server.receive_data(head)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert (parsed.terms.method, parsed.target) == (event.method, event.target)
    assert raw(parsed) == event.headers.raw_items()


@given(st.binary(max_size=40), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_nothing_is_accepted_that_h11_refuses(junk: bytes, at: int) -> None:
    """Octets anywhere in a good head: we refuse, or h11 accepts it too and sees the same body."""
    good = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n"
    head = good[:at] + junk + good[at:]
    try:
        end = head_end(head, 0, LIMITS, is_request=True)
        parsed = request(head[:end])
    except Refusal:
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(head[:end])
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert raw(parsed) == event.headers.raw_items()


@given(FIELDS, st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_what_we_send_on_reads_back_as_the_same(fields: list[tuple[bytes, bytes]], length: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % length
    head += b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"
    once = request(head)
    again = request(b"POST / HTTP/1.1\r\n" + once.kept + once.terms.tail + b"\r\n")
    assert (again.kept, again.terms.body, again.terms.length) == (once.kept, once.terms.body, once.terms.length)
