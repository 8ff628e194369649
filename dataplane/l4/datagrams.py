"""Passes datagrams on to the endpoints of a backend: what kube-proxy's rules and conntrack do for UDP, in user space.

A flow is what conntrack takes for one: all datagrams from one client address and port to one listener. Its first
datagram picks the endpoint, and the flow keeps it, until nothing has passed for `UNREPLIED_S` (nothing ever came back)
or `REPLIED_S` (something did). Other than TCP connections, flows end with their endpoint: once it may not be picked any
more kube-proxy clears their conntrack entries, or a client that never pauses would talk to a dead address for ever.

Each flow has a socket of its own, connected to the endpoint, so that answers find their way back and the kernel
refuses what comes from elsewhere. Nothing is buffered: a datagram that a socket does not take at once is dropped, as is
one that finds no endpoint, and the flow's record counts what passed. At most `FLOWS_MAX` flows a worker; beyond, or
when descriptors run out, the one that was idle for the longest time ends early, as conntrack drops early.

A wake-up reads at most `BATCH` datagrams of a socket, so that a flood takes turns with everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterable

from dataplane.l4.relay import Pick, Route
from dataplane.metrics.flows import FlowFields
from dataplane.table import Endpoint

UNREPLIED_S = 30.0  # net.netfilter.nf_conntrack_udp_timeout
REPLIED_S = 120.0  # net.netfilter.nf_conntrack_udp_timeout_stream
FLOWS_MAX = 8192  # a descriptor each
BATCH = 64
DATAGRAM_BYTES = 65_535
SWEEP_S = 5.0
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Client = tuple[str, int] | tuple[str, int, int, int]


class Datagrams:
    """All UDP flows of a worker; the least recently used one first."""

    def __init__(
        self,
        record: Callable[[FlowFields], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        flows_max: int = FLOWS_MAX,
    ) -> None:
        self.clock = clock
        self.dropped = 0  # datagrams without an endpoint or a socket, or that a socket did not take
        self._record = record
        self._wall = wall
        self._flows_max = flows_max
        self._flows: dict[tuple[int, Client], Flow] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Datagrams({len(self._flows)} flows, {self.dropped} dropped)"

    def __len__(self) -> int:
        return len(self._flows)

    def receive(self, route_for: Callable[[str], tuple[Route, Pick]], sock: socket.socket) -> Callable[[], None]:
        """What reads a listener's socket (`listen.udp`); `route_for` a client's address says how it is balanced."""
        recvfrom, flows, number = sock.recvfrom, self._flows, sock.fileno()

        def on_readable() -> None:
            for _ in range(BATCH):
                try:
                    data, client = recvfrom(DATAGRAM_BYTES)
                except OSError:  # nothing more; or an ICMP error about some answer of the past
                    return
                flow = flows.pop((number, client), None) or self._begin(sock, client, route_for)
                if flow is None:
                    self.dropped += 1
                    continue
                flows[number, client] = flow
                flow.forward(data)

        return on_readable

    def endpoints_changed(self, endpoints: Iterable[Endpoint]) -> None:
        """After an update: flows to endpoints that must not be used any more end."""
        gone = {id(endpoint) for endpoint in endpoints if endpoint.phase not in ("ready", "serving-terminating")}
        if gone:
            for flow in [flow for flow in self._flows.values() if id(flow.endpoint) in gone]:
                self.end(flow, "reset")

    def closed(self, sock: socket.socket) -> None:
        """A listener's socket is about to be closed."""
        for key, flow in tuple(self._flows.items()):
            if key[0] == sock.fileno():
                self.end(flow, "ok")

    def close(self) -> None:
        """End all flows."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for flow in tuple(self._flows.values()):
            self.end(flow, "drained")

    def end(self, flow: Flow, outcome: str) -> None:
        """The flow's endpoint is given back and the flow recorded; its next datagram begins another one."""
        self._flows.pop(flow.key, None)
        asyncio.get_running_loop().remove_reader(flow.sock)
        flow.sock.close()
        flow.route.backend.release(flow.endpoint)
        now = self.clock()
        self._record((
            self._wall(), flow.route.listener, "", flow.route.backend.name, flow.endpoint.id, flow.endpoint.spec.target,
            flow.phase, flow.endpoint.phase, 1, b"", 0, flow.bytes_in, flow.bytes_out, -1.0, flow.first_byte_s,
            now - flow.began, outcome,
        ))  # fmt: skip

    def _begin(
        self, listening: socket.socket, client: Client, route_for: Callable[[str], tuple[Route, Pick]]
    ) -> Flow | None:
        route, pick = route_for(client[0])
        endpoint = pick(())
        if endpoint is None:
            return None
        if len(self._flows) >= self._flows_max:
            self._end_oldest()
        sock = self._connected(endpoint)
        if sock is None:
            endpoint.failed += 1
            route.backend.release(endpoint)
            return None
        flow = Flow(self, listening, client, sock, route, endpoint)
        asyncio.get_running_loop().add_reader(sock, flow.on_readable)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._on_sweep)
        return flow

    def _connected(self, endpoint: Endpoint) -> socket.socket | None:
        spec = endpoint.spec
        family = socket.AF_INET6 if ":" in spec.address else socket.AF_INET
        for again in (True, False):
            try:
                sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            except OSError as error:
                if again and error.errno in EXHAUSTED and self._end_oldest():
                    continue
                return None
            try:
                sock.connect((spec.address, spec.port))
            except OSError:
                sock.close()
                return None
            return sock
        return None

    def _end_oldest(self) -> bool:
        oldest = next(iter(self._flows.values()), None)
        if oldest is None:
            return False
        self.end(oldest, "overload")
        return True

    def _on_sweep(self) -> None:
        self._sweep = None
        now = self.clock()
        for flow in [flow for flow in self._flows.values() if flow.expires_at <= now]:
            self.end(flow, "ok" if flow.bytes_out else "timeout")
        if self._flows:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._on_sweep)


class Flow:
    """One client's datagrams to one endpoint, and back."""

    __slots__ = ("_all", "_client", "_listening", "began", "bytes_in", "bytes_out", "endpoint", "expires_at",
                 "first_byte_s", "key", "phase", "route", "sock")  # fmt: skip

    def __init__(
        self,
        all_: Datagrams,
        listening: socket.socket,
        client: Client,
        sock: socket.socket,
        route: Route,
        endpoint: Endpoint,
    ) -> None:
        self._all = all_
        self._listening = listening
        self._client = client
        self.key = listening.fileno(), client
        self.sock = sock
        self.route = route
        self.endpoint = endpoint
        self.phase = endpoint.phase
        self.bytes_in = self.bytes_out = 0
        self.began = all_.clock()
        self.expires_at = self.began + UNREPLIED_S
        self.first_byte_s = -1.0

    def __repr__(self) -> str:
        return f"Flow({self._client} to {self.endpoint}, {self.bytes_in} bytes in, {self.bytes_out} out)"

    def forward(self, data: bytes) -> None:
        """A datagram of the client's."""
        self._used()
        for _ in range(2):
            try:
                self.sock.send(data)
            except ConnectionRefusedError:  # an ICMP error about an earlier one; this one is not sent yet
                self.endpoint.failed += 1
            except OSError:  # no room
                break
            else:
                self.bytes_in += len(data)
                return
        self._all.dropped += 1

    def on_readable(self) -> None:
        """Datagrams of the endpoint's."""
        for _ in range(BATCH):
            try:
                data = self.sock.recv(DATAGRAM_BYTES)
            except OSError as error:  # nothing more, or an ICMP error
                if error.errno == errno.ECONNREFUSED:
                    self.endpoint.failed += 1
                return
            if not self.bytes_out:
                self.first_byte_s = self._all.clock() - self.began
            self.bytes_out += len(data)
            self._used()
            with contextlib.suppress(OSError):
                self._listening.sendto(data, self._client)

    def _used(self) -> None:
        self.expires_at = self._all.clock() + (REPLIED_S if self.bytes_out else UNREPLIED_S)
