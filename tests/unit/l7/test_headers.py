"""What is added for the other side: forwarding fields by policy, Via, connection and framing lines."""

from __future__ import annotations

from dataplane.l7.codec import parse_request, parse_response
from dataplane.l7.events import Request
from dataplane.l7.headers import TERMS_MAX, Edge, Forwarding, downstream_head, trailer_lines
from dataplane.l7.limits import Limits

LIMITS = Limits()
DATE = b"Date: now\r\n"


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1\r\nHost: h") -> Request:
    return parse_request(b"\r\n".join([line, *fields]) + b"\r\n\r\n", LIMITS)


def edge(forwarding: Forwarding, client: bytes = b"192.0.2.7", via: bytes = b"proxy") -> Edge:
    return Edge(b"https", client, b"127.0.0.1", 8443, forwarding, via)


SPOOFED = (
    b"X-Forwarded-For: 10.0.0.1",
    b"X-Real-IP: 10.0.0.2",
    b"X-Forwarded-Proto: http",
    b"Forwarded: for=10.0.0.3",
    b"X-Forwarded-For: 10.0.0.4",
)


def test_replace_believes_nobody() -> None:
    head = edge("replace").upstream_head(request(*SPOOFED))
    assert head == (
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Port: 8443\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\nVia: 1.1 proxy\r\n\r\n"
    )


def test_append_continues_what_a_trusted_sender_said() -> None:
    head = edge("append").upstream_head(request(*SPOOFED))
    assert b"X-Forwarded-For: 10.0.0.1, 10.0.0.4, 192.0.2.7\r\n" in head
    assert b"X-Real-IP: 10.0.0.2\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head
    assert b"X-Forwarded-Port: 8443\r\nX" in head
    assert b'Forwarded: for=10.0.0.3, for=192.0.2.7;host="h";proto=https\r\n' in head


def test_append_quotes_ipv6() -> None:
    head = edge("append", client=b"::1").upstream_head(request(b"Forwarded: for=a"))
    assert b'Forwarded: for=a, for="[::1]";host="h";proto=https\r\n' in head


def test_none_passes_on_what_there_is() -> None:
    head = edge("none", via=b"").upstream_head(request(*SPOOFED[:2]))
    assert head == b"GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: 10.0.0.1\r\nx-real-ip: 10.0.0.2\r\n\r\n"


def test_the_origin_always_gets_a_host() -> None:
    head = edge("replace").upstream_head(request(line=b"GET / HTTP/1.0"))
    assert head.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n")
    assert b"Via: 1.0 proxy\r\n" in head


def test_via_is_appended_to_theirs() -> None:
    head = edge("replace").upstream_head(request(b"Via: 1.0 first"))
    assert head.index(b"Via: 1.0 first\r\n") < head.index(b"Via: 1.1 proxy\r\n")


def test_what_an_edge_remembers_is_what_it_would_say_anew() -> None:
    shared = edge("append")
    for number in range(3 * TERMS_MAX):
        for asked in (request(b"X-Real-IP: %d" % number), request(*SPOOFED), request(line=b"GET / HTTP/1.0")):
            assert shared.upstream_head(asked) == edge("append").upstream_head(asked)
            assert len(shared._known) <= TERMS_MAX


def test_the_clients_head_says_what_we_do() -> None:
    response = parse_response(b"HTTP/1.1 200 OK\r\nETag: e\r\n\r\n", LIMITS)
    old = request(line=b"GET / HTTP/1.0")
    plain = b"HTTP/1.1 200 OK\r\nETag: e\r\nDate: now\r\n"
    assert downstream_head(response, request(), DATE, framing=b"", closing=False) == plain + b"\r\n"
    assert downstream_head(response, request(), DATE, framing=b"F: f\r\n", closing=True) == (
        plain + b"F: f\r\nConnection: close\r\n\r\n"
    )
    assert downstream_head(response, old, DATE, framing=b"", closing=False) == plain + b"Connection: keep-alive\r\n\r\n"


def test_the_origins_date_stands() -> None:
    response = parse_response(b"HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 1\r\n\r\n", LIMITS)
    assert b"now" not in downstream_head(response, request(), DATE, framing=b"", closing=False)
    assert response.plain == b"HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 1\r\n\r\n"
    assert parse_response(b"HTTP/1.1 200 OK\r\ndate: then\r\n\r\n", LIMITS).plain == b""  # its end must be said


def test_trailers_that_decide_something_are_dropped() -> None:
    trailers = tuple(
        (name, b"v") for name in (b"X-Sum", b"Host", b"content-length", b"Authorization", b"TE", b"Set-Cookie")
    )
    assert trailer_lines((*trailers, (b"Content_Length", b"1"), (b"X_Real_IP", b"1"))) == b"X-Sum: v\r\n"
