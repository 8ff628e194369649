"""Counting samples: percentiles, losses by kind, who answered. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.lab.samples import Sample


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of unsorted `values`; 0.0 of nothing."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * share) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Count:
    """What became of a set of requests. Latencies are of answered ones, in seconds from when they were due."""

    sent: int = 0
    answered: int = 0
    lost: int = 0
    losses: dict[str, int] = field(default_factory=dict)  # outcome -> requests
    losses_by_regime: dict[str, int] = field(default_factory=dict)  # new, reused
    by_pod: dict[str, int] = field(default_factory=dict)
    by_version: dict[str, int] = field(default_factory=dict)
    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


def count(samples: Iterable[Sample]) -> Count:
    found = list(samples)
    answered = [sample for sample in found if not sample.lost]
    lost = [sample for sample in found if sample.lost]
    latencies = [sample.latency_s for sample in answered]
    return Count(
        sent=len(found),
        answered=len(answered),
        lost=len(lost),
        losses=dict(Counter(sample.outcome for sample in lost).most_common()),
        losses_by_regime=dict(Counter(sample.regime for sample in lost).most_common()),
        by_pod=dict(Counter(sample.pod for sample in answered if sample.pod).most_common()),
        by_version=dict(Counter(sample.version for sample in answered if sample.version).most_common()),
        p50_s=percentile(latencies, 0.50),
        p99_s=percentile(latencies, 0.99),
        max_s=max(latencies, default=0.0),
    )


def between(samples: Iterable[Sample], begin: float, end: float) -> list[Sample]:
    """The samples that were due in [begin, end), Unix seconds."""
    return [sample for sample in samples if begin <= sample.due_at < end]
