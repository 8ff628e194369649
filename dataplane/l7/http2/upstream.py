"""An endpoint's HTTP/2 connection, in the clear by prior knowledge (RFC 9113 3.3), whose streams are lent to exchanges.

An endpoint may end a stream before it has looked at it (REFUSED_STREAM), or the connection with a note from which
stream on it has not (GOAWAY): such requests are `unprocessed`, and may be repeated whatever their method (RFC 9113
8.7). Streams below that note finish, and the connection ends with the last of them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from dataplane.l7.events import Refusal, Response
from dataplane.l7.http2 import translate
from dataplane.l7.http2.connection import Connection
from dataplane.l7.http2.endpoint_stream import EndpointStream
from dataplane.l7.http2.link import LAST_STREAM, STREAMS_MAX
from dataplane.l7.rescue import Failure

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy
    from dataplane.pool.multiplexed import MultiplexedPool


class Http2Upstream(Connection):
    """A connection to an endpoint, owned by its pool."""

    __slots__ = ("_heard", "_next", "began", "leaving", "made", "pool", "served", "streams")

    def __init__(self, proxy: HttpProxy, pool: MultiplexedPool, began: float) -> None:
        super().__init__(proxy, is_client=True)
        self.pool = pool
        self.began = began
        self.made = False
        self.served = 0
        self.leaving = False  # no place on it is lent any more
        self.streams: dict[int, EndpointStream] = {}
        self._heard = began
        self._next = 1
        self.handlers = {
            ResponseReceived: self._response,
            InformationalResponseReceived: self._interim,
            DataReceived: self._data,
            TrailersReceived: self._trailers,
            StreamEnded: self._stream_ended,
            StreamReset: self._reset,
            ConnectionTerminated: self._terminated,
            RemoteSettingsChanged: self._settings,
        }

    def __repr__(self) -> str:
        return (
            f"<Http2Upstream {self.pool.address}:{self.pool.port}, {len(self.streams)} streams, {self.served} served>"
        )

    # the pool's calls

    @property
    def places(self) -> int:
        if self.leaving or self.ended or self._next > LAST_STREAM:
            return 0
        return min(STREAMS_MAX, self.link.remote_settings.max_concurrent_streams) - len(self.streams)

    def lend(self, *, reused: bool) -> EndpointStream:
        if not self.streams:
            self._heard = self.proxy.clock()  # nothing was asked before
        stream = self.streams[self._next] = EndpointStream(self, self._next, reused=reused)
        self._next += 2
        return stream

    def close_idle(self) -> None:
        self._leave()

    # the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.made = True
        self.proxy.upstreams.add(self)
        now = self.proxy.clock()
        self.set_deadline(now + self.pool.limits.idle_timeout_s)
        self.pool.dialed(self, now - self.began)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.proxy.upstreams.discard(self)
        self.proxy.wheel.forget(self)
        self.pool.lost(self)
        self._lose_all("reset_before_head")
        self.handlers = {}

    # what the endpoint sent

    def data_received(self, data: bytes) -> None:
        self._heard = self.proxy.clock()
        super().data_received(data)

    def _feed(self, data: bytes) -> None:
        super()._feed(data)
        for stream in tuple(self.streams.values()):
            stream.tell_head()

    def _response(self, event: ResponseReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None and (response := self._parse(stream, event)) is not None:
            stream.response(response, ended=event.stream_ended is not None)

    def _interim(self, event: InformationalResponseReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None and (response := self._parse(stream, event)) is not None and stream.user is not None:
            stream.user.interim(response)

    def _parse(
        self, stream: EndpointStream, event: ResponseReceived | InformationalResponseReceived
    ) -> Response | None:
        try:
            head = translate.response_head(event.headers)
            if len(head) > self.proxy.limits.head_max:
                raise Refusal(502, f"the head is longer than {self.proxy.limits.head_max} bytes")
            return self.proxy.responses.parse(head)
        except Refusal as refusal:
            self._nonsense(stream, refusal.why)
            return None

    def _nonsense(self, stream: EndpointStream, why: str) -> None:
        self.proxy.tell(logging.INFO, "%s:%d sent a bad response: %s", self.pool.address, self.pool.port, why)
        stream.fail("bad_response")

    def _data(self, event: DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            self.link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        else:
            stream.data(event.data, event.flow_controlled_length, ended=event.stream_ended is not None)

    def _trailers(self, event: TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            fields = translate.trailers(event.headers)
        except Refusal as refusal:
            self._nonsense(stream, refusal.why)
        else:
            stream.trailers(fields)

    def _stream_ended(self, event: StreamEnded) -> None:
        """What ended it has said so."""

    def _reset(self, event: StreamReset) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        if not event.remote_reset:
            self._nonsense(stream, "its frames contradict each other")
        elif event.error_code == ErrorCodes.REFUSED_STREAM and not stream.begun:
            stream.fail("unprocessed", stale=True)
        else:
            stream.tell_head()
            if stream.begun and stream.user is not None:
                stream.user.client.broken_by(int(event.error_code or 0))
            stream.fail("reset_in_body" if stream.begun else "reset_before_head")

    def _terminated(self, event: ConnectionTerminated) -> None:
        self.leaving = True
        self.pool.retire(self)
        last = event.last_stream_id or 0
        for stream in tuple(self.streams.values()):
            if stream.id > last:
                stream.fail("unprocessed", stale=True)
        self._end_if_done()

    def _settings(self, event: RemoteSettingsChanged) -> None:
        self.pool.freed(self)

    # what becomes of streams

    def acknowledge(self, id: int, size: int) -> None:
        """The endpoint may send as much again."""
        if not self.ended:
            self.link.acknowledge_received_data(size, id)
            self.touch()

    def forget(self, stream: EndpointStream, code: ErrorCodes | None) -> None:
        """The exchange is over; `code` is what to reset the stream with if it is not so for the endpoint."""
        if self.streams.pop(stream.id, None) is None:
            return
        self.outbox.drop(stream)
        if self.ended:
            return
        self.link.cut(stream.id, code if code is not None else ErrorCodes.CANCEL)
        self.touch()
        if code is ErrorCodes.CANCEL and self.proxy.clock() - self._heard >= self.pool.limits.connect_timeout_s:
            self.leaving = True  # silent since requests were sent: perhaps nobody is there any more
            self.pool.retire(self)
        if not self.streams:
            self.set_deadline(self.proxy.clock() + self.pool.limits.idle_timeout_s)
        if self.leaving:
            self._end_if_done()
        elif self.pool.waiting:
            self.pool.freed(self)

    def _lose_all(self, before_head: Failure) -> None:
        for stream in tuple(self.streams.values()):
            stream.fail("reset_in_body" if stream.begun else before_head, stale=True)

    def broken(self, why: str) -> None:
        self.pool.retire(self)
        self._lose_all("bad_response")
        self.transport.close()

    # the end

    def _leave(self) -> None:
        """Lend nothing any more, and close after what is under way."""
        self.leaving = True
        self.pool.retire(self)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if not self.streams and not self.ended:
            self.link.go_away(0)  # the endpoint never opened a stream
            self._write()
            self.ended = True
            self.transport.close()

    def abort(self) -> None:
        """At once."""
        self.transport.abort()

    def expired(self, now: float) -> None:
        """The wheel's call: idle for too long, or busy (then the clients' deadlines count)."""
        if not self.streams:
            self._leave()
