"""Relays TCP connections to the endpoints of a backend: what kube-proxy's rules do, in user space.

An endpoint is picked when a client is accepted, and that is the connection's endpoint until its end, whatever becomes
of it meanwhile: established connections survive an endpoint's removal (conntrack keeps TCP entries). Where nothing
answers there is no second try unless the backend's retry policy asks for it; the client is reset, as it would have
been by the pod's host. A connection that outlives the last endpoint's removal from the queue finds none and is reset
too, the nearest to "refused" that is left after the kernel has accepted.

Bytes are passed on as they come. When one side takes them more slowly than the other gives them, at most `HIGH_WATER`
bytes wait here and the giving side is not read (its own TCP window then closes). Between the accept and the endpoint's
answer at most one read of the client's bytes is kept.

There is no idle timeout: kube-proxy's is conntrack's 24 hours, and the number of connections is bounded where they
are accepted. A connection that one side has ended is given `HALF_CLOSED_S` for the other. `connections_max`,
`pending_max` and the timeouts for responses are of requests and not used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast

from dataplane.l4.session import DialFailure, Event, State, is_clean, outcome, step
from dataplane.metrics.flows import FlowFields
from dataplane.table import Backend, Endpoint

log = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024  # bytes that may wait for a slow side; nginx's stream proxy_buffer_size is 16k
HALF_CLOSED_S = 3600.0  # kube-proxy's conntrack.tcpCloseWaitTimeout
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL)  # ours to blame, not the endpoint
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST and discards what is unsent

Pick = Callable[[Collection[str]], Endpoint | None]
"""Leases an endpoint that is not among those tried."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a listener's connections have in common."""

    listener: str
    backend: Backend


class Relays:
    """All relayed connections of a worker: makes them, counts them, ends them at the end of a drain."""

    def __init__(
        self, record: Callable[[FlowFields], None], clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.record = record
        self.clock = clock
        self.wall = wall
        self._live: set[Relay] = set()
        self._empty: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"Relays({len(self._live)} connections)"

    def __len__(self) -> int:
        return len(self._live)

    def protocol(self, route: Route, pick: Pick) -> asyncio.Protocol:
        """The protocol of one accepted connection, which will be relayed to what `pick` leases."""
        return Relay(self, route, pick).client

    def abort(self) -> None:
        """Reset all connections that are left."""
        for relay in tuple(self._live):
            relay.on("drained")

    def add(self, relay: Relay) -> None:
        self._live.add(relay)

    def discard(self, relay: Relay) -> None:
        self._live.discard(relay)
        if self._empty is not None and not self._live:
            self._empty.set()

    async def drained(self, timeout: float) -> bool:
        """Wait until all connections have ended; False if some have not within `timeout` seconds."""
        if self._live:
            self._empty = asyncio.Event()
            try:
                await asyncio.wait_for(self._empty.wait(), timeout)
            except TimeoutError:
                return False
        return True


class Side(asyncio.Protocol):
    """One of a relay's two sockets: passes what it reads to the other side."""

    __slots__ = ("bytes", "eof", "lost", "other", "relay", "transport")

    def __init__(self, relay: Relay, eof: Event, lost: Event) -> None:
        self.relay = relay
        self.eof: Event = eof
        self.lost: Event = lost
        self.bytes = 0
        self.transport: asyncio.Transport | None = None
        self.other: asyncio.Transport | None = None  # None until both are connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        transport.set_write_buffer_limits(high=HIGH_WATER)
        if self is self.relay.client:
            self.relay.begin()

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.other is not None:
            self.other.write(data)
        else:
            self.relay.hold(data)

    def eof_received(self) -> bool:
        self.relay.on(self.eof)
        return True  # our sending half stays open

    def pause_writing(self) -> None:
        source = self.relay.endpoint_side if self is self.relay.client else self.relay.client
        if source.transport is not None:
            source.transport.pause_reading()

    def resume_writing(self) -> None:
        source = self.relay.endpoint_side if self is self.relay.client else self.relay.client
        if source.transport is not None and not source.transport.is_closing():
            source.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = self.other = None
        self.relay.on(self.lost)
        self.relay.closed()


class Relay:
    """One connection: client, endpoint, and what becomes of both."""

    __slots__ = ("_attempts", "_began", "_connect_s", "_dial", "_dialed_at", "_endpoint", "_expiry", "_held", "_phase",
                 "_pick", "_relays", "_route", "client", "endpoint_side", "first_byte_s", "state")  # fmt: skip

    def __init__(self, relays: Relays, route: Route, pick: Pick) -> None:
        self.client = Side(self, "client-eof", "client-lost")
        self.endpoint_side = EndpointSide(self, "endpoint-eof", "endpoint-lost")
        self.state: State = "dialing"
        self.first_byte_s = -1.0
        self._relays = relays
        self._route = route
        self._pick = pick
        self._endpoint: Endpoint | None = None
        self._phase = ""
        self._attempts = 0
        self._connect_s = -1.0
        self._began = 0.0
        self._dialed_at = 0.0
        self._held = b""
        self._dial: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Relay({self._route.listener} to {self._endpoint}, {self.state})"

    def begin(self) -> None:
        """The client is there: pick and dial, in one breath."""
        self._began = self._relays.clock()
        self._relays.add(self)
        endpoint = self._lease(())
        if endpoint is None:
            self._finish("no_endpoint", reset=True)
            return
        self._dial = asyncio.get_running_loop().create_task(self._connect(endpoint))

    def hold(self, data: bytes) -> None:
        """Bytes of the client while there is no endpoint yet: this much and no more."""
        self._held += data
        if self.client.transport is not None:
            self.client.transport.pause_reading()

    def closed(self) -> None:
        """A socket is closed: when it was the last one, what it had to send is sent and the relay is forgotten."""
        if self.state == "ended" and self.client.transport is None and self.endpoint_side.transport is None:
            self._relays.discard(self)
            # the two sides and the relay hold each other: let them go now, not when the collector comes by
            del self.client, self.endpoint_side

    def elapsed(self) -> float:
        return self._relays.clock() - self._began

    def on(self, event: Event) -> None:
        """One event of the session's table, and what follows from it."""
        before = self.state
        if before == "ended":
            return
        self.state = step(before, event)
        if self.state == "ended":
            if is_clean(event):
                self._shut(event)
            self._finish(outcome(before, event), reset=not is_clean(event))
        elif event == "connected":
            self._connect_s = self._relays.clock() - self._dialed_at
            self._join()
        elif before == "open":
            self._shut(event)
            self._await_other_side()

    def _lease(self, tried: Collection[str]) -> Endpoint | None:
        endpoint = self._pick(tried)
        if endpoint is not None:
            self._attempts += 1
            self._endpoint = endpoint
            self._phase = endpoint.phase
        return endpoint

    async def _connect(self, endpoint: Endpoint) -> None:
        spec = self._route.backend.spec
        tries = spec.tries_max if spec.retry == "ingress-nginx" else 1
        tried = [endpoint.id]
        while True:
            failure = await self._dial_once(endpoint, spec.connect_timeout_s)
            backend = self._route.backend
            if backend.feedback is not None and failure != "overload":
                backend.answered(endpoint, failure is None, self._connect_s, self._relays.clock())
            if failure is None or self.state not in ("dialing", "dialing-ended"):
                self._dial = None  # or this task would live as long as the connection
                return
            endpoint.failed += 1
            following = self._lease(tried) if failure != "overload" and len(tried) < tries else None
            if following is None:
                self.on(failure)
                return
            self._route.backend.release(endpoint)
            endpoint = following
            tried.append(endpoint.id)

    async def _dial_once(self, endpoint: Endpoint, timeout_s: float) -> DialFailure | None:
        loop, spec, side = asyncio.get_running_loop(), endpoint.spec, self.endpoint_side
        self._dialed_at = self._relays.clock()
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(lambda: side, spec.address, spec.port)
        except TimeoutError:
            return "timeout"
        except OSError as error:
            if error.errno in EXHAUSTED:
                log.warning("%s: cannot connect to %s: %s", self._route.listener, endpoint, error)
                return "overload"
            return "refused"
        return None

    def _join(self) -> None:
        client, endpoint = self.client.transport, self.endpoint_side.transport
        assert client is not None
        assert endpoint is not None
        self.client.other, self.endpoint_side.other = endpoint, client
        if self._held:
            endpoint.write(self._held)
            self._held = b""
            client.resume_reading()
        if self.state == "to-client":
            endpoint.write_eof()
            self._await_other_side()

    def _await_other_side(self) -> None:
        self._expiry = asyncio.get_running_loop().call_later(HALF_CLOSED_S, self.on, "expired")

    def _shut(self, event: Event) -> None:
        """Pass a FIN on."""
        target = self.endpoint_side.transport if event == "client-eof" else self.client.transport
        if target is not None and not target.is_closing():
            with contextlib.suppress(OSError):
                target.write_eof()

    def _finish(self, result: str, *, reset: bool) -> None:
        self.state = "ended"
        if self._dial is not None and self._dial is not asyncio.current_task():
            self._dial.cancel()
        self._dial = None
        if self._expiry is not None:
            self._expiry.cancel()
        for side in (self.client, self.endpoint_side):
            if side.transport is not None:
                _abort(side.transport) if reset else side.transport.close()
        endpoint = self._endpoint
        if endpoint is not None:
            self._route.backend.release(endpoint)
        self._relays.record((
            self._relays.wall(),
            self._route.listener,
            "",
            self._route.backend.name,
            endpoint.id if endpoint else "",
            endpoint.spec.target if endpoint else "",
            self._phase,
            endpoint.phase if endpoint else "",
            self._attempts,
            b"",
            0,
            self.client.bytes,
            self.endpoint_side.bytes,
            self._connect_s,
            self.first_byte_s,
            self.elapsed(),
            result,
        ))  # fmt: skip


class EndpointSide(Side):
    """The endpoint's socket: joins the two as soon as it is connected, and notes when the answer began."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.relay.state == "ended":
            transport.close()
        else:
            self.relay.on("connected")  # now and not when the dial's task wakes: an endpoint may speak first

    def data_received(self, data: bytes) -> None:
        if not self.bytes:
            self.relay.first_byte_s = self.relay.elapsed()
        self.bytes += len(data)
        if self.other is not None:
            self.other.write(data)


def _abort(transport: asyncio.Transport) -> None:
    """End a connection with RST."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
