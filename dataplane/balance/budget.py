"""A retry budget: retries may be a share of the requests, so that they cannot multiply a failure into an overload.

Finagle's and linkerd's rule: each request deposits `share` of a retry, each retry withdraws a whole one, what was
deposited more than `TTL_S` ago is gone, and `min_per_s` retries are always allowed, or a backend with little traffic
would have none. Held as one number that decays, instead of as a list of deposits.
"""

from __future__ import annotations

from math import exp

TTL_S = 10.0  # linkerd's default ttl


class RetryBudget:
    """One backend's, in one worker."""

    __slots__ = ("_at", "_balance", "_reserve", "_share")

    def __init__(self, share: float, min_per_s: float) -> None:
        self._share = share
        self._reserve = min_per_s * TTL_S
        self._balance = 0.0
        self._at = 0.0

    def __repr__(self) -> str:
        return f"RetryBudget({self._balance + self._reserve:.1f} retries left)"

    def deposit(self, now: float) -> None:
        """A request begins."""
        self._decay(now)
        self._balance += self._share

    def withdraw(self, now: float) -> bool:
        """Whether a retry may be made; then it is counted."""
        self._decay(now)
        if self._balance + self._reserve < 1.0:
            return False
        self._balance -= 1.0
        return True

    def _decay(self, now: float) -> None:
        # what was withdrawn of the reserve comes back as it was deposited: over the same time
        self._balance *= exp(-max(0.0, now - self._at) / TTL_S)
        self._at = now
