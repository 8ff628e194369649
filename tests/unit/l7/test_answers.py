"""Answers of our own, and how they are said to an HTTP/1 client."""

from __future__ import annotations

from dataplane.l7.answers import answer
from dataplane.l7.codec import parse_request
from dataplane.l7.headers import downstream_head
from dataplane.l7.limits import Limits


def test_an_answer_is_complete() -> None:
    response, body = answer(503, "none")
    assert response.head == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
    )
    assert (response.status, response.body, response.length, body) == (503, "length", 5, b"none\n")


def test_it_says_whether_the_connection_persists() -> None:
    response, _ = answer(503, "none")
    request = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Limits())
    lines = response.head + b"Date: d\r\n"
    assert downstream_head(response, request, b"Date: d\r\n", framing=b"", closing=False) == lines + b"\r\n"
    last = downstream_head(response, None, b"Date: d\r\n", framing=b"", closing=True)
    assert last == lines + b"Connection: close\r\n\r\n"


def test_an_old_client_is_told_that_it_may_go_on() -> None:
    request = parse_request(b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Limits())
    head = downstream_head(answer(404, "none")[0], request, b"", framing=b"", closing=False)
    assert head.endswith(b"Content-Length: 5\r\nConnection: keep-alive\r\n\r\n")


def test_the_methods_are_named_where_one_is_refused() -> None:
    assert b"Allow: GET, " in answer(405, "no")[0].head
