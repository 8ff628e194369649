"""The endpoint's side: one connection, its responses, one at a time.

While lent, `user` is the conversation whose request was written to it; while idle, `user` is None and the endpoint
must be silent: whatever it sends then (a stale answer, a 408 before it closes) makes the connection worthless, and it
is closed. It may be given back for reuse only if the response ended exactly where it said, both sides want to go on,
and nothing came after its end.

The reading is done in the smallest way that is right: a complete response with a length, in one read, goes to the
user in one call; everything else is fed piece by piece.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from dataplane.l7.chunked import ChunkedDecoder, chunk
from dataplane.l7.codec import REMEMBERED_MAX, head_end
from dataplane.l7.deadlines import NEVER
from dataplane.l7.events import Fields, Framing, Refusal, Response
from dataplane.l7.exchange import WAITING
from dataplane.l7.headers import last_chunk
from dataplane.pool.pool import Pool

if TYPE_CHECKING:
    from dataplane.l7.conversation import Conversation
    from dataplane.l7.proxy import HttpProxy

HEAD: Final = "head"


class Upstream(asyncio.Protocol):
    """A connection to an endpoint, owned by its pool."""

    __slots__ = ("_coded", "_decoder", "_held", "_last", "_last_head", "_last_size", "_left", "_part", "_reusable",
                 "_seen", "began", "bucket", "deadline", "made", "paused", "pool", "proxy", "served", "transport",
                 "user")  # fmt: skip

    _last: Response

    transport: asyncio.Transport

    def __init__(self, proxy: HttpProxy, pool: Pool, began: float) -> None:
        self.proxy = proxy
        self.pool = pool
        self.began = began
        self.user: Conversation | None = None
        self.served = 0  # responses that ended cleanly
        self.deadline = self.bucket = NEVER
        self.paused = False
        self.made = False
        self._last_head = b""  # of a response with a length that came in one read: endpoints repeat themselves
        self._coded = False  # the request's body goes in chunks
        self._last_size = -1  # of that head and its body
        self._start()

    def __repr__(self) -> str:
        return (
            f"<Upstream {self.pool.address}:{self.pool.port}, {self.served} served, {'busy' if self.user else 'idle'}>"
        )

    def _start(self) -> None:
        """Expect the head of a response."""
        self._part: str = HEAD  # which part comes next: head, or the framing of the body
        self._held = b""  # an unfinished head
        self._seen = False  # an interim response came
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._reusable = False

    # the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=self.proxy.limits.buffer_high)
        self.made = True
        self.proxy.upstreams.add(self)
        now = self.proxy.clock()
        self._rest(now)
        self.pool.dialed(self, now - self.began)

    def data_received(self, data: bytes) -> None:
        user = self.user
        if user is None:
            self.close()  # nobody asked
            return
        if self._part is HEAD:
            if (
                len(data) == self._last_size
                and data.startswith(self._last_head)
                and not self._held
                and user.state is WAITING
                and not user.request.terms.is_head  # type: ignore[union-attr]  # it waits, so there is a request
            ):
                user.answered(self._last, data[len(self._last_head) :])
                return
            self._head(user, self._held + data if self._held else data)
        else:
            self._body(user, data)

    def eof_received(self) -> bool:
        """The endpoint ends its side, so it has nothing more to answer: what we still send it is of no use."""
        if self.user is not None and self._part == "close":
            self._finish(self.user, reusable=False)
        self.pool.retire(self)
        self.transport.abort()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.upstreams.discard(self)
        self.proxy.wheel.forget(self)
        self.pool.lost(self)
        user, self.user = self.user, None
        if user is None:
            return
        user.upstream = None
        user.client.resume("upstream")
        if self._part is HEAD:
            begun = self._held or self._seen
            user.failed("reset_in_head" if begun else "reset_before_head", reused=self.served > 0)
        else:
            user.failed("reset_in_body")

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        if self.user is not None:
            self.user.endpoint_full()

    def resume_writing(self) -> None:
        if self.user is not None:
            self.user.endpoint_takes()

    # the response

    def _head(self, user: Conversation, data: bytes) -> None:
        """Heads, or a part of one, at the beginning of `data`: interim ones up to the final one."""
        try:
            while True:
                end = head_end(data, len(self._held), self.proxy.limits, is_request=False)
                if not end:
                    self._held = data
                    if b"HTTP/1."[: len(data)] != data[:7]:
                        raise Refusal(502, "this is not HTTP/1")
                    return
                head = data[:end]
                response = self.proxy.responses.parse(head)
                self._held, data = b"", data[end:]
                if response.status >= 200 or response.status == 101:
                    break
                self._seen = True
                user.interim(response)
                if not data:
                    return
        except Refusal as refusal:
            self._nonsense(user, refusal.why)
            return
        if response.status == 101:
            self._switched(user, response, data)
        else:
            if response.body == "length" and len(data) == response.length and end <= REMEMBERED_MAX:
                self._last, self._last_head, self._last_size = response, head, end + response.length
            self._final(user, response, data)

    def _switched(self, user: Conversation, response: Response, rest: bytes) -> None:
        request = user.request
        if request is None or not request.terms.upgrade or user.state is not WAITING or not response.upgrade:
            self._nonsense(user, "101 (Switching Protocols) that nobody asked for")
        else:
            user.switch(response, rest)

    def _final(self, user: Conversation, response: Response, rest: bytes) -> None:
        """A final response begins."""
        request = user.request
        assert request is not None
        framing: Framing = "none" if request.terms.is_head else response.body
        if framing == "length" and not response.length:
            framing = "none"
        self._reusable = response.keep_alive and framing != "close"
        expected = {"length": response.length, "none": 0}.get(framing, -1)
        if user.state is WAITING and len(rest) == expected and response.body in ("length", "none"):
            user.answered(response, rest)
            return
        self._part = framing
        self._left = response.length
        if framing == "chunked":
            self._decoder = ChunkedDecoder()
        user.responded(response, framing)
        if self.user is not user:
            return  # another endpoint is asked instead
        if framing == "none":
            self._finish(user, reusable=self._reusable and not rest)
        elif rest:
            self._body(user, rest)

    def _body(self, user: Conversation, data: bytes) -> None:
        """Bytes of a body."""
        if self._part == "length":
            size = len(data)
            if size > self._left:
                data = data[: self._left]
            self._left -= len(data)
            user.response_data(data)
            if not self._left and self.user is user:
                self._finish(user, reusable=self._reusable and size == len(data))
        elif self._part == "close":
            user.response_data(data)
        else:
            self._chunks(user, data)

    def _chunks(self, user: Conversation, data: bytes) -> None:
        decoder = self._decoder
        assert decoder is not None
        try:
            out = decoder.feed(data)
        except Refusal as refusal:
            self._nonsense(user, refusal.why)
            return
        if out:
            user.response_data(out)
        if decoder.done and self.user is user:
            self._finish(user, reusable=self._reusable and not decoder.rest)

    def _finish(self, user: Conversation, *, reusable: bool) -> None:
        trailers = self._decoder.trailers if self._decoder is not None else ()
        user.response_end(trailers, reusable=reusable)

    def _nonsense(self, user: Conversation, why: str) -> None:
        self.proxy.tell(logging.INFO, "%s:%d sent a bad response: %s", self.pool.address, self.pool.port, why)
        user.failed("bad_response")

    # the owner's calls

    def send_request(self, talk: Conversation, body: bytes, trailers: Fields, complete: bool) -> None:
        """The head, and what of the body is here, in one write."""
        request = talk.request
        assert request is not None
        if request.terms.body == "chunked":
            self._coded = True
            body = chunk(body) + last_chunk(trailers) if complete else chunk(body)
        else:
            self._coded = False
        head = talk.upstream_head()
        self.transport.write(head + body if body else head)

    def send_body(self, data: bytes) -> None:
        self.transport.write(chunk(data) if self._coded else data)

    def end_body(self, data: bytes, trailers: Fields) -> None:
        if self._coded:
            self.transport.write(chunk(data) + last_chunk(trailers))
        elif data:
            self.transport.write(data)

    def pause(self) -> None:
        """Do not read: the client is slower."""
        if not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def give_back(self, now: float) -> None:
        """The exchange is over and the connection good for another."""
        self.served += 1
        if self._part is not HEAD or self._seen:
            self._start()
        if self.paused:
            self.resume()
        if not self.transport.is_closing():
            self._rest(now)
            self.pool.release(self)

    def _rest(self, now: float) -> None:
        """How long it may be idle from now on; looked at only while it is."""
        self.deadline = deadline = now + self.pool.limits.idle_timeout_s
        if deadline < self.bucket:
            self.proxy.wheel.watch(self)

    def close(self) -> None:
        """An idle connection ends: at once for the pool, and for the endpoint as soon as the loop gets to it."""
        self.pool.retire(self)
        self.transport.close()

    def abort(self) -> None:
        """At once: the endpoint sees its request or its response cut off."""
        self.transport.abort()

    def expired(self, now: float) -> None:
        """The wheel's call: idle for too long, or busy (then the client's deadline counts)."""
        if self.user is None:
            self.close()
