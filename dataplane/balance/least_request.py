"""least-request: of two endpoints drawn at random the one with fewer active requests.

"The power of two choices" (Mitzenmacher 1996; Envoy's default for least request): looking at two is nearly as good as
looking at all, costs the same at any size, and does not send every request of a burst to the one endpoint that looked
idle an instant ago. The two are drawn without replacement, so with two endpoints it is exact least-request. On equal
load the first drawn wins, which is a fair coin.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataplane.balance.picker import C, Random, draw_two


class LeastRequest:
    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, usable: Sequence[C], now: float) -> C:
        one, other = draw_two(usable, self._random)
        return one if one.active <= other.active else other
