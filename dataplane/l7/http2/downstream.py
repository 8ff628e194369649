"""A client's HTTP/2 connection: each stream is the client's side of a conversation of its own.

Back-pressure is the windows': data of a request is acknowledged when it was passed on, data of an answer waits in the
outbox until the client opens its window, and a stream whose line is full stops its endpoint from being read. So a slow
stream holds up nothing but itself.

Errors are a stream's wherever they can be. A malformed request is answered (400 and the like) and then reset; an answer
that cannot be completed is reset, so that it never looks complete; an answer that is complete before its request is
followed by RST_STREAM with NO_ERROR (RFC 9113 8.1).

Draining says GOAWAY twice (RFC 9113 6.8): first that no more should come, then, after a round trip, which was the last.
Requests that crossed the first are served, and what crosses the second the client knows to be unserved. A connection
without streams ends the same way when it was idle for too long. PING does not count as being in use, as in nginx.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset, TrailersReceived

from dataplane.l7.events import Refusal, Request
from dataplane.l7.headers import Edge
from dataplane.l7.http2 import translate
from dataplane.l7.http2.client_stream import ClientStream
from dataplane.l7.http2.connection import Connection
from dataplane.l7.http2.link import LAST_STREAM, STREAMS_MAX, Headers

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy
    from dataplane.l7.site import Site


class Http2Downstream(Connection):
    """A client's connection."""

    __slots__ = (
        "_client",
        "_edge",
        "_goodbye",
        "_last_ended",
        "_last_headers",
        "_last_request",
        "_leaving",
        "_left",
        "site",
        "streams",
    )

    _edge: Edge
    _last_request: Request

    def __init__(self, proxy: HttpProxy, site: Site, client: str = "") -> None:
        self._client = client
        super().__init__(proxy, is_client=False)
        self.site = site
        self.streams: dict[int, ClientStream] = {}
        self._leaving = False  # the first GOAWAY is out, or the client's is in
        self._goodbye = False  # the last one is
        self._last_headers: Headers | None = None  # clients repeat themselves, and the decoder remembers blocks
        self._last_ended = False
        self._left = 0  # what the transport had not taken when that was asked last
        self.handlers = {
            RequestReceived: self._request,
            DataReceived: self._data,
            StreamEnded: self._stream_ended,
            TrailersReceived: self._trailers,
            StreamReset: self._reset,
            ConnectionTerminated: self._terminated,
        }

    def __repr__(self) -> str:
        return f"<Http2Downstream {len(self.streams)} streams, {self.outbox!r}{', leaving' if self._leaving else ''}>"

    # the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        proxy, site = self.proxy, self.site
        self._edge = site.edge(transport, self._client, 2)
        proxy.clients.add(self)
        super().connection_made(transport)
        if len(proxy.clients) > proxy.limits.connections_max:
            proxy.refused += 1
            self._end(0)
        elif proxy.draining:
            self.drain()
        else:
            self.set_deadline(proxy.clock() + proxy.limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._lose_all("client_abort")
        self.proxy.client_left(self)
        self.proxy.wheel.forget(self)
        self.handlers = {}

    # what the client sent

    def _request(self, event: RequestReceived) -> None:
        id = event.stream_id
        if len(self.streams) >= STREAMS_MAX or self._goodbye:
            self._refuse_stream(id)
            return
        stream = self.streams[id] = ClientStream(self, id, self._edge)
        headers, ended = event.headers, event.stream_ended is not None
        if headers is self._last_headers and ended is self._last_ended:
            stream.begin(self._last_request, ended=ended)
            return
        try:
            request = self._parse(headers, ended=ended)
        except Refusal as refusal:
            self.proxy.counts["malformed"] += 1
            stream.refuse(refusal)
            return
        self._last_headers, self._last_ended, self._last_request = headers, ended, request
        stream.begin(request, ended=ended)

    def _parse(self, headers: Headers, *, ended: bool) -> Request:
        head = translate.request_head(headers, ended=ended)
        if len(head) > self.proxy.limits.head_max:
            raise Refusal(431, f"the head is longer than {self.proxy.limits.head_max} bytes")
        return self.proxy.requests.parse(head)

    def _refuse_stream(self, id: int) -> None:
        """Not looked at: the client may ask again (RFC 9113 8.7)."""
        self.link.cut(id, ErrorCodes.REFUSED_STREAM)
        if not self._goodbye:
            self.proxy.counts["refused_stream"] += 1
            self._count_reset()

    def _count_reset(self) -> None:
        if not self.guard.resets(1, self.proxy.clock()):
            self.flooded("too many streams had to be reset")

    def _data(self, event: DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            self.link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        else:
            stream.data(event.data, event.flow_controlled_length, ended=event.stream_ended is not None)

    def _stream_ended(self, event: StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.request_ended()

    def _trailers(self, event: TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            stream.trailers = translate.trailers(event.headers)
        except Refusal as refusal:
            self.proxy.counts["malformed"] += 1
            stream.refuse(refusal)

    def _reset(self, event: StreamReset) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        if not event.remote_reset:  # the link did, for what the client sent
            self.proxy.counts["malformed"] += 1
        stream.lost("client_abort" if event.remote_reset else "bad_request")

    def _terminated(self, event: ConnectionTerminated) -> None:
        """The client goes: it wants the answers that it waits for."""
        self._leaving = self._goodbye = True
        self._end_if_done()

    # what becomes of streams

    def forget(self, stream: ClientStream, code: ErrorCodes | None) -> None:
        """The stream is over; `code` is what to reset it with if it is not so for the client."""
        self.outbox.drop(stream)
        self.streams.pop(stream.id, None)
        self.proxy.wheel.forget(stream)
        if self.ended:
            return
        if code is not None:
            self.link.cut(stream.id, code)
            if code is ErrorCodes.PROTOCOL_ERROR:
                self._count_reset()
            self.touch()
        if not self.streams and not self.ended:
            if not self._leaving:
                self.set_deadline(self.proxy.clock() + self.proxy.limits.idle_timeout_s)
            self._end_if_done()

    def _lose_all(self, outcome: str) -> None:
        for stream in tuple(self.streams.values()):
            stream.lost(outcome)

    def broken(self, why: str) -> None:
        self._lose_all("bad_request")
        self._linger()

    # the end

    def drain(self) -> None:
        """No request after those under way."""
        if self._leaving or self.ended:
            return
        self._leaving = True
        self.link.go_away(LAST_STREAM)
        self.touch()
        self.set_deadline(self.proxy.clock() + self.proxy.limits.drain_idle_s)

    def cut(self, outcome: str) -> None:
        """At once."""
        self._lose_all(outcome)
        self.transport.abort()

    def _end_if_done(self) -> None:
        if self._goodbye and not self.streams and not self.ended:
            self._end(self.last_stream())

    def _end(self, last: int) -> None:
        """Say goodbye and close when the client has read it."""
        self._leaving = self._goodbye = True
        self.link.go_away(last)
        self._pump()
        self.ended = True
        self._linger()

    def _linger(self) -> None:
        """Closing with unread bytes would reset the connection and with it what the client has not read yet."""
        self.set_deadline(self.proxy.clock() + self.proxy.limits.linger_timeout_s)
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def expired(self, now: float) -> None:
        if now < self.deadline:
            return  # another's expiry has moved it
        if self.ended:
            if self._is_taking(now):
                return
            self.transport.abort()
        elif self._leaving and not self._goodbye:
            self._goodbye = True
            self.link.go_away(self.last_stream())
            self.touch()
            self._end_if_done()
        elif not self.streams:
            self._end(self.last_stream())

    def _is_taking(self, now: float) -> bool:
        """Whether the client has taken anything of what is buffered since this was asked last; if so, wait on."""
        left = self.transport.get_write_buffer_size()
        before, self._left = self._left, left
        if not left or (before and left >= before):
            return False
        self.set_deadline(now + self.proxy.limits.send_timeout_s)
        return True
