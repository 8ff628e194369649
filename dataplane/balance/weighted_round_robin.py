"""weighted-round-robin: taking turns, an endpoint of weight 3 three times as often, evenly spread.

Earliest deadline first, as Envoy's scheduler does it: an endpoint's next turn is 1/weight after its last one, and the
endpoint with the earliest turn is next. Over any stretch each endpoint has had its exact share, give or take one, and
turns of heavy endpoints are not bunched. log n a pick. The first turns lie at random within 1/weight, so that several
workers do not begin alike.

A new set keeps the turns of those that were in the old one; new endpoints begin now, not with all the turns that they
have missed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush
from typing import Generic

from dataplane.balance.picker import C, Random


class WeightedRoundRobin(Generic[C]):
    __slots__ = ("_time", "_turns")

    _time: float

    def __init__(self, usable: Sequence[C], random: Random, before: object = None) -> None:
        self._time = 0.0
        known: dict[str, float] = {}
        if isinstance(before, WeightedRoundRobin):
            self._time = before._time
            known = {endpoint.id: at for at, _, endpoint in before._turns}
        self._turns: list[tuple[float, int, C]] = [
            (known.get(endpoint.id, self._time + random() / endpoint.weight), place, endpoint)
            for place, endpoint in enumerate(usable)
        ]
        heapify(self._turns)

    def pick(self, key: bytes, skipped: Collection[str]) -> C | None:
        waiting = []
        found: C | None = None
        while self._turns and found is None:
            at, place, endpoint = heappop(self._turns)
            if endpoint.id in skipped:
                waiting.append((at, place, endpoint))
                continue
            found = endpoint
            self._time = max(self._time, at)
            heappush(self._turns, (at + 1 / endpoint.weight, place, endpoint))
        for turn in waiting:
            heappush(self._turns, turn)
        return found
