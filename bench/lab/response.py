"""A client's view of an HTTP/1.1 response, fed as it arrives. Pure; only what a load generator needs of RFC 9112.

Bodies framed by Content-Length, by chunks, or by the connection's end. Responses to HEAD and to CONNECT are never
asked for.
"""

from __future__ import annotations

import re

HEAD_MAX = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r\n)")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r]*\bclose\b", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")


class Response:
    """`feed` until `complete`; then `status`, `body` (its first `body_max` bytes) and `keeps_alive` hold."""

    __slots__ = (
        "_body_bytes",
        "_body_max",
        "_buffer",
        "_chunked",
        "_length",
        "body",
        "complete",
        "keeps_alive",
        "status",
    )

    def __init__(self, body_max: int = 4096) -> None:
        self._buffer = b""
        self._body_max = body_max
        self._body_bytes = 0
        self._length = -1  # -1: until the connection ends
        self._chunked = False
        self.status = 0
        self.body = b""
        self.keeps_alive = True
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Takes what arrived; raises ValueError for bytes that are no response."""
        self._buffer += data
        if not self.status and not self._head():
            return
        if self._chunked:
            self._chunks()
        elif self._length < 0:
            self._take(self._buffer)
            self._buffer = b""
        elif self._body_bytes + len(self._buffer) >= self._length:
            self._take(self._buffer)
            self.complete = True
        else:
            self._take(self._buffer)
            self._buffer = b""

    def end(self) -> None:
        """The connection ended: completes a body that has no other frame."""
        if self.status and not self._chunked and self._length < 0:
            self.complete = True

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_MAX:
                raise ValueError("response head too long")
            return False
        head, self._buffer = self._buffer[: end + 2], self._buffer[end + 4 :]
        line = _STATUS.match(head)
        if line is None:
            raise ValueError(f"no status line: {head[:40]!r}")
        status = int(line.group(1))
        if status < 200:  # an interim response: the real one follows
            return self._head() if self._buffer else False
        self.status = status
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        if status in (204, 304):
            self._length = 0
        elif length is not None and not self._chunked:
            self._length = int(length.group(1))
        framed = self._chunked or self._length >= 0
        self.keeps_alive = framed and _CLOSE.search(head) is None and head.startswith(b"HTTP/1.1")
        return True

    def _chunks(self) -> None:
        while True:
            line = _CHUNK.match(self._buffer)
            if line is None:
                return
            size = int(line.group(1), 16)
            if size == 0:
                if self._buffer.endswith(b"\r\n\r\n"):
                    self.complete = True
                return
            if len(self._buffer) < line.end() + size + 2:
                return
            self._take(self._buffer[line.end() : line.end() + size])
            self._buffer = self._buffer[line.end() + size + 2 :]

    def _take(self, data: bytes) -> None:
        self._body_bytes += len(data)
        room = self._body_max - len(self.body)
        if room > 0:
            self.body += data[:room]
