"""One client connection's exchanges, one after the other: the answer's half, the end, and the record.

Together with `attempts` this is what drives `exchange`'s table, without any socket and in no version of HTTP of its
own: `sides` says what it asks of the client's side and of the endpoint's. The endpoint's side calls `answered` (a whole
response in one read: the common case) or `interim`, `responded`, `response_data` and `response_end`, the client's side
`client_lost`. Every path to an end goes through `_end`, so that connection, lease and record are settled exactly once.
"""

from __future__ import annotations

from dataplane.l7.answers import answer
from dataplane.l7.attempts import Attempts
from dataplane.l7.events import Fields, Framing, Response
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
from dataplane.l7.treatment import amended


class Conversation(Attempts):
    """The exchanges of one client connection."""

    __slots__ = ("_persists",)

    _persists: bool  # the answer under way said that another request may follow

    def __repr__(self) -> str:
        return f"<Conversation {self.state}, {self.exchanges} exchanges, now {self.request!r} to {self.endpoint!r}>"

    # the endpoint's answer

    def answered(self, response: Response, body: bytes) -> None:
        """A whole response with a length, to a whole request: the common case."""
        if response.status >= 400 and self.passes_over(response.status):
            return
        if self.treatment is not None:
            response = self.treatment.response(response, self.endpoint)
        now = self.proxy.clock()
        self.first_byte_s = now - self.began
        self.bytes_out = len(body)
        self.status = response.status
        persists = self.client.answer(response, body, self.request, True)
        self.state = NEXT[self.state][ANSWERED if persists else LAST]
        self._end("ok", now, reusable=response.keep_alive)

    def interim(self, response: Response) -> None:
        """A 1xx."""
        assert self.request is not None
        self.client.interim(response, self.request)
        self.await_more()

    def responded(self, response: Response, framing: Framing) -> None:
        """The head of a final response. `framing` is how its body comes to us."""
        request = self.request
        assert request is not None
        if response.status >= 400 and self.passes_over(response.status):
            return
        if self.treatment is not None:
            response = self.treatment.response(response, self.endpoint)
        self.first_byte_s = self.proxy.clock() - self.began
        self.status = response.status
        self.state = NEXT[self.state][RESPONSE]
        self._sent = None
        self._persists = self.client.begin_answer(response, framing, request, complete=self._complete)
        self.await_more()

    def response_data(self, data: bytes) -> None:
        """A piece of the response's body, not empty."""
        self.bytes_out += len(data)
        self.client.send(data)
        self.await_more()

    def await_more(self) -> None:
        """The endpoint has spoken: it may be silent for another response timeout."""
        if not self.client.full:  # else it is the client's turn, and its own deadline runs
            self.client.set_deadline(self.proxy.clock() + self.spec.response_timeout_s)

    def response_end(self, trailers: Fields, *, reusable: bool) -> None:
        """The response is complete."""
        assert self.request is not None
        self.client.end_answer(trailers, self.request)
        self.state = NEXT[self.state][RESPONSE_END if self._persists and self._complete else LAST]
        self._end("ok", self.proxy.clock(), reusable=reusable and self._complete)

    def switch(self, response: Response, rest: bytes) -> None:
        """101 as asked for: from here on bytes, `rest` being the first ones. The tunnel says when it is over."""
        request, upstream = self.request, self.upstream
        assert request is not None
        assert upstream is not None
        if self.treatment is not None:
            response = self.treatment.response(response, self.endpoint)
        self.first_byte_s = self.proxy.clock() - self.began
        self.status = response.status
        self.state = NEXT[self.state][SWITCH]
        self.bytes_out += len(rest)
        self.client.switch(response, request, rest, upstream)

    def tunnel_end(self, outcome: str) -> None:
        """The tunnel is closed on both sides."""
        self.state = NEXT[self.state][ABORT]
        self._end(outcome, self.proxy.clock(), reusable=False)

    # answers of our own

    def reply(self, status: int, text: str, outcome: str, lines: bytes = b"") -> None:
        """The connection persists if the request is complete and wants it to."""
        self.status = status
        response, body = answer(status, text)
        if lines:
            response = amended(response, lines, frozenset(), None)
        elif self.treatment is not None:
            response = self.treatment.response(response, None)
        persists = self.client.answer(response, body, self.request, self._complete)
        self.state = NEXT[self.state][ANSWERED if persists else LAST]
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
        self.client.answer(*answer(status, text), self.request, False)
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

    def _end(self, outcome: str, now: float, *, reusable: bool) -> None:
        """The exchange is over: give back connection and lease, record it, and let the client go on."""
        upstream, endpoint, backend = self.upstream, self.endpoint, self.backend
        if self.treatment is not None:
            self.treatment.end()
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
            if backend.feedback is not None and outcome == "ok":
                backend.answered(endpoint, self.status < 500, self.first_byte_s, now)
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
