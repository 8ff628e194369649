"""peak-ewma: of two endpoints drawn at random the one that would be done sooner, by its latency and its queue.

Finagle's policy (and linkerd's): each endpoint has an exponentially weighted moving average of its latency that is
pessimistic, since it jumps up to a peak at once and comes down slowly, with time constant `DECAY_S`. What is compared
is average x (active + 1). The average of an endpoint that nobody asks decays too, so that a slow one is tried again
after a while. One without any measurement yet costs nothing while it is idle, and much more than any other while its
first answer is awaited: it gets one request, not the whole burst.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from dataplane.balance.picker import C, Random, draw_two

DECAY_S = 10.0  # Finagle's default decay time
UNKNOWN_S = 1e9  # Finagle's penalty for load on an endpoint without a measurement


class Latency:
    """One endpoint's average."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def __repr__(self) -> str:
        return f"Latency({self._seconds * 1000:.3f} ms)"

    def observe(self, seconds: float, now: float) -> None:
        """An answer took so long."""
        kept = exp(-max(0.0, now - self._at) / DECAY_S)
        self._seconds = seconds if seconds > self._seconds else self._seconds * kept + seconds * (1 - kept)
        self._at = now

    def seconds(self, now: float) -> float:
        """The average as it is now; 0.0 before the first measurement."""
        return self._seconds * exp(-max(0.0, now - self._at) / DECAY_S)


class PeakEwma:
    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, usable: Sequence[C], now: float) -> C:
        one, other = draw_two(usable, self._random)
        return one if _cost(one, now) <= _cost(other, now) else other


def _cost(endpoint: C, now: float) -> float:
    seconds: float = endpoint.latency.seconds(now) if endpoint.latency is not None else 0.0
    if not seconds and endpoint.active:
        return UNKNOWN_S + endpoint.active
    return seconds * (endpoint.active + 1)
