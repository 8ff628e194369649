"""least-request: of two endpoints drawn at random the one with fewer active requests.

"The power of two choices" (Mitzenmacher 1996; Envoy's default for least request): looking at two is nearly as good as
looking at all, costs the same at any size, and does not send every request of a burst to the one endpoint that looked
idle an instant ago. The two are drawn without replacement, so with two endpoints it is exact least-request. On equal
load the first drawn wins, which is a fair coin.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataplane.balance.picker import C, Random


class LeastRequest:
    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, usable: Sequence[C], now: float) -> C:
        count = len(usable)
        if count == 1:
            return usable[0]
        first = int(self._random() * count)
        second = int(self._random() * (count - 1))
        if second >= first:  # every other position with equal probability
            second += 1
        one, other = usable[first], usable[second]
        return one if one.active <= other.active else other
