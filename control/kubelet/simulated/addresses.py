"""Addresses of simulated pods and nodes: the next free one of a large range, so that none is soon another's.

Pods' lie in loopback space, where nothing listens on them: a connection is refused at once instead of vanishing on
the way to somewhere. Nodes' lie in 198.18.0.0/15, which RFC 2544 keeps for benchmarks; nothing is sent to them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network


class Addresses:
    def __init__(self, cidr: str) -> None:
        network = IPv4Network(cidr)
        self.cidr = cidr
        self._first = int(network.network_address) + 1
        self._size = network.num_addresses - 2
        self._next = 0
        self._held: dict[str, int] = {}  # by holder
        self._taken: set[int] = set()

    def __repr__(self) -> str:
        return f"<Addresses {self.cidr} {len(self._held)} of {self._size} in use>"

    def give(self, holder: str, wish: str = "") -> str:
        """The holder's address; `wish` is the one that it had before, if nobody else has it. "" when all are taken."""
        if holder in self._held:
            return str(IPv4Address(self._first + self._held[holder]))
        place = self._place(wish)
        if place is None or place in self._taken:
            if len(self._taken) >= self._size:
                return ""
            place = self._next
            while place in self._taken:
                place = (place + 1) % self._size
        self._held[holder] = place
        self._taken.add(place)
        self._next = (place + 1) % self._size
        return str(IPv4Address(self._first + place))

    def take_back(self, holder: str) -> None:
        place = self._held.pop(holder, None)
        if place is not None:
            self._taken.discard(place)

    def _place(self, address: str) -> int | None:
        try:
            place = int(IPv4Address(address)) - self._first
        except ValueError:
            return None
        return place if 0 <= place < self._size else None
