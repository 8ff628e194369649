"""Answers of our own: short, plain text, and complete."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from dataplane.l7.events import Response

ALLOWED: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def answer(status: int, text: str) -> tuple[Response, bytes]:
    """The answer's head and body; 405 and OPTIONS say which methods there are."""
    body = text.encode() + b"\n" if text and status != HTTPStatus.OK else b""
    lines = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body)
    if status == HTTPStatus.NO_CONTENT:  # it has no content to describe, RFC 9110 8.6
        lines = b""
    if status in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.OK):
        lines += b"Allow: %b\r\n" % ALLOWED
    response = Response()
    response.status, response.reason, response.minor = status, HTTPStatus(status).phrase.encode(), 1
    response.body, response.length = "length", len(body)
    response.keep_alive, response.dated, response.upgrade = True, False, b""
    response.fields, response.plain = [], b""
    response.head = b"HTTP/1.1 %d %b\r\n%b" % (status, response.reason, lines)
    return response, body
