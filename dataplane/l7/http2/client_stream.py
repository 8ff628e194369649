"""A client's stream: the client's side of one exchange, and its one deadline.

The exchange may be over while its answer still waits in the outbox for the client to take it; then the stream has
`send_timeout_s` for each bit of progress, as an HTTP/1 client has.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from dataplane.l7.conversation import Conversation
from dataplane.l7.deadlines import NEVER
from dataplane.l7.events import Fields, Framing, Refusal, Request, Response
from dataplane.l7.exchange import CLOSED, CONNECTING, IDLE, OPEN, SENDING
from dataplane.l7.headers import Edge
from dataplane.l7.http2 import translate
from dataplane.l7.http2.link import Headers
from dataplane.l7.http2.outbox import Line

if TYPE_CHECKING:
    from dataplane.l7.http2.downstream import Http2Downstream
    from dataplane.l7.sides import EndpointSide


_CODES: Final = frozenset(code.value for code in ErrorCodes) - {ErrorCodes.NO_ERROR, ErrorCodes.PROTOCOL_ERROR}
"""What an endpoint may say to a client through us; PROTOCOL_ERROR would be our word about the client."""


class ClientStream:
    """One request of a client and its answer."""

    __slots__ = ("_code", "_connection", "_pauses", "_queued", "_sent_all", "_unacknowledged", "bucket", "deadline",
                 "ended", "full", "id", "line", "proxy", "talk", "trailers")  # fmt: skip

    talk: Conversation

    def __init__(self, connection: Http2Downstream, id: int, edge: Edge) -> None:
        self.proxy = connection.proxy
        self.id = id
        self.line = Line()
        self.full = False
        self.ended = False  # the request is complete
        self.trailers: Fields = ()
        self.deadline = self.bucket = NEVER
        self._connection = connection
        self._code = ErrorCodes.NO_ERROR  # what to reset the stream with if the client is not done when we are
        self._pauses: set[str] = set()
        self._queued = 0
        self._sent_all = False
        self._unacknowledged = 0
        site = connection.site
        self.talk = Conversation(self.proxy, self, edge, site.listener, site.resolve)
        if site.covers is not None:
            self.talk.covers = partial(site.covers, connection.transport.get_extra_info("ssl_object"))

    def __repr__(self) -> str:
        return f"<ClientStream {self.id}, {self.line.size} bytes wait, paused for {self._pauses or 'nothing'}>"

    # what the client sent

    def begin(self, request: Request, *, ended: bool) -> None:
        """A request."""
        self.ended = ended
        self.talk.begin(request, complete=ended)

    def refuse(self, refusal: Refusal) -> None:
        """What came cannot be served. Malformed is a stream error (RFC 9113 8.1.1), too long and the like is not."""
        if refusal.status == HTTPStatus.BAD_REQUEST:
            self._code = ErrorCodes.PROTOCOL_ERROR
        if self.talk.state is IDLE or self.talk.state in OPEN:
            self.talk.refuse(refusal.status, refusal.why)
        else:
            self._forget(self._code)

    def data(self, data: bytes, size: int, *, ended: bool) -> None:
        """A piece of the request's body; `size` is what it took of the window."""
        self._unacknowledged += size
        talk, body_max = self.talk, self.proxy.limits.body_max
        if body_max and talk.bytes_in + len(data) > body_max and talk.state in OPEN:
            self.ended = ended
            talk.refuse(413, f"the body is longer than {body_max} bytes")
        elif data and not ended and talk.state in OPEN:  # the last piece goes with the end
            talk.body(data)
        elif ended:
            self._last(data)
        if not self._pauses:
            self._acknowledge()

    def _last(self, data: bytes) -> None:
        self.ended = True
        if self.talk.state in OPEN:
            self.talk.body_end(data)

    def request_ended(self) -> None:
        """The request is complete."""
        if not self.ended:
            self.ended = True
            if self.talk.state in OPEN:
                self.talk.body_end(b"", self.trailers)

    def lost(self, outcome: str) -> None:
        """The client wants no answer any more."""
        talk = self.talk
        if talk.state in OPEN:
            talk.client_lost(outcome)  # comes back as `exchange_ended`
        else:
            self._forget(None)

    # the conversation's calls

    def answer(self, response: Response, body: bytes, request: Request | None, complete: bool) -> bool:
        headers = translate.response_headers(response, self.proxy.date)
        if request is not None and request.terms.is_head:
            body = b""
        if self._code:
            self._say(headers, body)
            return False
        short = len(response.head) <= translate.MEMO_MAX and not self._connection.full
        if short and self._connection.link.send_whole(self.id, headers, body):
            self._connection.guard.earn(1)
            self._sent_all = True
            self._connection.touch()
        elif not body:
            self._head(headers, ended=True)
        else:
            self._head(headers, ended=False)
            self._queue(body)
            self._finish([])
        return False

    def _say(self, headers: Headers, body: bytes) -> None:
        """An answer of ours to a malformed request: its stream ends with a reset, which must not come before it."""
        link = self._connection.link
        if link.takes(self.id):
            link.send_headers(self.id, headers)
            if body and len(body) <= link.room(self.id):
                link.send_data(self.id, body)
        self._sent_all = True

    def begin_answer(self, response: Response, framing: Framing, request: Request, *, complete: bool) -> bool:
        self._head(translate.response_headers(response, self.proxy.date), ended=framing == "none")
        self._connection.touch()
        return False

    def send(self, data: bytes) -> None:
        self._queue(data)
        self._connection.touch()

    def end_answer(self, trailers: Fields, request: Request) -> None:
        if not self._sent_all:
            self._finish(translate.trailer_headers(trailers))

    def interim(self, response: Response, request: Request) -> None:
        if self._connection.link.takes(self.id):
            self._connection.link.send_headers(self.id, translate.response_headers(response, self.proxy.date))
            self._connection.touch()

    def switch(self, response: Response, request: Request, rest: bytes, upstream: EndpointSide) -> None:
        raise AssertionError("HTTP/2 has no upgrades")

    def broken_by(self, code: int) -> None:
        if code in _CODES:
            self._code = ErrorCodes(code)

    def exchange_ended(self, now: float) -> None:
        if self.talk.state is CLOSED:
            self._forget(self._code or ErrorCodes.INTERNAL_ERROR)
        elif self._sent_all:
            self._forget(self._code if self._code or not self.ended else None)
        else:
            self.set_deadline(now + self.proxy.limits.send_timeout_s)
            self._queued = self.line.size

    def _head(self, headers: Headers, *, ended: bool) -> None:
        link = self._connection.link
        if link.takes(self.id):
            link.send_headers(self.id, headers, end_stream=ended)
        if ended:
            self._sent_all = True
            self._connection.touch()

    def _queue(self, data: bytes) -> None:
        self._connection.outbox.put(self, data)

    def _finish(self, trailers: Headers) -> None:
        self._connection.outbox.finish(self, trailers)
        self._connection.touch()

    def _forget(self, code: ErrorCodes | None) -> None:
        if self._unacknowledged:
            self._acknowledge()
        connection = self._connection
        del self.talk  # they hold each other, and memory should go with the stream and not with the collector
        connection.forget(self, code)

    # the outbox's calls

    def filled(self) -> None:
        self.full = True
        self._queued = self.line.size
        self.set_deadline(self.proxy.clock() + self.proxy.limits.send_timeout_s)
        if self.talk.upstream is not None:
            self.talk.upstream.pause()

    def drained(self) -> None:
        self.full = False
        if self.talk.upstream is not None:
            self.talk.upstream.resume()
        if self.talk.state in OPEN:
            self.talk.await_more()

    def sent_all(self) -> None:
        self._sent_all = True
        if self.talk.state not in OPEN:
            self._forget(None if self.ended else self._code)

    # pace and time

    def pause(self, reason: str) -> None:
        self._pauses.add(reason)

    def resume(self, reason: str) -> None:
        self._pauses.discard(reason)
        if not self._pauses and self._unacknowledged:
            self._acknowledge()
            self._connection.touch()

    def _acknowledge(self) -> None:
        """The client may send as much again."""
        size, self._unacknowledged = self._unacknowledged, 0
        if not self._connection.ended:
            self._connection.link.acknowledge_received_data(size, self.id)

    def set_deadline(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self.bucket:
            self.proxy.wheel.watch(self)

    def expired(self, now: float) -> None:
        """The wheel's call: what was awaited did not come."""
        if now < self.deadline or self.id not in self._connection.streams:
            return  # another's expiry has moved it, or ended the connection
        talk = self.talk
        if talk.state not in OPEN:
            if not self._is_taking(now):
                self._forget(ErrorCodes.CANCEL)
        elif self.full:
            if not self._is_taking(now):
                talk.client_lost("timeout")
        elif talk.state is SENDING and "upstream" not in self._pauses:
            talk.refuse(408, "the request did not arrive in time")
        elif talk.state is CONNECTING:
            talk.failed("pool_timeout")
        else:
            talk.overdue(now)

    def _is_taking(self, now: float) -> bool:
        """Whether the client has taken anything since this was asked last; if so, wait on."""
        left = self.line.size
        if left >= self._queued:
            return False
        self._queued = left
        self.set_deadline(now + self.proxy.limits.send_timeout_s)
        return True
