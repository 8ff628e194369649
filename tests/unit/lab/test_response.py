"""The load generator's parser: frames, byte by byte, and what is no HTTP."""

from __future__ import annotations

import pytest

from bench.lab.response import Response

WHOLE = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", 200, b"", False),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
        200,
        b"hello!",
        True,
    ),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nno", 503, b"no", True),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
]


@pytest.mark.parametrize(("wire", "status", "body", "keeps_alive"), WHOLE)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_response_is_complete_with_its_last_byte(
    wire: bytes, status: int, body: bytes, keeps_alive: bool, piece: int
) -> None:
    response = Response()
    for at in range(0, len(wire), piece):
        assert not response.complete
        response.feed(wire[at : at + piece])
    assert (response.complete, response.status, response.body, response.keeps_alive) == (
        True,
        status,
        body,
        keeps_alive,
    )


def test_without_a_length_the_connections_end_completes_the_body() -> None:
    response = Response()
    response.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    assert not response.complete
    response.end()
    assert (response.complete, response.body, response.keeps_alive) == (True, b"half", False)


def test_a_truncated_body_never_completes() -> None:
    response = Response()
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")
    response.end()
    assert not response.complete


@pytest.mark.parametrize("wire", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 99 x\r\n\r\n", b"x" * 70_000])
def test_what_is_no_response_is_an_error(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"no status line|too long"):
        Response().feed(wire)
