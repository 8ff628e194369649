"""How much one client may ask for: nginx's limit_req (without delay) and limit_conn.

`limit_req` is a leaky bucket: each request adds one, `rate` of them run out every second, and a request that finds more
than `burst` in it is refused and adds nothing. So after a pause `burst + 1` requests pass at once. ingress-nginx makes
the burst five times the limit. `limit_conn` counts requests under way. Both answer 503, ingress-nginx's
limit-req-status-code and limit-conn-status-code.

Each worker counts for itself; the kernel spreads a client's connections over workers, so with N of them a client may
have up to N times the limit. At most CLIENTS_MAX clients are remembered; whoever was not seen for the longest time is
forgotten first, which is a client whose bucket has run out, unless there are more clients than that at once.
"""

from __future__ import annotations

from http import HTTPStatus

from dataplane.filters.access import Networks
from dataplane.filters.passage import Answer, Asked, Passage, refusal
from dataplane.snapshot.policy import RateLimits

CLIENTS_MAX = 65_536
"""ingress-nginx's zones have 5 MB, "16 thousand 64-byte states" each MB: 80,000."""

TOO_MANY = refusal(HTTPStatus.SERVICE_UNAVAILABLE)


class Bucket:
    """Requests of all clients at one rate."""

    __slots__ = ("_burst", "_clients", "_clients_max", "_rate")

    def __init__(self, rate: float, burst: float, clients_max: int = CLIENTS_MAX) -> None:
        self._rate = rate  # per second
        self._burst = burst
        self._clients_max = clients_max
        self._clients: dict[str, tuple[float, float]] = {}  # address -> (excess, when); the one seen last is last

    def __len__(self) -> int:
        return len(self._clients)

    def fits(self, client: str, now: float) -> bool:
        """Whether one more request of this client may pass."""
        return self._with_one_more(client, now) <= self._burst

    def add(self, client: str, now: float) -> None:
        """It passes."""
        excess = self._with_one_more(client, now)
        if self._clients.pop(client, None) is None and len(self._clients) >= self._clients_max:
            del self._clients[next(iter(self._clients))]
        self._clients[client] = (excess, now)

    def _with_one_more(self, client: str, now: float) -> float:
        known = self._clients.get(client)
        if known is None:
            return 0.0  # the first request is free, as nginx's is
        excess, at = known
        return max(0.0, excess - self._rate * max(0.0, now - at) + 1.0)


class Limiter:
    """The filter. It belongs to a policy and not to a route: all paths of an Ingress are counted together."""

    __slots__ = ("_active", "_buckets", "_connections", "_exempt")

    def __init__(self, spec: RateLimits) -> None:
        rates = [(spec.per_second, 1.0), (spec.per_minute, 60.0)]
        self._buckets = [Bucket(limit / unit, float(limit * spec.burst_factor)) for limit, unit in rates if limit]
        self._connections = spec.connections
        self._active: dict[str, int] = {}
        self._exempt = Networks(spec.exempt)

    def __repr__(self) -> str:
        return f"Limiter({sum(self._active.values())} requests under way)"

    def __call__(self, asked: Asked, passage: Passage) -> Answer | None:
        client = asked.client
        if client in self._exempt:
            return None
        if self._connections and self._active.get(client, 0) >= self._connections:
            return TOO_MANY
        if not all(bucket.fits(client, asked.now) for bucket in self._buckets):
            return TOO_MANY
        for bucket in self._buckets:
            bucket.add(client, asked.now)
        if self._connections:
            self._active[client] = self._active.get(client, 0) + 1
            passage.released = lambda: self._leave(client)
        return None

    def _leave(self, client: str) -> None:
        left = self._active[client] - 1
        if left:
            self._active[client] = left
        else:
            del self._active[client]
