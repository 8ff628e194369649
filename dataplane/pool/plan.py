"""How a request gets a connection to an endpoint: four answers, decided in one breath.

    Reuse   an idle connection is there: the one used last, so that the surplus goes stale and is closed by its idle
            timeout instead of every connection being kept half-warm (nginx, Go and httpcore do the same)
    Dial    fewer than `connections_max` are open or being dialled
    Wait    all are busy; fewer than `pending_max` wait, first come, first served
    Refuse  full: say so at once instead of letting queues grow where nobody sees them

Who waits while a connection is being dialled waits in the same line, and gets whichever connection is free first.
So a dial belongs to nobody: `dials_wanted` says how many must be under way for those who wait, and is asked again
whenever a connection was lost, a dial failed or somebody joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Plan = Literal["reuse", "dial", "wait", "refuse"]

REUSE: Final = "reuse"
DIAL: Final = "dial"
WAIT: Final = "wait"
REFUSE: Final = "refuse"


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of the connections to one endpoint from one worker; the contract's Backend says where they come from."""

    connections_max: int = 1024
    pending_max: int = 1024
    idle_timeout_s: float = 60.0
    connect_timeout_s: float = 5.0


def plan(idle: int, connections: int, dialing: int, waiting: int, limits: PoolLimits) -> Plan:
    """What to do for one more request. `connections` are all open ones, idle ones included."""
    if idle:
        return REUSE
    if connections + dialing < limits.connections_max:
        return DIAL
    if waiting - dialing < limits.pending_max:  # those whose dial is under way do not wait for others' connections
        return WAIT
    return REFUSE


def dials_wanted(connections: int, dialing: int, waiting: int, limits: PoolLimits) -> int:
    """How many more dials to begin so that everybody who waits is served as soon as the limits allow."""
    return max(0, min(waiting - dialing, limits.connections_max - connections - dialing))
