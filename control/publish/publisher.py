"""The publisher: mirrors what the data plane depends on, and keeps every worker told.

Nothing is published before the mirror is synced: an empty first update would drop all traffic. A worker that connects
gets the whole state, then each change as it happens. All changes of one loop iteration are one update. Updates go into
a worker's socket at once; one whose socket is full is not waited for, it gets the whole state when it has caught up.
A worker that refuses an update (Nack) gets the whole state again, at first at once and then ever more rarely: what it
refused may be mended by the next change, and until then it serves its last good state.

`sync_delay_s` and `ingress_sync_delay_s` are the least times between two updates of a lane (`ledger`), as kube-proxy's
minSyncPeriod and ingress-nginx's sync rate limit are; 0, the default, publishes at once. Names are never held back:
CoreDNS answers with what its watch told it last.

Versions begin at the time of day in milliseconds, so that they grow over restarts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from control.api.kinds import Kind
from control.api.objects import Object
from control.config.clock import REAL, Clock
from control.mirror.client import Client
from control.mirror.mirror import Mirror
from control.mirror.recorder import Recorder
from control.publish.build import KINDS, affected, build_unit, units
from control.publish.endpoints import Pieces
from control.publish.ledger import LANES, Lane, Ledger
from control.publish.peer import Peer
from control.publish.unit import Built, Config, Unit
from dataplane.snapshot.codec import encode
from dataplane.snapshot.model import Endpoint

logger = logging.getLogger(__name__)

COMPONENT = "loopkube-publisher"
DEFAULT_CONFIG = Config()


class Publisher:
    """`start`, then workers may come; `close` leaves them with what they have.

    With `mirror`, which must mirror `build.KINDS` at least and is its owner's to start and close, no second one is
    made. `clock` is Unix time, the machine's: workers compare it with theirs. `cluster` tells what the API's times are.
    """

    def __init__(
        self,
        client: Client,
        socket_path: Path,
        *,
        config: Config = DEFAULT_CONFIG,
        mirror: Mirror | None = None,
        clock: Callable[[], float] = time.time,
        cluster: Clock = REAL,
    ) -> None:
        self._path = socket_path
        self._config = config
        self._clock = clock
        self._cluster = cluster
        self._own_mirror = mirror is None
        self._mirror = mirror if mirror is not None else Mirror(client, KINDS)
        self._mirror.subscribe(self._changed)
        self._recorder = Recorder(client, COMPONENT, clock=cluster.now)
        self._ledger = Ledger(int(clock() * 1000))
        self._pieces: dict[Unit, Pieces] = {}
        self._dirty: set[Unit] = set()
        self._scheduled = False
        self._delays_s: dict[Lane, float] = {
            "service": config.sync_delay_s,
            "ingress": config.ingress_sync_delay_s,
            "names": 0.0,
        }
        self._published_at: dict[Lane, float] = dict.fromkeys(LANES, float("-inf"))
        self._timers: dict[Lane, asyncio.TimerHandle] = {}
        self._peers: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._begun: asyncio.Task[None] | None = None
        self._ready = False
        self._own_socket = True
        self.updates = 0

    async def start(self, sock: socket.socket | None = None) -> None:
        """Opens the socket, or serves `sock`, which is its owner's; publishes as soon as the mirror is synced."""
        loop = asyncio.get_running_loop()
        self._own_socket = sock is None
        if sock is None:
            self._path.unlink(missing_ok=True)
            self._server = await loop.create_unix_server(self._peer, str(self._path))
            self._path.chmod(0o600)
        else:
            self._server = await loop.create_unix_server(self._peer, sock=sock)
        if self._own_mirror:
            self._mirror.start()
        self._begun = asyncio.ensure_future(self._begin())

    async def close(self) -> None:
        self._ready = False
        if self._begun is not None:
            self._begun.cancel()
            with suppress(asyncio.CancelledError):
                await self._begun
        for timer in self._timers.values():
            timer.cancel()
        if self._server is not None:
            self._server.close()
            if self._own_socket:
                self._path.unlink(missing_ok=True)
        for peer in list(self._peers):
            peer.close()
        if self._own_mirror:
            await self._mirror.close()
        await self._recorder.close()

    @property
    def is_ready(self) -> bool:
        """Whether the whole state is known and being told."""
        return self._ready

    @property
    def version(self) -> int:
        return self._ledger.version

    def statistics(self) -> dict[str, object]:
        return {
            "ready": self._ready,
            "version": self._ledger.version,
            "updates": self.updates,
            "resources": len(self._ledger.published),
            "workers": [peer.statistics() for peer in self._peers],
        }

    # Changes

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if not self._ready or kind not in KINDS:
            return
        self._dirty |= affected(self._mirror.world, kind, old, new, self._config)
        if self._dirty and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._rebuild)

    async def _begin(self) -> None:
        await self._mirror.synced.wait()
        self._ready = True
        self._dirty = set(units(self._mirror.world, self._config))
        self._rebuild()
        for peer in list(self._peers):
            peer.renew()

    def _rebuild(self) -> None:
        self._scheduled = False
        if not self._ready:
            return
        dirty, self._dirty = self._dirty, set()
        for unit in sorted(dirty):
            try:
                pieces = self._pieces.setdefault(unit, Pieces())
                built = build_unit(self._mirror.world, unit, self._config, pieces)
            except Exception:  # one malformed object must not stop what all others need
                logger.exception("the %s %s cannot be published", unit.type, unit.key)
                continue
            if pieces.is_empty:
                del self._pieces[unit]
            if not self._cluster.is_machine_time:
                self._in_machine_time(built)
            for note in self._ledger.rebuild(unit, built):
                self._recorder.emit(note.regarding, "Warning", note.reason, note.message)
        self._publish()

    def _in_machine_time(self, built: Built) -> None:
        """Endpoints say when their cause happened; workers measure from there."""
        for key, resource in built.resources.items():
            if isinstance(resource, Endpoint) and resource.triggered_at:
                at = self._cluster.machine_time(resource.triggered_at)
                built.resources[key] = replace(resource, triggered_at=at)

    def _publish(self) -> None:
        """Tells what may be told now; sets timers for lanes whose time has not come."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due: list[Lane] = []
        for lane in LANES:
            if not self._ledger.has_changes(lane):
                continue
            at = self._published_at[lane] + self._delays_s[lane]
            if at <= now:
                due.append(lane)
                self._published_at[lane] = now
            elif lane not in self._timers:
                self._timers[lane] = loop.call_at(at, self._late, lane)
        update = self._ledger.take(due, self._clock()) if due else None
        if update is None:
            return
        self.updates += 1
        data = encode(update)
        for peer in list(self._peers):
            peer.tell(update.version, data)

    def _late(self, lane: Lane) -> None:
        del self._timers[lane]
        self._publish()

    # Workers

    def _peer(self) -> Peer:
        return Peer(self._full, self._peers)

    def _full(self) -> tuple[int, bytes] | None:
        if not self._ready:
            return None
        return self._ledger.version, encode(self._ledger.full(self._clock()))
