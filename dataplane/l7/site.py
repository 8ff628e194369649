"""A listener, as its connections know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dataplane.l7.headers import Edge, Forwarding, edge_of
from dataplane.table import Resolve


class Transport(Protocol):
    """What it needs to know of a connection."""

    def get_extra_info(self, name: str, default: Any = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Site:
    """What a listener says about all its connections."""

    resolve: Resolve
    scheme: bytes
    listener: str
    forwarding: Forwarding
    via: bytes
    covers: Callable[[Any, bytes], bool] | None = None  # (TLS connection, host): see `listen/tls`
    local: tuple[str, int] | None = None  # where clients connect to, if that is one place

    def edge(self, transport: Transport, client: str, major: int = 1) -> Edge:
        """What is said of a connection to endpoints; the kernel is asked for what is not known."""
        host = client or (transport.get_extra_info("peername") or ("unknown",))[0]
        local = self.local or transport.get_extra_info("sockname") or ("localhost", 0)
        return edge_of(self.scheme, host.encode(), str(local[0]).encode(), local[1], self.forwarding, self.via, major)
