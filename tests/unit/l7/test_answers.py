"""Answers of our own."""

from __future__ import annotations

from dataplane.l7.answers import answer
from dataplane.l7.codec import parse_request
from dataplane.l7.limits import Limits


def test_an_answer_is_complete_and_says_whether_the_connection_persists() -> None:
    request = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Limits())
    text = b"HTTP/1.1 503 Service Unavailable\r\nDate: d\r\n"
    text += b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
    assert answer(503, "none", request, b"Date: d\r\n", closing=False) == text + b"\r\nnone\n"
    assert answer(503, "none", None, b"Date: d\r\n", closing=True) == text + b"Connection: close\r\n\r\nnone\n"


def test_an_old_client_is_told_that_it_may_go_on() -> None:
    request = parse_request(b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Limits())
    data = answer(404, "none", request, b"", closing=False)
    assert data.endswith(b"Content-Length: 5\r\nConnection: keep-alive\r\n\r\n")


def test_the_methods_are_named_where_one_is_refused() -> None:
    assert b"Allow: GET, " in answer(405, "no", None, b"", closing=True)
