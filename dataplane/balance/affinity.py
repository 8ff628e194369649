"""Session affinity ClientIP: a client comes back to the endpoint that it had.

As kube-proxy does it (KEP-3866): the memory is per Service port, keyed by the client's address, and slides: each new
connection within `timeout_s` of the one before goes to the same endpoint and begins the time anew. A memory of an
endpoint that may not be picked any more (an ejected one, too) is ignored and replaced, because the rules are always
those of the current endpoints. Affinity says nothing about connections that are open: in a proxy that balances per
request, all requests of one client's connections follow it, since they come from one address.

Everything on one machine comes from 127.0.0.1 and is one client; a load generator that wants to be many binds other
addresses of 127.0.0.0/8.

At most `CLIENTS_MAX` clients are remembered; beyond, the one that was not seen for the longest time is forgotten.
Entries are kept in the order of their last use, so expired ones are found at the front, a few at each use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from dataplane.balance.backend import Backend, Endpoint

CLIENTS_MAX = 65_536  # 16 bits of clients; about 200 bytes each
SWEEP = 2  # expired entries removed at a use: more than the one that a use can add, so the rest shrinks


class Affinity:
    """Which client has which endpoint of one listener's backend."""

    __slots__ = ("_clients", "_clients_max", "_timeout_s")

    def __init__(self, timeout_s: float, clients_max: int = CLIENTS_MAX) -> None:
        self._timeout_s = timeout_s
        self._clients_max = clients_max
        self._clients: dict[str, tuple[str, float]] = {}  # address -> (endpoint's id, end of validity)

    def __repr__(self) -> str:
        return f"Affinity({self._timeout_s:g} s, {len(self._clients)} clients)"

    def __len__(self) -> int:
        return len(self._clients)

    def pick(self, client: str, backend: Backend, now: float, tried: Collection[str] = ()) -> Endpoint | None:
        """Lease the client's endpoint, or another one if it has none (any more), and remember it from `now`."""
        self._sweep(now)
        known = self._clients.pop(client, None)
        endpoint = None
        if known is not None and known[1] > now and known[0] not in tried:
            endpoint = backend.take(known[0], now)
        if endpoint is None:
            endpoint = backend.pick(tried, now)
        if endpoint is None:
            return None
        if len(self._clients) >= self._clients_max:
            del self._clients[next(iter(self._clients))]
        self._clients[client] = (endpoint.id, now + self._timeout_s)
        return endpoint

    def _sweep(self, now: float) -> None:
        for _ in range(SWEEP):
            client = next(iter(self._clients), None)
            if client is None or self._clients[client][1] > now:
                return
            del self._clients[client]


class StickyBackend(Backend):
    """A backend as one client sees it: picks follow the client's affinity, all else is the backend's own.

    It lives as long as a connection. Whoever hands it out calls `follow` before each request, since the backend's
    spec may have changed since the last one.
    """

    __slots__ = ("_affinity", "_client", "_clock", "of")

    def __init__(self, of: Backend, affinity: Affinity, client: str, clock: Callable[[], float]) -> None:
        super().__init__(
            of.name, of.random, endpoints=of.endpoints, reads_terminating=of.reads_terminating, place=of.place
        )
        self.of = of
        self._affinity = affinity
        self._client = client
        self._clock = clock
        self.follow()

    def follow(self) -> StickyBackend:
        """Be what the backend is now."""
        self.spec = self.of.spec
        self.known = self.of.known
        self.share_feedback(self.of)
        return self

    @property
    def usable(self) -> tuple[Endpoint, ...]:
        return self.of.usable

    def pick(self, tried: Collection[str] = (), now: float = 0.0, key: bytes = b"") -> Endpoint | None:
        return self._affinity.pick(self._client, self.of, self._clock(), tried)

    def take(self, id: str, now: float = 0.0) -> Endpoint | None:
        return self.of.take(id, now)
