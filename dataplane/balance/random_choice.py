"""random: each connection goes to any endpoint with equal probability, whatever came before.

That is what kube-proxy does (iptables mode: rule i of n matches with probability 1/(n-i); nftables mode: numgen random
mod n), and so the default of a Service. It needs no memory, and several workers need no agreement.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataplane.balance.picker import C, Random


class RandomChoice:
    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, usable: Sequence[C], now: float) -> C:
        # a product with n stays below n: random() <= 1 - 2**-53 and no set has 2**53 members
        return usable[int(self._random() * len(usable))]
