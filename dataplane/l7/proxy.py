"""The HTTP proxy of one worker: the one place where its parts are put together.

    accept -> Downstream (client's bytes) -> codec -> Conversation: resolve -> Backend.pick -> Pool -> Upstream -> back

    proxy = HttpProxy(observe=recorder.record)
    proxy.start()                                           # the timer; needs the running loop
    factory = proxy.protocol_factory(table.resolver(listener), scheme=b"http", listener=listener.name)
    await loop.create_server(factory, ...)
    proxy.endpoints_changed((*changes.removed, *changes.changed))
    proxy.drain(); await proxy.drained(timeout); proxy.stop()

There is one timer a worker: every `Limits.sweep_s` it turns the wheel of deadlines and renews what changes with time
(Date, the distance between the monotonic clock and Unix time).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import partial
from typing import Any, Protocol

from dataplane.l7.deadlines import Wheel
from dataplane.l7.downstream import Downstream
from dataplane.l7.headers import Forwarding
from dataplane.l7.heads import RequestHeads, ResponseHeads
from dataplane.l7.http2.opening import Opening
from dataplane.l7.http2.upstream import Http2Upstream
from dataplane.l7.limits import Limits
from dataplane.l7.lookup import Lookup
from dataplane.l7.presence import is_gone
from dataplane.l7.site import Site
from dataplane.l7.upgrade import Tunnel
from dataplane.l7.upstream import Upstream
from dataplane.metrics.flows import FlowFields
from dataplane.pool.multiplexed import MultiplexedPool
from dataplane.pool.plan import PoolLimits
from dataplane.pool.pool import DialFailure, Pool
from dataplane.snapshot import model
from dataplane.snapshot.check import is_address
from dataplane.table import Backend, Endpoint, Resolve

log = logging.getLogger(__name__)

_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN))
"""Reasons for which we cannot dial that are not the endpoint's."""


AnyPool = Pool | MultiplexedPool


class Client(Protocol):
    """A client's connection, whatever it speaks."""

    def drain(self) -> None:
        """No request after those under way."""

    def cut(self, outcome: str) -> None:
        """At once."""


class HttpProxy:
    """All HTTP connections of a worker. `observe` gets a flow record at the end of each exchange."""

    def __init__(
        self,
        observe: Callable[[FlowFields], None],
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        is_gone: Callable[[Any], bool] = is_gone,
    ) -> None:
        self.observe = observe
        self.limits = limits = limits or Limits()
        self.clock = clock
        self.is_gone = is_gone
        self.requests = RequestHeads(limits)
        self.responses = ResponseHeads(limits)
        self.clients: set[Client] = set()
        self.half_closed: set[Downstream] = set()
        self.upstreams: set[Upstream | Http2Upstream] = set()
        self.tunnels: set[Tunnel] = set()
        self.names = Lookup(clock)
        self.draining = False
        self.refused = 0  # connections beyond Limits.connections_max
        self.counts: Counter[str] = Counter()  # faults of HTTP/2 peers, by the names of metrics.names.HTTP2_FAULTS
        self.wheel = Wheel(limits.sweep_s, clock())
        self._wall_clock = wall_clock
        self._dials: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._second = -1
        self._look_at = 0.0
        self._told: dict[str, tuple[float, int]] = {}  # text -> when it may be told again, how often it was not
        self._empty: asyncio.Event | None = None
        self._tell_time()

    def __repr__(self) -> str:
        return (
            f"HttpProxy({len(self.clients)} clients, {len(self.upstreams)} upstream connections, "
            f"{len(self.tunnels)} tunnels{', draining' if self.draining else ''})"
        )

    def statistics(self) -> dict[str, int]:
        """Numbers for the admin page and for tests."""
        return {
            "clients": len(self.clients),
            "upstreams": len(self.upstreams),
            "tunnels": len(self.tunnels),
            "dialing": len(self._dials),
            "refused": self.refused,
            "draining": int(self.draining),
        }

    def protocol_factory(
        self,
        resolve: Resolve,
        *,
        scheme: bytes = b"http",
        listener: str = "",
        forwarding: Forwarding = "replace",
        via: bytes = b"loopkube",
        covers: Callable[[Any, bytes], bool] | None = None,
        prior: Callable[[], bool] | None = None,
        local: tuple[str, int] | None = None,
    ) -> Callable[..., asyncio.Protocol]:
        """What a listener calls for each connection, with the client's address if it knows that.

        `forwarding` and `via`: see `headers`; `covers`, `local`: see `Site`. `prior` says whether clients may begin
        with HTTP/2 in the clear; None: never.
        """
        site = Site(resolve, scheme, listener, forwarding, via, covers, local)
        if scheme == b"https":
            return partial(Opening, self, site)
        if prior is None:
            return partial(Downstream, self, site)
        return lambda client="": (Opening if prior() else Downstream)(self, site, client)

    # life

    def start(self) -> None:
        """Begin to turn the wheel, on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(self.limits.sweep_s, self._tick)

    def stop(self) -> None:
        """Cut whatever there is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._dials:
            task.cancel()
        for client in tuple(self.clients):
            client.cut("drained")
        for tunnel in tuple(self.tunnels):
            tunnel.close("drained")
        for upstream in tuple(self.upstreams):
            upstream.abort()

    def drain(self) -> None:
        """Finish what is under way and nothing after it."""
        self.draining = True
        for client in tuple(self.clients):
            client.drain()

    async def drained(self, timeout: float) -> bool:
        """Wait until all clients are gone; False if some are not within `timeout` seconds."""
        if self.clients:
            self._empty = asyncio.Event()
            try:
                await asyncio.wait_for(self._empty.wait(), timeout)
            except TimeoutError:
                return False
        return True

    def client_left(self, client: Client) -> None:
        """A client's connection is closed."""
        self.clients.discard(client)
        self.half_closed.discard(client)
        if self._empty is not None and not self.clients:
            self._empty.set()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.limits.sweep_s, self._tick)
        self.sweep()

    def sweep(self) -> None:
        """What is to be done from time to time."""
        self._tell_time()
        now = self.clock()
        for item in self.wheel.due(now):
            item.expired(now)
        if now >= self._look_at:
            self._look_at = now + self.limits.look_s
            for client in tuple(self.half_closed):
                client.look()

    def tell(self, level: int, text: str, *details: object) -> None:
        """Log, but each text once in `log_every_s` at most: some faults come with every request."""
        now = self.clock()
        again_at, untold = self._told.get(text, (0.0, 0))
        if now < again_at:
            self._told[text] = (again_at, untold + 1)
            return
        self._told[text] = (now + self.limits.log_every_s, 0)
        log.log(level, f"{text} (and {untold} more such faults before)" if untold else text, *details)

    def _tell_time(self) -> None:
        wall = self._wall_clock()
        self.wall_offset = wall - self.clock()
        if int(wall) != self._second:
            self._second = int(wall)
            self.date = b"Date: %b\r\n" % formatdate(self._second, usegmt=True).encode()

    # pools

    def endpoints_changed(self, endpoints: Iterable[Endpoint]) -> None:
        """After an update: connections to endpoints that must not be used any more are closed as they become idle."""
        for endpoint in endpoints:
            pool: AnyPool | None = endpoint.pool
            if pool is None:
                continue
            if endpoint.phase in ("ready", "serving-terminating"):
                pool.reopen()
            else:
                pool.close_idle()

    def pool_of(self, backend: Backend, endpoint: Endpoint) -> AnyPool:
        """The endpoint's pool, which lives as long as the endpoint."""
        if endpoint.pool is None:
            spec = endpoint.spec
            kind = MultiplexedPool if backend.spec.protocol == "h2c" else Pool
            endpoint.pool = kind(spec.address, spec.port, _pool_limits(backend.spec), self._dial)
        pool: AnyPool = endpoint.pool
        return pool

    def refresh(self, pool: AnyPool, spec: model.Backend) -> None:
        """The backend's limits may have changed since the pool was made."""
        limits = _pool_limits(spec)
        if limits != pool.limits:
            pool.limits = limits

    async def connect(self, factory: Callable[[], asyncio.Protocol], address: str, port: int) -> None:
        """Open a connection to an endpoint."""
        loop = asyncio.get_running_loop()
        if is_address(address):
            await loop.create_connection(factory, address, port)
            return
        failure: OSError | None = None
        for each in await self.names.addresses(address):
            try:
                await loop.create_connection(factory, each, port)
                return
            except OSError as error:
                failure = error
        raise failure or OSError(f"{address} has no address")

    def _dial(self, pool: AnyPool) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(pool))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _connect(self, pool: AnyPool) -> None:
        made = Upstream if isinstance(pool, Pool) else Http2Upstream
        upstream = made(self, pool, self.clock())  # type: ignore[arg-type]
        failure: DialFailure = "connect_refused"
        try:
            async with asyncio.timeout(pool.limits.connect_timeout_s):
                await self.connect(lambda: upstream, pool.address, pool.port)
        except TimeoutError:
            failure = "connect_timeout"
        except OSError as error:
            if error.errno in _OURS:
                failure = "no_socket"
                self.tell(logging.WARNING, "cannot dial %s:%d: %s", pool.address, pool.port, error)
        if not upstream.made:
            pool.dial_failed(failure)


def _pool_limits(spec: model.Backend) -> PoolLimits:
    return PoolLimits(spec.connections_max, spec.pending_max, spec.idle_timeout_s, spec.connect_timeout_s)
