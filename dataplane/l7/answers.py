"""Answers of our own: short, plain text, complete, and honest about whether the connection persists."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from dataplane.l7.events import Request

ALLOWED: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def answer(status: int, text: str, request: Request | None, date: bytes, *, closing: bool) -> bytes:
    """The whole answer; `request` None: it could not be parsed. 405 and OPTIONS say which methods there are."""
    body = b"" if status == HTTPStatus.OK else text.encode() + b"\n"
    lines = [
        b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode()),
        date,
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body),
    ]
    if status in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.OK):
        lines.append(b"Allow: %b\r\n" % ALLOWED)
    if closing:
        lines.append(b"Connection: close\r\n")
    elif request is not None and not request.terms.minor:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if request is None or not request.terms.is_head:
        lines.append(body)
    return b"".join(lines)
