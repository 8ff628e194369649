"""The multiplexed connections to one endpoint: few of them, each with many exchanges at a time.

What is lent is a place on a connection, a stream. The connection opened first is filled first, so that surplus ones go
stale and are closed by their idle timeout; one more is dialled when all places are taken, or when somebody must not
have a place on those that there are (`fresh`). Who waits for a dial waits in the line of all; a dial is expected to
carry `PLACES_EXPECTED` of them, and dials are begun as long as those under way will not carry everybody (`plan` counts
in connections, this in places).

To its users it is a `Pool`: the same calls, the same limits, the same duties. A connection calls `dialed`, `freed` when
a place is free again or there are more, `retire` when none of it must be lent any more, and `lost` at its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from dataplane.pool.plan import PoolLimits
from dataplane.pool.pool import DialFailure, PoolFull, Waiter

PLACES_EXPECTED: Final = 100
"""RFC 9113 6.5.2: a peer should not allow fewer streams than that."""


class Multiplexed(Protocol):
    """What the pool asks of a connection."""

    @property
    def places(self) -> int:
        """How many more exchanges it can take now."""

    def lend(self, *, reused: bool) -> Any:
        """One of them, taken. `reused`: the connection was there already when the place was asked for."""

    def close_idle(self) -> None:
        """Close now if nothing is under way, else when that has ended."""


class MultiplexedPool:
    """The connections from this worker to one endpoint at one address."""

    __slots__ = ("_dial", "address", "closing", "connections", "dialing", "idle", "limits", "open", "port", "refused",
                 "waiting")  # fmt: skip

    def __init__(self, address: str, port: int, limits: PoolLimits, dial: Callable[[MultiplexedPool], None]) -> None:
        self.address = address
        self.port = port
        self.limits = limits
        self.idle: list[Any] = []  # nothing here is lent as a whole
        self.open: list[Multiplexed] = []  # in the order in which they are filled
        self.waiting: deque[Waiter] = deque()
        self.connections = 0  # those of `open`, and those that end
        self.dialing = 0
        self.refused = 0
        self.closing = False
        self._dial = dial

    def __repr__(self) -> str:
        return (
            f"MultiplexedPool({self.address}:{self.port}: {self.connections} open, {self.dialing} dialing, "
            f"{len(self.waiting)} waiting)"
        )

    def statistics(self) -> dict[str, int | str | bool]:
        """The same for the admin page."""
        return {
            "address": f"{self.address}:{self.port}",
            "active": self.connections,
            "idle": 0,
            "dialing": self.dialing,
            "waiting": len(self.waiting),
            "refused": self.refused,
            "closing": self.closing,
        }

    def acquire(self, waiter: Waiter, *, fresh: bool = False) -> Any | None:
        """A place now, or None and `waiter` is called later. `fresh`: on a connection that is not there yet."""
        if not fresh:
            for connection in self.open:
                if connection.places > 0:
                    return connection.lend(reused=True)
        room = self.limits.connections_max - self.connections - self.dialing
        if room <= 0 and len(self.waiting) - self.dialing * PLACES_EXPECTED >= self.limits.pending_max:
            self.refused += 1
            raise PoolFull
        self.waiting.append(waiter)
        self._dial_for_waiting()
        return None

    def cancel(self, waiter: Waiter) -> None:
        """`waiter` does not wait any more."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def dialed(self, connection: Multiplexed, connect_s: float) -> None:
        """A dial succeeded."""
        self.dialing -= 1
        self.connections += 1
        self.open.append(connection)
        self._serve(connection, connect_s)
        if self.closing:
            self.close_idle()
        self._dial_for_waiting()

    def dial_failed(self, failure: DialFailure) -> None:
        """A dial failed: everybody whom it would have carried is told."""
        self.dialing -= 1
        carried = len(self.waiting) - self.dialing * PLACES_EXPECTED
        told = [self.waiting.popleft() for _ in range(min(PLACES_EXPECTED, max(0, carried)))]
        self._dial_for_waiting()
        for waiter in told:
            waiter.acquire_failed(failure)

    def freed(self, connection: Multiplexed) -> None:
        """The connection has a place, perhaps more than one."""
        if self.waiting and connection in self.open:
            self._serve(connection, -1.0)

    def retire(self, connection: Multiplexed) -> None:
        """The connection takes nothing new any more. `lost` follows when it has ended."""
        if connection in self.open:
            self.open.remove(connection)

    def lost(self, connection: Multiplexed) -> None:
        """A connection ended."""
        self.retire(connection)
        self.connections -= 1
        self._dial_for_waiting()

    def close_idle(self) -> None:
        """The endpoint is not to be used any more: connections end with what is under way on them."""
        self.closing = True
        for connection in tuple(self.open):
            connection.close_idle()

    def reopen(self) -> None:
        """The endpoint may be used again."""
        self.closing = False

    def _serve(self, connection: Multiplexed, connect_s: float) -> None:
        while self.waiting and connection.places > 0:
            self.waiting.popleft().acquired(connection.lend(reused=False), connect_s)

    def _dial_for_waiting(self) -> None:
        wanted = -(-len(self.waiting) // PLACES_EXPECTED) - self.dialing
        for _ in range(min(wanted, self.limits.connections_max - self.connections - self.dialing)):
            self.dialing += 1
            self._dial(self)
