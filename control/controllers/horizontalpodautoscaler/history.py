"""What the autoscaler remembers of one object: recent recommendations, and how much it scaled lately.

It lives in memory and nowhere else, as in Kubernetes: a restart of the control process forgets it, and begins again
with one recommendation, the number of replicas that it finds, so that a scale-down waits a whole window first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple


class Recommendation(NamedTuple):
    """What the metrics asked for, before anything was limited."""

    at: datetime
    replicas: int


class Change(NamedTuple):
    """A scale that was carried out; so many pods came or went."""

    at: datetime
    pods: int


@dataclass(slots=True)
class History:
    """`next_at` is when the object is looked at again; `generation` is the one that was looked at last."""

    recommendations: list[Recommendation] = field(default_factory=list)
    ups: list[Change] = field(default_factory=list)
    downs: list[Change] = field(default_factory=list)
    next_at: datetime | None = None
    generation: int = 0

    def begin(self, replicas: int, now: datetime) -> None:
        """The first recommendation of a new history is that nothing changes."""
        if not self.recommendations:
            self.recommendations.append(Recommendation(now, replicas))

    def recommend(self, replicas: int, now: datetime, window_s: float) -> None:
        """Remembers one more; what is older than every window is forgotten."""
        since = now - timedelta(seconds=window_s)
        self.recommendations = [each for each in self.recommendations if each.at >= since]
        self.recommendations.append(Recommendation(now, replicas))

    def scaled(self, before: int, after: int, now: datetime, period_s: float) -> None:
        """Remembers a change; what is older than every period is forgotten."""
        since = now - timedelta(seconds=period_s)
        changes = self.ups if after > before else self.downs
        changes[:] = [each for each in changes if each.at >= since]
        changes.append(Change(now, abs(after - before)))


def within(changes: Iterable[Change], period_s: float, now: datetime) -> int:
    """How many pods came (or went) in the period that ends now."""
    since = now - timedelta(seconds=period_s)
    return sum(each.pods for each in changes if each.at > since)
