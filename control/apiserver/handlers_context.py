"""What every handler stands on: the store, the scheme, the clock, the books of Service addresses,
and the ledger of quotas.

One `Context` per server. It is also admission's `Lookup`, and the only place where wall-clock time and randomness come
from, so that a test gives both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from uuid import UUID

import orjson

from control.api.kinds import SERVICE, Kind
from control.api.objects import Object, format_time
from control.api.scheme import Resource
from control.api.status import StatusError, expired, internal_error
from control.apiserver.allocate import Books
from control.apiserver.ledger import Ledger
from control.apiserver.services import occupy
from control.apiserver.views import VIEWS, View
from control.store.records import Ahead, Compacted, StoreClosed, Stored, StoreError, WriteFailed
from control.store.store import Store

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Context:
    def __init__(
        self,
        store: Store,
        resources: Mapping[Kind, Resource],
        *,
        clock: Clock,
        rng: Random,
        service_cidr: str,
        node_port_range: tuple[int, int],
        kubelet_socket: Path | None = None,
    ) -> None:
        self.store = store
        self.resources = resources
        self.by_path = {(kind.group, kind.version, kind.plural): row for kind, row in resources.items()}
        self.now = clock
        self.rng = rng
        self.books = Books(service_cidr, node_port_range, rng)
        self.ledger = Ledger(store, clock)
        self.kubelet_socket = kubelet_socket

    def __repr__(self) -> str:
        return f"<Context at {self.store.revision}, {self.books!r}>"

    def load_books(self) -> None:
        """Books what the stored Services hold."""
        for stored in self.store.list(SERVICE.resource):
            for problem in occupy(stored.obj, self.books):
                logger.warning("%s is outside the configured range or used twice; it is kept", problem)

    # Lookup

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        stored = self.store.get(resource, namespace, name)
        return stored.obj if stored is not None else None

    def list(self, resource: str, namespace: str = "") -> Iterable[Object]:
        return (stored.obj for stored in self.store.list(resource, namespace))

    # Kinds

    def view(self, kind: Kind) -> View | None:
        return VIEWS.get(kind)

    def stored_as(self, kind: Kind) -> str:
        """The store's name of a kind."""
        view = VIEWS.get(kind)
        return view.stored.resource if view else kind.resource

    def seen(self, kind: Kind, stored: Stored) -> Object:
        """A stored object as clients of `kind` see it; shared, so read-only."""
        view = VIEWS.get(kind)
        return view.outward(stored.obj) if view else stored.obj

    def seen_data(self, kind: Kind, stored: Stored) -> bytes:
        view = VIEWS.get(kind)
        return orjson.dumps(view.outward(stored.obj)) if view else stored.data

    # New things

    def new_uid(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def new_suffix(self) -> str:
        """Five characters without vowels and look-alikes, as apimachinery's rand.String."""
        return "".join(self.rng.choices(SUFFIX_LETTERS, k=5))

    def timestamp(self) -> str:
        return format_time(self.now())


SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
GENERATED_PREFIX_MAX = 58  # apiserver's names.MaxGeneratedNameLength: 63 less the suffix


def store_failure(error: StoreError) -> StatusError:
    """What a client hears of the store's trouble."""
    if isinstance(error, Compacted):
        return expired(f"too old resource version: {error.asked} ({error.compacted})")
    if isinstance(error, StoreClosed):
        return StatusError(503, "ServiceUnavailable", "the server is shutting down")
    if isinstance(error, Ahead):
        return StatusError(504, "Timeout", str(error))
    if isinstance(error, WriteFailed):
        return internal_error(f"the store cannot write: {error}")
    return internal_error(str(error))
