"""round-robin: one after the other, as ingress-nginx does by default.

The turn is a position, not an endpoint: when the set changes, the next position of the new set is next. Over a set
that stays as it is every endpoint gets the same number of picks, plus or minus one; a change can skip or repeat an
endpoint once. The first position is random, because several workers that all began at the first endpoint would send
it one burst each after every start.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataplane.balance.picker import C, Random


class RoundRobin:
    __slots__ = ("_turn",)

    def __init__(self, random: Random) -> None:
        self._turn = int(random() * 65536)  # any number far above the sizes of sets will do: it is taken modulo

    def pick(self, usable: Sequence[C], now: float) -> C:
        turn = self._turn
        self._turn = turn + 1
        return usable[turn % len(usable)]
