"""What a backend learns from the outcomes of its requests: latency, failures in a row, how many retries it can bear.

Made only for backends whose spec asks for one of them; the others have none, and their users have nothing to tell.
What concerns an endpoint (`latency`, `health`) is kept on the endpoint, so that all views of a backend know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dataplane.balance.budget import RetryBudget
from dataplane.balance.outlier import Health, ejected_max
from dataplane.balance.peak_ewma import Latency
from dataplane.snapshot import model


class Judged(Protocol):
    """An endpoint, as far as outcomes change it."""

    latency: Latency | None
    health: Health | None


class Feedback:
    """One backend's, in one worker."""

    __slots__ = ("_budget", "_spec", "ejections", "retries_denied")

    def __init__(self, spec: model.Backend) -> None:
        self._spec = spec
        self._budget = RetryBudget(spec.retry_budget, spec.retries_min_per_s) if spec.retry_budget else None
        self.ejections = 0
        self.retries_denied = 0

    @staticmethod
    def is_wanted(spec: model.Backend) -> bool:
        return bool(spec.policy == "peak-ewma" or spec.eject_after or spec.retry_budget)

    def began(self, now: float) -> None:
        """A request (not a retry) begins."""
        if self._budget is not None:
            self._budget.deposit(now)

    def may_retry(self, now: float) -> bool:
        """Whether another try fits into the budget; then it is counted."""
        if self._budget is None or self._budget.withdraw(now):
            return True
        self.retries_denied += 1
        return False

    def done(self, endpoint: Judged, usable: Sequence[Judged], success: bool, took_s: float, now: float) -> None:
        """An endpoint answered, or failed to; `usable` are those that it is one of. `took_s` < 0: unknown."""
        spec = self._spec
        if spec.policy == "peak-ewma" and took_s >= 0:
            if endpoint.latency is None:
                endpoint.latency = Latency()
            endpoint.latency.observe(took_s, now)
        if not spec.eject_after:
            return
        if endpoint.health is None:
            if success:
                return
            endpoint.health = Health()
        ejected = 0
        if not success:
            ejected = sum(one.health is not None and one.health.state == "ejected" for one in usable)
        may_eject = ejected < ejected_max(len(usable))
        if endpoint.health.take(success, spec.eject_after, spec.eject_s, now, may_eject=may_eject):
            self.ejections += 1
