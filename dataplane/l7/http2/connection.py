"""One HTTP/2 connection on a transport, whichever end of it we are: bytes to events, and what to send to bytes.

What was read is handed to the link in slices, and answered after each, so that a burst of frames is noticed by the
guard and its answers are written before all of it was looked at. Everything that streams want to send goes through the
outbox, as fast as the transport takes it; a peer that takes nothing while its requests need answers is not read either.

The subclass says what events mean (`handlers`), and what becomes of its streams when the connection breaks (`broken`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, ResponseReceived, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from dataplane.l7.deadlines import NEVER
from dataplane.l7.http2.guard import Guard
from dataplane.l7.http2.link import FRAME_SIZE, Link
from dataplane.l7.http2.outbox import Outbox

if TYPE_CHECKING:
    from dataplane.l7.proxy import HttpProxy

SLICE: Final = FRAME_SIZE
"""How much is looked at before the guard is asked and answers are written."""

UNREAD_MAX: Final = 256 * 1024
"""What may wait in the transport's buffer before the peer is not read: four of its high-water marks. Heads and
acknowledgements go there without asking; data stops at the first mark."""

PRODUCTIVE: Final = (RequestReceived, ResponseReceived, TrailersReceived)


class Connection(asyncio.Protocol):
    """A connection, its streams by their numbers, and the one way out."""

    __slots__ = ("_feeding", "_unread", "bucket", "deadline", "ended", "full", "guard", "handlers", "link", "outbox",
                 "proxy", "transport")  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, proxy: HttpProxy, *, is_client: bool) -> None:
        self.proxy = proxy
        self.deadline = self.bucket = NEVER
        self.full = False  # the transport takes no more for now
        self.ended = False  # we said our last word
        self._feeding = False
        self._unread = False
        self.guard = Guard(proxy.clock())
        self.link = Link(is_client=is_client, list_max=proxy.limits.head_max)
        self.outbox = Outbox(proxy.limits.buffer_high)
        self.handlers: dict[type[Event], Callable[[Any], None]] = {}

    # the event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=self.proxy.limits.buffer_high)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._feeding = True
        try:
            for at in range(0, len(data), SLICE):
                if self.ended:
                    return
                self._feed(data[at : at + SLICE] if len(data) > SLICE else data)
                self.flush()
        finally:
            self._feeding = False
        if self.full and not self._unread and self.transport.get_write_buffer_size() > UNREAD_MAX:
            self._unread = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        return False  # no half of an HTTP/2 connection is of any use

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._unread:
            self._unread = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
        self.flush()

    # in

    def _feed(self, data: bytes) -> None:
        link, now = self.link, self.proxy.clock()
        before = link.frames
        try:
            events = link.receive_data(data)
        except ProtocolError as error:
            self._fail(error.error_code, str(error), "protocol_error")
            return
        useful = resets = 0
        for event in events:
            if self.ended:
                return
            kind = type(event)
            if kind in PRODUCTIVE or (kind is DataReceived and (event.data or event.stream_ended)):  # type: ignore[attr-defined]
                useful += 1
            elif kind is StreamReset:
                resets += 1
            handler = self.handlers.get(kind)
            if handler is not None:
                handler(event)
        if resets and not self.guard.resets(resets, now):
            self.flooded("too many streams were reset")
        elif not self.guard.frames(max(0, link.frames - before - useful), now):
            self.flooded("too many frames that ask for nothing")

    def flooded(self, why: str) -> None:
        """The peer has used up its account."""
        if not self.ended:
            self.link.go_away(self.last_stream(), ErrorCodes.ENHANCE_YOUR_CALM, why.encode())
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, why, "flood")

    def last_stream(self) -> int:
        """The last of the peer's streams that was or may have been acted upon."""
        return self.link.highest_inbound_stream_id

    def _fail(self, code: int, why: str, counted: str) -> None:
        """The connection is of no use any more; the link has written a GOAWAY."""
        self.proxy.counts[counted] += 1
        self.proxy.tell(logging.INFO, "an HTTP/2 connection is ended: %s", why)
        self._write()
        self.ended = True
        self.broken(why)

    def broken(self, why: str) -> None:
        """The connection must end and its streams with it."""
        raise NotImplementedError

    # out

    def touch(self) -> None:
        """There is something to send: at once, or after what is being read."""
        if not self._feeding:
            self.flush()

    def flush(self) -> None:
        """Send what may be sent."""
        if not self.ended:
            self._pump()

    def _pump(self) -> None:
        outbox = self.outbox
        before = outbox.frames
        while outbox.waiting and not self.full and outbox.pump(self.link, self.proxy.limits.buffer_high):
            self._write()
        self._write()
        if outbox.frames != before:
            self.guard.earn(outbox.frames - before)

    def _write(self) -> None:
        data = self.link.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    # time

    def set_deadline(self, deadline: float) -> None:
        """What is awaited now must come until then."""
        self.deadline = deadline
        if deadline < self.bucket:
            self.proxy.wheel.watch(self)

    def expired(self, now: float) -> None:
        """The wheel's call: it did not come."""
        raise NotImplementedError
