"""What happens to what arrives at a listener: the one visible place where the request path is put together.

    tcp      -> Relays       the client's connection, to one endpoint of the backend
    udp      -> Datagrams    the client's flow, to one endpoint of the backend
    http     -> HttpProxy    each request, to one endpoint of the backend
    ingress  -> HttpProxy    each request, by the routes of the listener's table
    dns      -> DnsServer    each question
    health   -> HealthCheck  a node's health check port

For tcp, udp and http the backend is looked up as it is from where the client is (`Table.backend_for`), and an endpoint
is picked by its policy or by the client's affinity. All of a Service port's listeners (cluster IP, node ports) share
one affinity.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from dataplane.balance.affinity import Affinity, StickyBackend
from dataplane.dns.server import DnsServer
from dataplane.health import HealthCheck
from dataplane.l4.datagrams import Datagrams
from dataplane.l4.relay import Pick, Relays, Route
from dataplane.l7.proxy import HttpProxy
from dataplane.listen.accept import MakeProtocol, Service
from dataplane.listen.tls import Certificates
from dataplane.listen.udp import Reader
from dataplane.snapshot.model import Listener
from dataplane.table import Match, Table

WILDCARDS = ("0.0.0.0", "::")


class Serving:
    """Answers for each listener: what serves its connections, what reads its datagrams."""

    def __init__(
        self,
        table: Table,
        proxy: HttpProxy,
        relays: Relays,
        datagrams: Datagrams,
        dns: DnsServer,
        certificates: Certificates,
        clock: Callable[[], float],
    ) -> None:
        self.table = table
        self.proxy = proxy
        self.relays = relays
        self.datagrams = datagrams
        self.dns = dns
        self.certificates = certificates
        self._clock = clock
        self._affinities: dict[tuple[str, float], Affinity] = {}

    @property
    def remembered(self) -> int:
        """Clients of all affinities."""
        return sum(map(len, self._affinities.values()))

    def forget(self) -> None:
        """Listeners have gone: so do affinities that no listener has any more."""
        wanted = {_affinity_key(listener) for listener in self.table.listeners}
        self._affinities = {key: item for key, item in self._affinities.items() if key in wanted}

    def serve(self, listener: Listener) -> Service:
        """What happens to the connections of a listener."""
        match listener.mode:
            case "dns":
                return Service(lambda client: self.dns.stream())
            case "tcp":
                return Service(self._tcp(listener))
            case "health":
                return Service(self._health(listener))
        return Service(self._http(listener), self.certificates.context if listener.tls else None)

    def receive(self, listener: Listener, sock: socket.socket) -> Reader:
        """What happens to the datagrams of a listener."""
        if listener.mode == "dns":
            return Reader(self.dns.receive(sock))
        route_for = self._routes(listener)
        return Reader(self.datagrams.receive(route_for, sock), partial(self.datagrams.closed, sock))

    def _tcp(self, listener: Listener) -> MakeProtocol:
        relays, route_for = self.relays, self._routes(listener)
        return lambda client: relays.protocol(*route_for(client))

    def _routes(self, listener: Listener) -> Callable[[str], tuple[Route, Pick]]:
        """A client's address -> the backend as it is from there, and how the client's endpoint is chosen."""
        table, name, affinity = self.table, listener.name, self._affinity(listener)

        def route_for(client: str) -> tuple[Route, Pick]:
            backend = table.backend_for(listener, client)
            if affinity is None:
                key = b"" if backend.key is None else client.encode()  # there is no request to hash
                return Route(name, backend), lambda tried: backend.pick(tried, self._clock(), key)
            return Route(name, backend), lambda tried: affinity.pick(client, backend, self._clock(), tried)

        return route_for

    def _http(self, listener: Listener) -> MakeProtocol:
        scheme, covers = (b"https", self.certificates.covers) if listener.tls else (b"http", None)
        local = None if listener.address in WILDCARDS else (listener.address, listener.port)
        made = partial(self.proxy.protocol_factory, scheme=scheme, listener=listener.name, covers=covers, local=local)
        if listener.mode == "ingress":
            return made(self.table.resolver(listener))
        table, affinity, plain = self.table, self._affinity(listener), self.table.backend_of(listener)

        def prior() -> bool:
            """Whether a client may begin with HTTP/2 in the clear: where the endpoints speak it."""
            return plain.spec.protocol == "h2c"

        def make(client: str) -> asyncio.Protocol:
            sticky: StickyBackend | None = None

            def resolve(host: bytes, path: bytes) -> Match:
                nonlocal sticky
                backend = table.backend_for(listener, client)
                if affinity is None:
                    return Match(backend, "")
                if sticky is None or sticky.of is not backend:
                    sticky = StickyBackend(backend, affinity, client, self._clock)
                return Match(sticky.follow(), "")

            return made(resolve, prior=prior)(client)

        return make

    def _health(self, listener: Listener) -> MakeProtocol:
        def count() -> int:
            endpoints = self.table.backend_of(listener).endpoints.values()
            return sum(endpoint.phase == "ready" and endpoint.spec.node == listener.node for endpoint in endpoints)

        service = listener.backend.partition(":")[0]
        return lambda client: HealthCheck(service, count)

    def _affinity(self, listener: Listener) -> Affinity | None:
        """The memory of a Service port, which all its listeners (cluster IP, node ports) share."""
        if not listener.affinity_timeout_s:
            return None
        return self._affinities.setdefault(_affinity_key(listener), Affinity(listener.affinity_timeout_s))


def _affinity_key(listener: Listener) -> tuple[str, float]:
    return listener.backend, listener.affinity_timeout_s
