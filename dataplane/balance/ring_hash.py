"""ring-hash: requests with the same key go to the same endpoint, and few keys move when the set changes.

Consistent hashing (Karger et al. 1997) as Ketama and Envoy do it: each endpoint stands at many points of a ring, a key
goes to the first point at or after its own hash. An endpoint that leaves gives its keys to its neighbours, a new one
takes 1/n of the keys, and nobody else's keys move. The points of an endpoint depend on its id alone, so all workers
have the same ring. An endpoint of weight 2 has twice the points.

The shares of n endpoints with p points each differ by about 1/sqrt(p): `POINTS` of 160 (Ketama's) keeps them within
about a fifth of each other. Where that matters more than how few keys move, there is maglev.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Generic

from dataplane.balance.hashing import digest
from dataplane.balance.picker import C

POINTS = 160  # a unit of weight
REMEMBERED_MAX = 8192  # endpoints whose points are remembered: a flip must not hash the whole ring again

_points: dict[tuple[str, int], tuple[int, ...]] = {}


def points_of(id: str, weight: int) -> tuple[int, ...]:
    """Where an endpoint stands on the ring."""
    found = _points.get((id, weight))
    if found is None:
        if len(_points) >= REMEMBERED_MAX:
            _points.clear()
        found = tuple(digest(b"%b %d" % (id.encode(), number)) for number in range(POINTS * weight))
        _points[id, weight] = found
    return found


class RingHash(Generic[C]):
    __slots__ = ("_owners", "_points")

    def __init__(self, usable: Sequence[C]) -> None:
        self._owners: dict[int, C] = {}
        for endpoint in sorted(usable, key=lambda endpoint: endpoint.id):  # the same owner in all workers
            for point in points_of(endpoint.id, endpoint.weight):
                self._owners.setdefault(point, endpoint)
        self._points = sorted(self._owners)

    def pick(self, key: bytes, skipped: Collection[str]) -> C | None:
        points = self._points
        start = bisect_left(points, digest(key))
        for step in range(len(points)):
            endpoint = self._owners[points[(start + step) % len(points)]]
            if endpoint.id not in skipped:
                return endpoint
        return None
