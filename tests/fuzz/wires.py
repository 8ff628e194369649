"""Connections in memory: transports without sockets, an endpoint that h11 speaks for, and the proxy between them.

Nothing here awaits: what one side writes lies in the wire until `Lab.turn` hands it on, so an input's whole life is one
call and happens in the same order every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import h11

from dataplane.l7.proxy import HttpProxy
from dataplane.l7.upstream import Upstream
from dataplane.pool.multiplexed import MultiplexedPool
from dataplane.pool.pool import Pool
from dataplane.snapshot import model
from dataplane.table import Match, Table
from tests.fuzz import inputs
from tests.fuzz.oracle import EVENT_MAX, Message

UNASKED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


class Wire:
    """A transport. `sent` is what its protocol wrote and the peer has not taken yet."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.sent = bytearray()
        self.paused = self.closing = self.lost = self.aborted = self.half_closed = False

    def write(self, data: bytes) -> None:
        assert not self.half_closed, "written after the end"
        if not self.closing:
            self.sent += data

    def write_eof(self) -> None:
        self.half_closed = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered here."""

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("192.0.2.1", 1), "sockname": ("127.0.0.1", 80)}.get(name)

    def take(self) -> bytes:
        data = bytes(self.sent)
        self.sent.clear()
        return data

    def end(self) -> None:
        """The event loop's last call, once."""
        if self.closing and not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)


@dataclass(slots=True)
class Reply:
    """What an endpoint said to one request. `body` is None where its bytes were garbled on purpose."""

    request: Message
    body: bytes | None
    data: bytes
    closes: bool
    surplus: bool = False  # something that nobody asked for comes after it


class Endpoint:
    """The far end of an upstream connection: h11 reads what comes and a die says what is answered."""

    def __init__(self, wire: Wire, dice: Random, log: list[Reply], serial: Callable[[], int]) -> None:
        self.wire = wire
        self.dice = dice
        self.log = log
        self.serial = serial
        self.server = h11.Connection(h11.SERVER, EVENT_MAX)
        self.request: Message | None = None
        self.problem = ""

    def read(self, data: bytes) -> None:
        """What the proxy sent; answers to it go to the proxy at once."""
        self.server.receive_data(data)
        try:
            while not self.wire.closing:
                event = self.server.next_event()
                if isinstance(event, h11.Request):
                    self.request = Message(event.method, event.target)
                elif isinstance(event, h11.Data) and self.request is not None:
                    self.request.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage) and self.request is not None:
                    self.request.complete = True
                    self._answer(self.request)
                else:
                    return
        except h11.RemoteProtocolError as error:
            self.problem = f"the endpoint cannot read what goes on: {error}"

    def _answer(self, request: Message) -> None:
        reply = self._reply(request)
        self.log.append(reply)
        pieces = inputs.cut(self.dice, reply.data)
        if reply.surplus and self.dice.random() < 0.5:
            pieces[-1] += UNASKED
            reply.surplus = False
        for piece in pieces:
            if not self.wire.closing:
                self.wire.protocol.data_received(piece)
        # once the connection is lent again no HTTP/1.1 client can tell surplus from an answer, so only before
        if reply.surplus and self.wire.protocol.user is None and not self.wire.closing:
            self.wire.protocol.data_received(UNASKED)
        if reply.closes and not self.wire.closing:
            self.wire.protocol.eof_received()
            self.wire.closing = True
        if not reply.closes:
            self.server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            self.server.send(h11.EndOfMessage())
            if self.server.their_state is h11.DONE and self.server.our_state is h11.DONE:
                self.server.start_next_cycle()

    def _reply(self, request: Message) -> Reply:
        """Mostly a good answer, with a body that no other answer has."""
        dice = self.dice
        body = b"<%d>" % self.serial() + b"x" * dice.choice((0, 0, 1, 40))
        what = dice.randrange(13)
        closes = False
        if what < 6:
            data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        elif what < 8:
            data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif what == 8:
            data, closes = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, True
        elif what == 9:
            data = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
                len(body),
                body,
            )
        elif what == 10:  # and something that nobody asked for
            data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            if request.method != b"HEAD":
                return Reply(request, body, data, False, surplus=True)
        else:
            data = inputs.mutated(dice, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return Reply(request, None, data, True)
        if request.method == b"HEAD":
            head, _, _ = data.partition(b"\r\n\r\n" if what != 9 else b"\r\n\r\nHTTP")
            data = head + b"\r\n\r\n" if what != 9 else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            body = b""
        return Reply(request, body, data, closes)


class MemoryProxy(HttpProxy):
    """Dials are noted instead of made."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(lambda record: None, clock=clock, is_gone=lambda transport: False)
        self.wanted: list[Pool] = []

    def _dial(self, pool: Pool | MultiplexedPool) -> None:
        assert isinstance(pool, Pool)  # the lab's one endpoint speaks HTTP/1
        self.wanted.append(pool)


class Lab:
    """One proxy with one endpoint, kept over all inputs so that pooled connections and memories pass from one to the
    next.
    """

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.now = 0.0
        self.proxy = MemoryProxy(lambda: self.now)
        self.table = Table(dice.random)
        route = model.Route("r", "t", "", "/", "Prefix", "b", ("", "", 0))
        place = model.Endpoint("b", "e", "127.0.0.1", 1, ready=True, serving=True, terminating=False)
        self.table.apply(model.Update(1, True, (route, model.Backend("b", policy="round-robin"), place), ()))
        self.connect = self.proxy.protocol_factory(self._resolve, listener="fuzz")
        self.endpoints: list[Endpoint] = []
        self.replies: list[Reply] = []
        self._serial = 0

    def _resolve(self, host: bytes, path: bytes) -> Match | None:
        return self.table.resolve("t", host, path)

    @property
    def leases(self) -> int:
        backend = self.table.backend("b")
        assert backend is not None
        return sum(endpoint.active for endpoint in backend.endpoints.values())

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def turn(self) -> None:
        """Hand on whatever lies in wires between proxy and endpoint until nothing moves."""
        moving = True
        while moving:
            moving = False
            while self.proxy.wanted:
                moving = True
                self._dialed(self.proxy.wanted.pop(0))
            for endpoint in tuple(self.endpoints):
                if data := endpoint.wire.take():
                    moving = True
                    endpoint.read(data)
                if endpoint.wire.closing:
                    moving = True
                    self.endpoints.remove(endpoint)
                    endpoint.wire.end()

    def _dialed(self, pool: Pool) -> None:
        upstream = Upstream(self.proxy, pool, self.now)
        wire = Wire(upstream)
        self.endpoints.append(Endpoint(wire, self.dice, self.replies, self.serial))
        upstream.connection_made(wire)  # type: ignore[arg-type]  # a transport as far as the proxy asks of one
