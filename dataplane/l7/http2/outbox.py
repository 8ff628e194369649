"""What waits to be sent on a connection's streams, and whose turn it is.

Data may go out as far as three windows allow: the stream's and the connection's, which the peer opens, and the
socket's. What may not go yet waits here, each stream's in its own line, and the lines take turns, a frame each, so that
one large answer does not stand before many small ones. A stream whose line is longer than `high` is full, and not so
any more when it is a quarter of that (asyncio's own ratio of water marks): in between its source is not read.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from dataplane.l7.http2.link import Headers, Link


class Outgoing(Protocol):
    """A stream that sends."""

    id: int
    line: Line

    def filled(self) -> None:
        """The line is long."""

    def drained(self) -> None:
        """It is short again."""

    def sent_all(self) -> None:
        """The end is out."""


class Line:
    """One stream's data that waits, and how it ends."""

    __slots__ = ("end", "full", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: deque[bytes | memoryview] = deque()
        self.size = 0
        self.full = False
        self.end: Headers | None = None  # the trailers, perhaps none, once the end is known


class Outbox:
    """The lines of a connection."""

    __slots__ = ("_high", "frames", "waiting")

    def __init__(self, high: int) -> None:
        self._high = high
        self.waiting: dict[int, Outgoing] = {}  # in order of their turns
        self.frames = 0  # of data, sent so far

    def __repr__(self) -> str:
        size = sum(stream.line.size for stream in self.waiting.values())
        return f"Outbox({size} bytes of {len(self.waiting)} streams)"

    def put(self, stream: Outgoing, data: bytes) -> None:
        """Append to a stream's line; `pump` sends."""
        line = stream.line
        if data:
            line.pieces.append(data)
            line.size += len(data)
        self.waiting[stream.id] = stream

    def finish(self, stream: Outgoing, trailers: Headers) -> None:
        """Nothing comes after what is in the line but these."""
        stream.line.end = trailers
        self.waiting[stream.id] = stream

    def drop(self, stream: Outgoing) -> None:
        """The stream is over: forget its line."""
        self.waiting.pop(stream.id, None)
        stream.line = Line()

    def pump(self, link: Link, budget: int) -> int:
        """Hand up to about `budget` bytes to `link`, in turns; how many it were, ends counting one."""
        handed = 0
        stuck = 0  # turns in a row in which nothing could be sent
        while self.waiting and handed < budget and stuck < len(self.waiting):
            id, stream = next(iter(self.waiting.items()))
            del self.waiting[id]
            sent = self._turn(link, stream)
            line = stream.line
            if line.size:
                self.waiting[id] = stream
            stuck = 0 if sent else stuck + 1
            handed += sent
        for stream in tuple(self.waiting.values()):
            if stream.line.size > self._high and not stream.line.full:
                stream.line.full = True
                stream.filled()
        return handed

    def _turn(self, link: Link, stream: Outgoing) -> int:
        """One frame of the stream, or its end."""
        line = stream.line
        sent = 0
        if not link.takes(stream.id):
            return 0  # reset, of which its owner will hear presently
        if line.size:
            room = link.room(stream.id)
            if room <= 0:
                return 0
            data = self._take(line, room)
            last = line.end is not None and not line.size and not line.end
            link.send_data(stream.id, data, end_stream=last)
            self.frames += 1
            sent = len(data)
            if line.full and line.size <= self._high // 4:
                line.full = False
                stream.drained()
            if last:
                stream.sent_all()
                return sent
        if line.end is not None and not line.size:
            if line.end:
                link.send_headers(stream.id, line.end, end_stream=True)
            else:
                link.end_stream(stream.id)
            stream.sent_all()
            return sent + 1
        return sent

    def _take(self, line: Line, room: int) -> bytes:
        """Up to `room` bytes from the line's head, joined: small pieces share a frame."""
        pieces = line.pieces
        taken: list[bytes | memoryview] = []
        left = room
        while pieces and left:
            piece = pieces.popleft()
            if len(piece) > left:
                view = memoryview(piece)
                pieces.appendleft(view[left:])
                piece = view[:left]
            taken.append(piece)
            left -= len(piece)
        line.size -= room - left
        return b"".join(taken)
