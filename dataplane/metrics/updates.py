"""The newest updates that came into force, and when each step of their way was: the change path, seen from its end.

    triggered_at    the cause (for endpoints: when the controller decided on the slice; the oldest one of a batch)
    published_at    the publisher took the changes together
    received_at     their bytes were here
    applied_at      in force: the next request goes by them

All are Unix seconds of one machine's clock. `/updates` of the admin endpoint shows them, newest last.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

UPDATES_KEPT = 256
ENDPOINTS_NAMED = 16  # of an update's endpoints: an update of more is a rollout, and a count says enough of it


class AppliedUpdate(NamedTuple):
    """One update in force. `endpoints` are the names of the first `ENDPOINTS_NAMED` that it brought, ready ones."""

    version: int
    full: bool
    triggered_at: float  # 0 = unknown
    published_at: float  # 0 = unknown
    received_at: float
    applied_at: float
    upserts: int
    removes: int
    endpoints: tuple[str, ...] = ()


class UpdateLog(deque[AppliedUpdate]):
    """Bounded: an old entry goes as a new one comes."""

    def __init__(self) -> None:
        super().__init__(maxlen=UPDATES_KEPT)
