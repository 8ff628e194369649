"""The connections to one endpoint: idle ones to reuse, dials under way, and the line of those who wait.

A pool knows nothing of HTTP. It is given `dial`, which begins to connect and later calls `dialed` or `dial_failed`,
and it hands connections to waiters by calling them. A connection is in exactly one of two places: lent (its user
gives it back with `release`, or `lost` when it ended) or idle here. Leasing happens in one breath: what `acquire`
returns is lent already.

An idle connection must be silent: when the endpoint closes it or sends something, whoever owns the socket calls
`lost`. When the endpoint left (`close_idle`), idle connections are closed, lent ones are closed when they come back,
and no dial is begun for anyone; requests in flight finish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

from dataplane.pool.plan import REFUSE, REUSE, PoolLimits, dials_wanted, plan

DialFailure = Literal["connect_refused", "connect_timeout", "no_socket"]
"""Refused (or unreachable), too slow, or our own want of a socket."""


class Connection(Protocol):
    """What a pool asks of a connection."""

    def close(self) -> None: ...


class Waiter(Protocol):
    """Who waits for a connection; exactly one of the two is called, unless it has left the line by `cancel`."""

    def acquired(self, connection: Any, connect_s: float) -> None:
        """Here is a connection, lent to you. `connect_s` is how long its dial took, -1.0 if it was not new."""

    def acquire_failed(self, failure: DialFailure) -> None:
        """The dial that was for you failed."""


class PoolFull(Exception):
    """As many requests wait already as may."""


class Pool:
    """The connections from this worker to one endpoint at one address."""

    __slots__ = (
        "_dial",
        "address",
        "closing",
        "connections",
        "dialing",
        "idle",
        "limits",
        "port",
        "refused",
        "waiting",
    )

    def __init__(self, address: str, port: int, limits: PoolLimits, dial: Callable[[Pool], None]) -> None:
        self.address = address
        self.port = port
        self.limits = limits
        self.idle: list[Any] = []  # the one used last is last
        self.waiting: deque[Waiter] = deque()
        self.connections = 0  # open, lent or idle
        self.dialing = 0
        self.refused = 0
        self.closing = False
        self._dial = dial

    def __repr__(self) -> str:
        return (
            f"Pool({self.address}:{self.port}: {self.connections - len(self.idle)} active, {len(self.idle)} idle, "
            f"{self.dialing} dialing, {len(self.waiting)} waiting)"
        )

    def statistics(self) -> dict[str, int | str | bool]:
        """The same for the admin page."""
        return {
            "address": f"{self.address}:{self.port}",
            "active": self.connections - len(self.idle),
            "idle": len(self.idle),
            "dialing": self.dialing,
            "waiting": len(self.waiting),
            "refused": self.refused,
            "closing": self.closing,
        }

    def acquire(self, waiter: Waiter, *, fresh: bool = False) -> Any | None:
        """A connection now, or None and `waiter` is called later. `fresh`: not one of the idle ones."""
        decision = plan(0 if fresh else len(self.idle), self.connections, self.dialing, len(self.waiting), self.limits)
        if decision is REUSE:
            return self.idle.pop()
        if decision is REFUSE:
            self.refused += 1
            raise PoolFull
        self.waiting.append(waiter)
        self._dial_for_waiting()
        return None

    def cancel(self, waiter: Waiter) -> None:
        """`waiter` does not wait any more. A dial under way goes on; its connection will be the next one's, or idle."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def release(self, connection: Any) -> None:
        """A lent connection is free again: for whoever waits longest, else to be idle, else to be closed."""
        if self.waiting:
            self.waiting.popleft().acquired(connection, -1.0)
        elif self.closing:
            connection.close()
        else:
            self.idle.append(connection)

    def retire(self, connection: Any) -> None:
        """A connection is about to end: nobody must get it any more. `lost` follows when it has ended."""
        if connection in self.idle:
            self.idle.remove(connection)

    def lost(self, connection: Any) -> None:
        """A connection ended, lent or idle."""
        self.connections -= 1
        self.retire(connection)
        self._dial_for_waiting()

    def dialed(self, connection: Any, connect_s: float) -> None:
        """A dial succeeded: the connection goes to whoever waits longest."""
        self.dialing -= 1
        self.connections += 1
        if self.waiting:
            self.waiting.popleft().acquired(connection, connect_s)
        elif self.closing:
            connection.close()
        else:
            self.idle.append(connection)

    def dial_failed(self, failure: DialFailure) -> None:
        """A dial failed: whoever waits longest is told, the others go on waiting for theirs."""
        self.dialing -= 1
        waiter = self.waiting.popleft() if self.waiting else None
        self._dial_for_waiting()
        if waiter is not None:
            waiter.acquire_failed(failure)

    def close_idle(self) -> None:
        """The endpoint is not to be used any more: close what is idle now, and the rest as it comes back."""
        self.closing = True
        for connection in tuple(self.idle):
            connection.close()

    def reopen(self) -> None:
        """The endpoint may be used again."""
        self.closing = False

    def _dial_for_waiting(self) -> None:
        for _ in range(dials_wanted(self.connections, self.dialing, len(self.waiting), self.limits)):
            self.dialing += 1
            self._dial(self)
