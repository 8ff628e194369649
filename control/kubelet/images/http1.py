"""A minimal HTTP/1.1 server for the programs that stand in for images: small, quick to import, cheap per request.

These programs are the backends of every experiment and benchmark, so they must cost little beside the proxy that is
measured: no framework, no header objects, one `Protocol` a connection. A request's head is parsed once and remembered
by its bytes (`HEADS_MAX` heads; load generators repeat themselves), so that a repeated GET is one dict look-up and
one write. Strict where framing is at stake (RFC 9112 section 6: a length and chunks together, a bad length, a bad
chunk are 400 and close), plain everywhere else. Requests of a connection are answered in order; while one is being
answered, later bytes wait in a bounded buffer and reading pauses above it.

A handler gets the request and the body (its first `BODY_KEPT_MAX` bytes; `body_bytes` counts all) and returns a
`Response`, or an awaitable of one for slow answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl

HEAD_MAX = 64 * 1024  # bytes; larger heads get 431
BODY_KEPT_MAX = 64 * 1024  # bytes of a request body that a handler sees
BUFFER_MAX = 256 * 1024  # unread bytes of a connection before reading pauses
HEADS_MAX = 1024  # remembered request heads
WRITE_CHUNK = 64 * 1024

REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """The client's bytes are no HTTP request that may be answered; the connection is closed after `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request:
    """A parsed head. Shared between equal requests: `memo` may hold what a handler derived from it, nothing else."""

    __slots__ = ("chunked", "close", "expects", "headers", "length", "memo", "method", "path", "query", "target")

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], *, http10: bool) -> None:
        self.method = method
        self.target = target
        if target.startswith(("http://", "https://")):
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        self.path, _, query = target.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        self.headers = headers
        self.length = 0
        self.chunked = False
        self.expects = False
        self.memo: object = None
        connection = ""
        lengths = set()
        for name, value in headers:
            name = name.lower()
            if name == "content-length":
                lengths.add(value)
            elif name == "transfer-encoding":
                if value.lower() != "chunked" or self.chunked:
                    raise BadRequest(501, f"transfer-encoding {value!r} is not supported")
                self.chunked = True
            elif name == "connection":
                connection = value.lower()
            elif name == "expect":
                self.expects = value.lower() == "100-continue"
        if lengths:
            if self.chunked or len(lengths) > 1:
                raise BadRequest(400, "ambiguous message length")
            text = lengths.pop()
            if not (text.isascii() and text.isdigit()):
                raise BadRequest(400, "bad content-length")
            self.length = int(text)
        self.close = "keep-alive" not in connection if http10 else "close" in connection

    def header(self, name: str) -> str:
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), "")


class Response:
    """An answer: `body` whole, or `filler` (a total size, sent as the repeated body under back-pressure)."""

    __slots__ = ("body", "chunked", "close", "filler", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes | str = b"",
        content_type: str = "text/plain; charset=utf-8",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = (("Content-Type", content_type), *headers)
        self.filler = 0
        self.chunked = False
        self.close = False


Handler = Callable[[Request, bytes, "Connection"], Response | bytes | Awaitable[Response]]


def parse_head(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[0].isalpha() or not parts[1]:
        raise BadRequest(400, "malformed request line")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "malformed header")
        headers.append((name, value.strip(" \t")))
    return Request(parts[0], parts[1], headers, http10=parts[2] == "HTTP/1.0")


def render_head(response: Response, length: int, *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif response.status >= 200 and response.status != 204:
        lines.append(f"Content-Length: {length}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Site:
    """What all connections of a program share: the handler, the remembered heads, who is connected, draining."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heads: dict[bytes, Request] = {}
        self.connections: set[Connection] = set()
        self.draining = False
        self.requests = 0
        self.in_flight = 0
        self.emptied: asyncio.Event | None = None

    def __call__(self) -> Connection:
        return Connection(self)

    def __repr__(self) -> str:
        return f"{len(self.connections)} connections, {self.in_flight} in flight, {self.requests} requests"

    def head(self, data: bytes) -> Request:
        request = self.heads.get(data)
        if request is None:
            if len(self.heads) >= HEADS_MAX:
                self.heads.clear()
            request = self.heads[data] = parse_head(data)
        return request

    async def drain(self) -> None:
        """From now on every answer says `Connection: close`; returns when all connections have ended."""
        self.draining = True
        self.emptied = asyncio.Event()
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            await self.emptied.wait()


class Connection(asyncio.Protocol):
    """One client. `feed` runs until the buffer holds no whole request or an answer is under way."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self.peer = ""
        self.buffer = b""
        self.request: Request | None = None  # whose body is being read or whose answer is under way
        self.body = b""
        self.body_bytes = 0
        self.remaining = 0  # bytes of the body, or of the current chunk, still to come
        self.chunk_state = ""  # size, data, end, trailer
        self.answering: asyncio.Task[None] | None = None
        self.writable: asyncio.Future[None] | None = None
        self.paused = False
        self.answered: Request | None = None  # a handler's own memory of this connection: whom it answered last,
        self.message = b""  # and how

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports are none of asyncio's classes
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if peer else ""
        self.site.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.site.connections.discard(self)
        if self.answering is not None:
            self.answering.cancel()
        if self.writable is not None and not self.writable.done():
            self.writable.cancel()
        if self.site.emptied is not None and not self.site.connections:
            self.site.emptied.set()

    def close_if_idle(self) -> None:
        if self.request is None and not self.buffer:
            self.transport.close()

    def pause_writing(self) -> None:
        self.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None

    def data_received(self, data: bytes) -> None:
        if self.buffer or self.request is not None:
            self.buffer += data
            if len(self.buffer) > BUFFER_MAX and self.answering is not None and not self.paused:
                self.paused = True
                self.transport.pause_reading()
        else:
            self.buffer = data
        if self.answering is None:
            self.feed()

    def feed(self) -> None:
        try:
            while self.answering is None and not self.transport.is_closing():
                if self.request is None and not self.read_head():
                    return
                assert self.request is not None
                if not self.read_body():
                    return
                self.answer(self.request)
        except BadRequest as error:
            self.site.heads.clear()
            response = Response(error.status, f"{error}\n")
            self.transport.write(render_head(response, len(response.body), close=True) + response.body)
            self.transport.close()

    def read_head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_MAX:
            if len(self.buffer) > HEAD_MAX:
                raise BadRequest(431, "request head is too large")
            return False
        request = self.site.head(self.buffer[:end])
        self.buffer = self.buffer[end + 4 :]
        self.request = request
        self.body, self.body_bytes, self.remaining = b"", 0, request.length
        self.chunk_state = "size" if request.chunked else ""
        if request.expects and (request.length or request.chunked) and not self.buffer:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def read_body(self) -> bool:
        """Takes what has arrived of the body; True when it is whole."""
        while self.chunk_state:
            if self.chunk_state == "data":
                self.take()
                if self.remaining:
                    return False
                self.chunk_state = "end"
            end = self.buffer.find(b"\r\n")
            if end < 0:
                if len(self.buffer) > HEAD_MAX:
                    raise BadRequest(400, "chunk line is too large")
                return False
            line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            self.next_chunk(line)
            if self.chunk_state == "":
                return True
        self.take()
        return self.remaining == 0

    def next_chunk(self, line: bytes) -> None:
        if self.chunk_state == "size":
            size = line.split(b";", 1)[0].strip()
            if not size or size.strip(b"0123456789abcdefABCDEF"):
                raise BadRequest(400, "bad chunk size")
            self.remaining = int(size, 16)
            self.chunk_state = "data" if self.remaining else "trailer"
        elif self.chunk_state == "end":
            if line:
                raise BadRequest(400, "bad chunk end")
            self.chunk_state = "size"
        elif not line:
            self.chunk_state = ""

    def take(self) -> None:
        if not self.remaining:
            return
        part, self.buffer = self.buffer[: self.remaining], self.buffer[self.remaining :]
        self.remaining -= len(part)
        self.body_bytes += len(part)
        if len(self.body) < BODY_KEPT_MAX:
            self.body += part[: BODY_KEPT_MAX - len(self.body)]

    def answer(self, request: Request) -> None:
        site = self.site
        site.requests += 1
        result = site.handler(request, self.body, self)
        if isinstance(result, bytes):  # a whole message, rendered ahead
            self.transport.write(result)
            self.request = None
        elif isinstance(result, Response) and not result.filler:
            self.send(request, result)
        else:
            site.in_flight += 1
            self.answering = asyncio.ensure_future(self.answer_later(request, result))

    def send(self, request: Request, response: Response) -> None:
        close = request.close or self.site.draining or response.close
        body = response.body
        head = render_head(response, len(body), close=close)
        if response.chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        self.transport.write(head if request.method == "HEAD" else head + body)
        self.request = None
        if close:
            self.transport.close()

    async def answer_later(self, request: Request, result: Response | Awaitable[Response]) -> None:
        try:
            response = result if isinstance(result, Response) else await result
            if response.filler:
                await self.send_filler(request, response)
            else:
                self.send(request, response)
        finally:
            self.site.in_flight -= 1
            self.answering = None
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        self.feed()

    async def send_filler(self, request: Request, response: Response) -> None:
        close = request.close or self.site.draining or response.close
        left = response.filler
        self.transport.write(render_head(response, left, close=close))
        piece = (response.body or b"x") * (WRITE_CHUNK // max(1, len(response.body)) + 1)
        while left and request.method != "HEAD":
            part = piece[: min(left, WRITE_CHUNK)]
            self.transport.write(b"%x\r\n%b\r\n" % (len(part), part) if response.chunked else part)
            left -= len(part)
            if self.writable is not None:
                await self.writable
        if response.chunked and request.method != "HEAD":
            self.transport.write(b"0\r\n\r\n")
        self.request = None
        if close:
            self.transport.close()
