"""The client's side: one connection, its requests, one at a time.

What arrives is one of four things, and `state` says which: a head (IDLE, HEAD), a part of the body of the request
under way, the requests after it (pipelined: held back until their turn), or bytes that nobody wants any more
(LINGERING). Held bytes are bounded by not reading on, which is also how back-pressure reaches the client: `pause` has
named reasons, and the connection is read when there are none.

A client that ends its side after a whole request is still waiting for the answer (RFC 9112 9.6), so it gets it. But a
client that has closed looks just the same on the wire, until something is sent to it; `proxy.is_gone` may know better
(`presence.py`) and is asked while the endpoint is silent.

An answer that is the last is followed by our FIN. Where the client may still be sending (its request was refused or
not read to its end) the rest is read and thrown away for a while, because closing a socket with unread bytes resets
it, and a reset destroys the answer on its way (RFC 9112 9.6).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from dataplane.l7.answering import Answering
from dataplane.l7.chunked import ChunkedDecoder
from dataplane.l7.codec import head_end
from dataplane.l7.conversation import Conversation
from dataplane.l7.deadlines import NEVER
from dataplane.l7.events import NO_FIELDS, Refusal, Request, Response
from dataplane.l7.exchange import (
    ABORT,
    CLOSED,
    CONNECTING,
    CROSSING,
    HEAD,
    IDLE,
    LINGERING,
    NEXT,
    OPEN,
    PART,
    SENDING,
    TUNNEL,
    WAITING,
)
from dataplane.l7.headers import downstream_head
from dataplane.l7.reset import reset
from dataplane.l7.site import Site
from dataplane.l7.upgrade import Tunnel
from dataplane.l7.upstream import Upstream

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy
    from dataplane.l7.sides import EndpointSide


NO_PAUSES: Final[frozenset[str]] = frozenset()  # one for all: its own would be a tenth of an idle connection's memory


class Downstream(Answering, asyncio.Protocol):
    """A client's connection."""

    __slots__ = ("_buffered", "_client", "_decoder", "_held", "_last", "_last_request", "_left", "_lingered", "_pauses",
                 "_pumping", "_reading", "_seen", "_site", "_whole", "bucket", "deadline", "full",
                 "half_closed", "talk")  # fmt: skip

    transport: asyncio.Transport
    talk: Conversation

    def __init__(self, proxy: HttpProxy, site: Site, client: str = "") -> None:
        self.proxy = proxy
        self._client = client
        self._site = site
        self._whole = proxy.requests.whole
        self._last = b""  # the last head that came by itself, and its request: clients repeat themselves
        self._last_request: Request | None = None
        self.deadline = self.bucket = NEVER
        self.closes = proxy.draining  # the answer under way, or the next one, is the last
        self.ends_by_close = False
        self.full = False  # the client does not take its answer as fast as it comes
        self.half_closed = False
        self._buffered = 0
        self._held = b""  # of the next head, or requests to come
        self._seen = 0  # how much of it was searched for the end of a head
        self._pauses = NO_PAUSES
        self._pumping = False
        self._reading = False  # a request's body
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._lingered = 0

    def __repr__(self) -> str:
        talk = getattr(self, "talk", "closed")
        return f"<Downstream {talk!r}, {len(self._held)} bytes held, paused for {self._pauses or 'nothing'}>"

    # the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        proxy, site = self.proxy, self._site
        self.transport.set_write_buffer_limits(high=proxy.limits.buffer_high)
        self.talk = Conversation(proxy, self, site.edge(transport, self._client), site.listener, site.resolve)
        if site.covers is not None:
            self.talk.covers = partial(site.covers, transport.get_extra_info("ssl_object"))
        proxy.clients.add(self)
        self.set_deadline(proxy.clock() + proxy.limits.header_timeout_s)
        if len(proxy.clients) > proxy.limits.connections_max:
            proxy.refused += 1
            self.talk.refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        if self.talk.state is IDLE and not self._held and not self.full:
            request = self._last_request if data == self._last else self._whole(data)
            if request is not None and request.terms.body == "none":
                self._last, self._last_request = data, request
                self.talk.begin(request, complete=True)
                return
        self._more(data)

    def eof_received(self) -> bool:
        """The client has sent its last byte: fatal within a request, and no hurry after it."""
        if self._site.scheme == b"https":
            return False  # close_notify and no transport to half-close
        if self.talk.state not in OPEN or self._reading:
            if not self._reading and self._held and self.talk.state is IDLE:
                self.half_closed = self.closes = True  # pipelined requests wait for the client to take its answers
                return True
            return False
        self.half_closed = True
        if not self._held:
            self.closes = True
        self.proxy.half_closed.add(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.talk.client_lost()
        self.proxy.client_left(self)
        del self.talk  # they hold each other, and memory should go with the connection and not with the collector
        self.proxy.wheel.forget(self)

    def pause_writing(self) -> None:
        self.full = True
        self._buffered = self.transport.get_write_buffer_size()
        self.set_deadline(self.proxy.clock() + self.proxy.limits.send_timeout_s)
        if self.talk.upstream is not None:
            self.talk.upstream.pause()

    def resume_writing(self) -> None:
        self.full = False
        if self.talk.upstream is not None:
            self.talk.upstream.resume()
        if self.talk.state in OPEN:
            self.talk.await_more()
        else:
            self._pump()

    # what the client sent

    def _more(self, data: bytes) -> None:
        """Anything but the common case."""
        state = self.talk.state
        if state is LINGERING:
            self._lingered += len(data)
            if self._lingered > self.proxy.limits.linger_max:
                self.transport.abort()
        elif state is CLOSED:
            return
        elif self._reading:
            self._body(data)
        else:
            self._held = self._held + data if self._held else data
            if state in OPEN or self.full:
                if len(self._held) > self.proxy.limits.held_max:
                    self.pause("held")
            else:
                self._pump()

    def _pump(self) -> None:
        """Begin requests from what is held, as long as each is answered at once."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._held and not self.full and self.talk.state in (IDLE, HEAD):
                if not self._head():
                    break
        except Refusal as refusal:
            self._held = b""
            self._reading = False
            self.talk.refuse(refusal.status, refusal.why)
        finally:
            self._pumping = False
        if len(self._held) <= self.proxy.limits.held_max or self.talk.state is HEAD:
            self.resume("held")
        if self.half_closed and self.talk.state in (IDLE, HEAD) and not self.full:
            self.transport.close()  # nothing more can come

    def _head(self) -> bool:
        """Begin the request at the beginning of what is held; False if its head is not complete."""
        talk, data = self.talk, self._held
        if talk.state is IDLE and data[:1] in b"\r\n":
            data = self._held = data.lstrip(b"\r\n")  # RFC 9112 2.2
            if not data:
                return False
        end = head_end(data, self._seen, self.proxy.limits, is_request=True)
        if not end:
            self._seen = len(data)
            if talk.state is IDLE:
                self.set_deadline(self.proxy.clock() + self.proxy.limits.header_timeout_s)
            talk.state = NEXT[talk.state][PART]
            return False
        request = self.proxy.requests.parse(data[:end])
        rest = data[end:]
        self._seen = 0
        self._held = rest
        if self.half_closed and not rest:
            self.closes = True
        if request.terms.body == "none":
            talk.begin(request, complete=True)
            return True
        if request.terms.body == "length" and len(rest) >= request.terms.length:
            self._held = rest[request.terms.length :]
            talk.begin(request, complete=True, body=rest[: request.terms.length])
            return True
        self._held = b""
        self._begin_body(request)
        talk.begin(request, complete=False)
        if rest and self._reading:
            self._body(rest)
        if self._reading and self.half_closed:
            talk.client_lost()  # the rest of it will never come
        return True

    def _begin_body(self, request: Request) -> None:
        self._reading = True
        self._left = request.terms.length
        self._decoder = ChunkedDecoder() if request.terms.body == "chunked" else None

    def _body(self, data: bytes) -> None:
        """Bytes of the body of the request under way, and perhaps of what comes after it."""
        talk, decoder, trailers = self.talk, self._decoder, NO_FIELDS
        if decoder is None:
            piece = data if len(data) <= self._left else data[: self._left]
            self._left -= len(piece)
            done, rest = not self._left, data[len(piece) :]
        else:
            try:
                piece = decoder.feed(data)
            except Refusal as refusal:
                self._reading = False
                talk.refuse(refusal.status, refusal.why)
                return
            done, rest, trailers = decoder.done, decoder.rest, decoder.trailers
            if self.proxy.limits.body_max and talk.bytes_in + len(piece) > self.proxy.limits.body_max:
                self._reading = False
                talk.refuse(413, f"the body is longer than {self.proxy.limits.body_max} bytes")
                return
        if not done:
            talk.body(piece)
            return
        self._reading = False
        self._decoder = None
        self._held = rest
        talk.body_end(piece, trailers)

    # what the conversation says

    def exchange_ended(self, now: float) -> None:
        """The exchange is over; `talk.state` says how the connection goes on."""
        state = self.talk.state
        if state is IDLE:
            self.set_deadline(now + self.proxy.limits.idle_timeout_s)
            if self._held or self.half_closed:
                self._pump()
            return
        if state is CLOSED:
            self._cut()
            return
        still_sending = self._reading or bool(self._held) or self.talk.request is None
        self._held = b""
        self._reading = False
        self._decoder = None
        self.set_deadline(now + self.proxy.limits.linger_timeout_s)
        if still_sending and not self.half_closed and self.transport.can_write_eof():
            self.resume()
            self.transport.write_eof()
        else:
            self.transport.close()

    def _cut(self) -> None:
        """An answer that is incomplete must look incomplete: where closing is the end of the body, reset."""
        if self.ends_by_close:
            reset(self.transport)
        else:
            self.set_deadline(self.proxy.clock() + self.proxy.limits.send_timeout_s)
            self.transport.close()

    def switch(self, response: Response, request: Request, rest: bytes, upstream: EndpointSide) -> None:
        """The endpoint switched protocols: whatever the client sent after its request belongs to the new one."""
        assert isinstance(upstream, Upstream), "only HTTP/1 has upgrades"
        head = downstream_head(response, request, self.proxy.date, framing=b"", closing=False)
        self.transport.write(head + rest)
        first, self._held = self._held, b""
        self.deadline = NEVER
        Tunnel(self.proxy, self.talk, self, upstream, first)

    # pace and time

    def pause(self, reason: str) -> None:
        """Do not read from the client, for this reason."""
        if not self._pauses and not self.transport.is_closing():
            self.transport.pause_reading()
        self._pauses |= {reason}

    def resume(self, reason: str = "") -> None:
        """This reason is gone, or all are."""
        left = self._pauses - {reason} if reason else NO_PAUSES
        if self._pauses and not left and not self.transport.is_closing():
            self.transport.resume_reading()
        self._pauses = left or NO_PAUSES

    def set_deadline(self, deadline: float) -> None:
        """What is awaited now must come until then."""
        self.deadline = deadline
        if deadline < self.bucket:
            self.proxy.wheel.watch(self)

    def expired(self, now: float) -> None:
        """The wheel's call: it did not come."""
        talk = self.talk
        state = talk.state
        if self.transport.is_closing() or state in (LINGERING, CLOSED):
            if self._is_taking(now):
                return
            self.transport.abort()
        elif self.full:
            if not self._is_taking(now):
                talk.client_lost("timeout")
        elif state is IDLE:
            self.close_idle()
        elif state is HEAD or (state in (SENDING, CROSSING) and "upstream" not in self._pauses):
            self._held = b""
            talk.refuse(408, "the request did not arrive in time")
        elif state is CONNECTING:
            talk.failed("pool_timeout")
        elif state is not TUNNEL:
            talk.overdue(now)

    def _is_taking(self, now: float) -> bool:
        """Whether the client has taken anything of what is buffered since this was asked last; if so, wait on."""
        left = self.transport.get_write_buffer_size()
        if not left or left >= self._buffered:
            return False
        self._buffered = left
        self.set_deadline(now + self.proxy.limits.send_timeout_s)
        return True

    def close_idle(self) -> None:
        """Close if nothing is under way."""
        if self.talk.state is IDLE and not self._held:
            self.talk.state = NEXT[IDLE][ABORT]
            self._buffered = self.transport.get_write_buffer_size() + 1
            self.set_deadline(self.proxy.clock() + self.proxy.limits.send_timeout_s)
            self.transport.close()

    def drain(self) -> None:
        """No request after the one under way."""
        self.closes = True
        if self.talk.state is IDLE and not self._held:
            limits, now = self.proxy.limits, self.proxy.clock()
            silent_since = self.deadline - (limits.idle_timeout_s if self.talk.exchanges else limits.header_timeout_s)
            self.set_deadline(silent_since + limits.drain_idle_s)
            if self.deadline <= now:
                self.close_idle()

    def cut(self, outcome: str) -> None:
        """At once."""
        self.talk.client_lost(outcome)
        self.transport.abort()

    def look(self) -> None:
        """Half-closed and waiting: is the client still there?"""
        if self.talk.state is WAITING and self.proxy.is_gone(self.transport):
            self.transport.abort()
