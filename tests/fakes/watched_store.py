"""A store in memory that tells of each write in the moment in which it takes effect.

A watch tells each reader in its own time; laws that must hold at every instant need to look in between. `listeners`
hear (kind, old, new) after the write is in `world`, one write at a time even where several were committed together.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from control.api.kinds import KINDS, Kind
from control.api.objects import Object
from control.mirror.world import LiveWorld
from control.store.records import Place, StoreEvent
from control.store.store import DEFAULT_KNOBS, Knobs, Store

Listener = Callable[[Kind, Object | None, Object | None], None]
KIND_OF = {kind.resource: kind for kind in KINDS}


class WatchedStore(Store):
    def __init__(self, knobs: Knobs = DEFAULT_KNOBS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(None, None, clock, knobs)
        self.world = LiveWorld.of()
        self.listeners: list[Listener] = []

    def _absorb(self, place: Place, event: StoreEvent) -> None:
        super()._absorb(place, event)
        kind = KIND_OF.get(place.resource)
        if kind is None:
            return
        obj = event.stored.obj
        old = self.world.get(kind, place.namespace, place.name)
        if event.type == "DELETED":
            self.world.remove(kind, event.stored.key)
        else:
            self.world.put(kind, obj)
        for listener in self.listeners:
            listener(kind, old, None if event.type == "DELETED" else obj)
