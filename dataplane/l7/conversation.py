"""One client connection's exchanges, one after the other: the answer's half, the end, and the record.

Together with `attempts` this is what drives `exchange`'s table, without any socket of its own: the endpoint's side
calls `answered` (a whole response in one read: the common case) or `interim`, `responded`, `response_data` and
`response_end`, the client's side `client_lost`, and both sides' transports are written to. Every path to an end goes
through `_end`, so that connection, lease and record are settled exactly once.

A response is framed anew for the client: a length stays a length, everything else becomes chunks for HTTP/1.1 and
ends with the connection for HTTP/1.0. Whether the connection persists is said in the head and then kept.
"""

from __future__ import annotations

from typing import Final

from dataplane.l7.answers import answer
from dataplane.l7.attempts import Attempts
from dataplane.l7.chunked import LAST_CHUNK, chunk
from dataplane.l7.events import Fields, Framing, Request, Response
from dataplane.l7.exchange import (
    ABORT,
    ANSWER_BEGUN,
    ANSWERED,
    LAST,
    NEXT,
    OPEN,
    RESPONSE,
    RESPONSE_END,
    SWITCH,
)
from dataplane.l7.headers import downstream_head, trailer_lines

CHUNKED_LINE: Final = b"Transfer-Encoding: chunked\r\n"


class Conversation(Attempts):
    """The exchanges of one client connection. `ends_by_close`: the client sees the answer's end by our closing."""

    __slots__ = ("_chunks", "_is_last")

    _chunks: bool
    _is_last: bool

    def __repr__(self) -> str:
        return f"<Conversation {self.state}, {self.exchanges} exchanges, now {self.request!r} to {self.endpoint!r}>"

    # the endpoint's answer

    def answered(self, response: Response, body: bytes) -> None:
        """A whole response with a length, to a whole request: the common case."""
        now = self.proxy.clock()
        request, client = self.request, self.client
        assert request is not None
        terms = request.terms
        self.first_byte_s = now - self.began
        self.bytes_out = len(body)
        self.status = response.status
        if response.plain and terms.minor and terms.keep_alive and not client.closes:
            client.transport.write(response.plain + body)
            self.state = NEXT[self.state][ANSWERED]
        else:
            closing = self._closes(request)
            head = downstream_head(response, request, self.proxy.date, framing=b"", closing=closing)
            client.transport.write(head + body)
            self.state = NEXT[self.state][LAST if closing else ANSWERED]
        self._end("ok", now, reusable=response.keep_alive)

    def interim(self, response: Response) -> None:
        """A 1xx: passed on to whoever can understand it (RFC 9110 15.2)."""
        assert self.request is not None
        if self.request.terms.minor:
            self.client.transport.write(response.head + b"\r\n")
        self.await_more()

    def responded(self, response: Response, framing: Framing) -> None:
        """The head of a final response. `framing` is how its body comes to us."""
        request = self.request
        assert request is not None
        self.first_byte_s = self.proxy.clock() - self.began
        self.status = response.status
        unsized = framing in ("chunked", "close")
        self._chunks = unsized and request.terms.minor == 1
        self.ends_by_close = unsized and not request.terms.minor
        self._is_last = self._closes(request) or self.ends_by_close or not self._complete
        chunked = self._chunks or (request.terms.is_head and request.terms.minor and response.body == "chunked")
        framing_line = CHUNKED_LINE if chunked else b""
        head = downstream_head(response, request, self.proxy.date, framing=framing_line, closing=self._is_last)
        self.state = NEXT[self.state][RESPONSE]
        self._sent = None
        self.client.transport.write(head)
        self.await_more()

    def response_data(self, data: bytes) -> None:
        """A piece of the response's body, not empty."""
        self.bytes_out += len(data)
        self.client.transport.write(chunk(data) if self._chunks else data)
        self.await_more()

    def await_more(self) -> None:
        """The endpoint has spoken: it may be silent for another response timeout."""
        if not self.client.full:  # else it is the client's turn, and its own deadline runs
            self.client.set_deadline(self.proxy.clock() + self.spec.response_timeout_s)

    def response_end(self, trailers: Fields, *, reusable: bool) -> None:
        """The response is complete."""
        request = self.request
        assert request is not None
        if self._chunks:
            lines = trailer_lines(trailers) if trailers and request.terms.trailers else b""
            self.client.transport.write(b"0\r\n%b\r\n" % lines if lines else LAST_CHUNK)
        last = self._is_last or not self._complete
        self.state = NEXT[self.state][LAST if last else RESPONSE_END]
        self._end("ok", self.proxy.clock(), reusable=reusable and self._complete)

    def switch(self, response: Response, rest: bytes) -> None:
        """101 as asked for: from here on bytes, `rest` being the first ones. The tunnel says when it is over."""
        request, upstream = self.request, self.upstream
        assert request is not None
        assert upstream is not None
        self.first_byte_s = self.proxy.clock() - self.began
        self.status = response.status
        self.state = NEXT[self.state][SWITCH]
        head = downstream_head(response, request, self.proxy.date, framing=b"", closing=False)
        self.client.transport.write(head + rest)
        self.bytes_out += len(rest)
        self.client.open_tunnel(upstream)

    def tunnel_end(self, outcome: str) -> None:
        """The tunnel is closed on both sides."""
        self.state = NEXT[self.state][ABORT]
        self._end(outcome, self.proxy.clock(), reusable=False)

    # answers of our own

    def reply(self, status: int, text: str, outcome: str) -> None:
        """The connection persists if the request is complete and wants it to."""
        request = self.request
        assert request is not None
        closing = not self._complete or self._closes(request)
        self.status = status
        self.client.transport.write(answer(status, text, request, self.proxy.date, closing=closing))
        self.state = NEXT[self.state][LAST if closing else ANSWERED]
        self._end(outcome, self.proxy.clock(), reusable=False)

    def refuse(self, status: int, text: str) -> None:
        """The client's bytes are no request, or no body: answer, and believe nothing that follows."""
        if self.state in ANSWER_BEGUN:
            self.abort("bad_request")
            return
        if self.state not in OPEN:
            self._forget(None)
            self.began = self.proxy.clock()
        self.status = status
        self.client.transport.write(answer(status, text, self.request, self.proxy.date, closing=True))
        self.state = NEXT[self.state][LAST]
        self._end("bad_request", self.proxy.clock(), reusable=False)

    def abort(self, outcome: str) -> None:
        """The answer cannot be completed: the client's side cuts the connection so that it sees that."""
        self.state = NEXT[self.state][ABORT]
        self._end(outcome, self.proxy.clock(), reusable=False)

    def client_lost(self, outcome: str = "client_abort") -> None:
        """The client is gone: nobody needs the answer."""
        if self.state in OPEN:
            self.abort(outcome)
        else:
            self.state = NEXT[self.state][ABORT]

    # the end

    def _closes(self, request: Request) -> bool:
        return self.client.closes or not request.terms.keep_alive

    def _end(self, outcome: str, now: float, *, reusable: bool) -> None:
        """The exchange is over: give back connection and lease, record it, and let the client go on."""
        upstream, endpoint, backend = self.upstream, self.endpoint, self.backend
        if reusable and upstream is not None:
            self.upstream = upstream.user = None
            upstream.give_back(now)
        else:
            self._drop_upstream()
        proxy, request = self.proxy, self.request
        name = target = ""
        phase: str = ""
        if endpoint is not None and backend is not None:
            backend.release(endpoint)
            self.endpoint = None
            name, target, phase = endpoint.id, endpoint.spec.target, endpoint.phase
        proxy.observe(
            (
                now + proxy.wall_offset,
                self.listener,
                self.route,
                "" if backend is None else backend.name,
                name,
                target,
                self.phase,
                phase,
                self.tries,
                b"" if request is None else request.terms.method,
                self.status,
                self.bytes_in,
                self.bytes_out,
                self.connect_s,
                self.first_byte_s,
                now - self.began,
                outcome,
            )
        )
        self.client.exchange_ended(now)
