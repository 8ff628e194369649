"""How an HTTP/1 client gets its answer: framed anew, and told whether its connection persists.

A length stays a length, everything else becomes chunks for HTTP/1.1 and ends with the connection for HTTP/1.0. Whether
the connection persists is said in the head and then kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dataplane.l7.chunked import chunk
from dataplane.l7.events import Fields, Framing, Request, Response
from dataplane.l7.headers import downstream_head, last_chunk

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy

CHUNKED_LINE: Final = b"Transfer-Encoding: chunked\r\n"


class Writer(Protocol):
    """What is needed of a transport here."""

    def write(self, data: bytes, /) -> None: ...


class Answering:
    """The half of a client's connection that writes. `closes`: the answer under way, or the next one, is the last;
    `ends_by_close`: the client sees the answer's end by our closing.
    """

    __slots__ = ("_chunks", "closes", "ends_by_close", "proxy", "transport")

    transport: Writer
    proxy: HttpProxy
    closes: bool
    ends_by_close: bool
    _chunks: bool

    def answer(self, response: Response, body: bytes, request: Request | None, complete: bool) -> bool:
        """A whole answer, in one write."""
        if request is None:
            closing, bodiless = True, False
        else:
            terms = request.terms
            if response.plain and terms.minor and terms.keep_alive and complete and not self.closes:
                self.transport.write(response.plain + body)
                return True
            closing, bodiless = not complete or self._closes(request), terms.is_head
        line = b"" if bodiless or response.body != "close" else b"Content-Length: %d\r\n" % len(body)
        head = downstream_head(response, request, self.proxy.date, framing=line, closing=closing)
        self.transport.write(head if bodiless else head + body)
        return not closing

    def begin_answer(self, response: Response, framing: Framing, request: Request, *, complete: bool) -> bool:
        """The head of a final answer."""
        terms = request.terms
        unsized = framing in ("chunked", "close")
        self._chunks = unsized and terms.minor == 1
        self.ends_by_close = unsized and not terms.minor
        closing = self.ends_by_close or not complete or self._closes(request)
        line = b""
        if self._chunks or (terms.is_head and terms.minor and response.body == "chunked"):
            line = CHUNKED_LINE
        elif framing == "none" and response.body == "close" and not terms.is_head:
            line = b"Content-Length: 0\r\n"
        self.transport.write(downstream_head(response, request, self.proxy.date, framing=line, closing=closing))
        return not closing

    def send(self, data: bytes) -> None:
        """A piece of its body."""
        self.transport.write(chunk(data) if self._chunks else data)

    def end_answer(self, trailers: Fields, request: Request) -> None:
        """The answer is complete."""
        if self._chunks:
            self.transport.write(last_chunk(trailers if request.terms.trailers else ()))

    def interim(self, response: Response, request: Request) -> None:
        """A 1xx: passed on to whoever can understand it (RFC 9110 15.2)."""
        if request.terms.minor:
            self.transport.write(response.head + b"\r\n")

    def broken_by(self, code: int) -> None:
        """HTTP/1 has no word for it."""

    def _closes(self, request: Request) -> bool:
        return self.closes or not request.terms.keep_alive
