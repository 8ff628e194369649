"""Service IPs and node ports: two ranges, each banded so that fixed choices rarely meet dynamic ones.

Who asks for a certain address gets it if it is in the range and free. Who asks for any gets a random one of the
*upper* band, and of the lower band only when the upper is full, so that people may write low numbers into manifests
without meeting a number given out dynamically (KEP-3070 for addresses, KEP-3668 for ports). The first address of the
range is the API server's own Service.

`Range` is the pure book of one range; `Books` are the questions that the write handlers ask. They are rebuilt from the
stored Services at start and kept in step by the handlers, in the same breath as the write is decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from random import Random

from control.api.objects import Key

PROBES_MAX = 32  # random tries before looking through a band in order: enough until it is nearly full


def address_band(size: int) -> int:
    """How many of `size` addresses are kept for fixed choices: KEP-3070."""
    return min(max(16, size // 16), 256) if size > 16 else 0


def port_band(size: int) -> int:
    """How many of `size` node ports are kept for fixed choices: KEP-3668."""
    return min(max(16, size // 32), 128) if size > 16 else 0


class Taken(Exception):
    """Somebody else has the number."""


class OutOfRange(Exception):
    """The number is not one of the range's."""


class Full(Exception):
    """Every number of the range is taken."""


class Range:
    """Numbers `first` to `last` with `band` low ones left to fixed choices; each is taken by at most one owner."""

    def __init__(self, first: int, last: int, band: int) -> None:
        self.first, self.last, self.band = first, last, band
        self._owners: dict[int, Key] = {}

    def __repr__(self) -> str:
        return f"{len(self._owners)} of {self.last - self.first + 1} taken"

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def owner(self, number: int) -> Key | None:
        return self._owners.get(number)

    def take(self, number: int, owner: Key) -> None:
        """Gives out a certain number. Whoever holds it already has to know that: asking again is refused too."""
        if number not in self:
            raise OutOfRange(number)
        if number in self._owners:
            raise Taken(number)
        self._owners[number] = owner

    def take_any(self, owner: Key, rng: Random) -> int:
        split = min(self.first + self.band, self.last + 1)
        for low, high in ((split, self.last), (self.first, split - 1)):
            number = self._free(low, high, rng)
            if number is not None:
                self._owners[number] = owner
                return number
        raise Full

    def _free(self, low: int, high: int, rng: Random) -> int | None:
        if low > high:
            return None
        for _ in range(PROBES_MAX):
            number = rng.randint(low, high)
            if number not in self._owners:
                return number
        return next((number for number in range(low, high + 1) if number not in self._owners), None)

    def release(self, number: int, owner: Key) -> None:
        if self._owners.get(number) == owner:
            del self._owners[number]

    def keep_only(self, owners: set[Key]) -> None:
        """Forgets whatever belongs to owners that do not exist (writes that never came to be)."""
        self._owners = {number: owner for number, owner in self._owners.items() if owner in owners}


class Books:
    """The cluster's two ranges, in the units that Services speak."""

    def __init__(self, service_cidr: str, node_ports: tuple[int, int], rng: Random) -> None:
        self.network = IPv4Network(service_cidr)
        base, size = int(self.network.network_address), self.network.num_addresses
        self.addresses = Range(base + 1, base + size - 2, max(0, address_band(size) - 1))
        low, high = node_ports
        self.ports = Range(low, high, port_band(high - low + 1))
        self.node_ports = node_ports
        self._rng = rng

    def __repr__(self) -> str:
        return f"addresses: {self.addresses!r}; node ports: {self.ports!r}"

    @property
    def first_address(self) -> str:
        return str(IPv4Address(self.addresses.first))

    def take_address(self, address: str, owner: Key) -> None:
        self.addresses.take(int(IPv4Address(address)), owner)

    def any_address(self, owner: Key) -> str:
        return str(IPv4Address(self.addresses.take_any(owner, self._rng)))

    def release_address(self, address: str, owner: Key) -> None:
        self.addresses.release(int(IPv4Address(address)), owner)

    def take_port(self, port: int, owner: Key) -> None:
        self.ports.take(port, owner)

    def any_port(self, owner: Key) -> int:
        return self.ports.take_any(owner, self._rng)

    def release_port(self, port: int, owner: Key) -> None:
        self.ports.release(port, owner)

    def keep_only(self, owners: Iterable[Key]) -> None:
        existing = set(owners)
        self.addresses.keep_only(existing)
        self.ports.keep_only(existing)
