"""A stream to an endpoint: the endpoint's side of one exchange.

A whole answer in one read goes to its conversation in one call, as with HTTP/1: a head is held back until it is known
what follows it in the same read. An answer that ends with its head (what gRPC calls Trailers-Only) stays that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.errors import ErrorCodes

from dataplane.l7.events import Fields, Framing, Response
from dataplane.l7.exchange import WAITING
from dataplane.l7.http2 import translate
from dataplane.l7.http2.outbox import Line
from dataplane.l7.rescue import Failure

if TYPE_CHECKING:
    from dataplane.l7.conversation import Conversation
    from dataplane.l7.http2.upstream import Http2Upstream


class EndpointStream:
    """A place on a connection to an endpoint: one request and its response."""

    __slots__ = (
        "_connection",
        "_unacknowledged",
        "begun",
        "bodiless",
        "head",
        "id",
        "line",
        "paused",
        "reused",
        "user",
    )

    def __init__(self, connection: Http2Upstream, id: int, *, reused: bool) -> None:
        self.id = id
        self.line = Line()
        self.user: Conversation | None = None
        self.reused = reused  # the connection was not made for this exchange
        self.paused = False
        self.begun = False  # the head of the final response was told
        self.bodiless = False
        self.head: Response | None = None  # it came, and waits for what follows it in the same read
        self._connection = connection
        self._unacknowledged = 0

    def __repr__(self) -> str:
        return f"<EndpointStream {self.id} of {self._connection!r}, {self.line.size} bytes wait>"

    # the conversation's calls

    def send_request(self, talk: Conversation, body: bytes, trailers: Fields, complete: bool) -> None:
        connection = self._connection
        headers = translate.request_headers(talk.upstream_head())
        ends = complete and not body and not trailers
        connection.link.send_headers(self.id, headers, end_stream=ends)
        if not ends and (body or complete):
            connection.outbox.put(self, body)
            if complete:
                connection.outbox.finish(self, translate.trailer_headers(trailers))
        connection.touch()

    @property
    def unsent(self) -> int:
        return self.line.size

    def send_body(self, data: bytes) -> None:
        self._connection.outbox.put(self, data)
        self._connection.touch()

    def end_body(self, data: bytes, trailers: Fields) -> None:
        self._connection.outbox.put(self, data)
        self._connection.outbox.finish(self, translate.trailer_headers(trailers))
        self._connection.touch()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        if self._unacknowledged:
            self._connection.acknowledge(self.id, self._unacknowledged)
            self._unacknowledged = 0

    def give_back(self, now: float) -> None:
        self._connection.served += 1
        self._leave(None)

    def abort(self) -> None:
        self._leave(ErrorCodes.CANCEL)

    # the connection's calls

    def response(self, response: Response, *, ended: bool) -> None:
        """The head of a final response."""
        self.bodiless = response.body == "none"
        if ended:
            self._whole(response, b"")
        else:
            self.head = response

    def data(self, data: bytes, size: int, *, ended: bool) -> None:
        """A piece of the body; `size` is what it took of the window."""
        if self.paused:
            self._unacknowledged += size
        else:
            self._connection.acknowledge(self.id, size)
        if data and self.bodiless:
            self.fail("bad_response")
            return
        if ended and self.head is not None:
            self._whole(self.head, data)
            return
        self.tell_head()
        user = self.user
        if user is not None and data:
            user.response_data(data)
        if ended and user is not None and self.user is user:
            user.response_end((), reusable=True)

    def trailers(self, fields: Fields) -> None:
        """The end, with trailers."""
        self.tell_head()
        if self.user is not None:
            self.user.response_end(fields, reusable=True)

    def tell_head(self) -> None:
        """Nothing that is here already belongs to the head."""
        if self.head is not None and self.user is not None:
            response, self.head = self.head, None
            self._responded(response, "chunked" if response.body == "close" else response.body)

    def _whole(self, response: Response, body: bytes) -> None:
        """All of a response."""
        user, self.head = self.user, None
        if user is None:
            return
        request = user.request
        assert request is not None
        if response.body == "length" and response.length != len(body) and not request.terms.is_head:
            self.fail("bad_response")
        elif user.state is WAITING:
            user.answered(response, body)
        else:
            self._responded(response, "length" if body else "none")
            if body and self.user is user:
                user.response_data(body)
            if self.user is user:
                user.response_end((), reusable=True)

    def _responded(self, response: Response, framing: Framing) -> None:
        assert self.user is not None
        self.begun = True
        self.user.responded(response, framing)

    def fail(self, failure: Failure, *, stale: bool = False) -> None:
        """The exchange cannot go on here. `stale`: because the connection cannot, whatever the request."""
        user, self.user = self.user, None
        self._leave(ErrorCodes.PROTOCOL_ERROR if failure == "bad_response" else ErrorCodes.CANCEL)
        if user is not None:
            user.upstream = None
            user.client.resume("upstream")
            user.failed(failure, reused=self.reused and stale)

    def _leave(self, code: ErrorCodes | None) -> None:
        if self._unacknowledged:
            self._connection.acknowledge(self.id, self._unacknowledged)
            self._unacknowledged = 0
        self._connection.forget(self, code)

    # the outbox's calls

    def filled(self) -> None:
        if self.user is not None:
            self.user.endpoint_full()

    def drained(self) -> None:
        if self.user is not None:
            self.user.endpoint_takes()

    def sent_all(self) -> None:
        """The request is out; the response decides what comes next."""
