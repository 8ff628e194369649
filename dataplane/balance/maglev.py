"""maglev: requests with the same key go to the same endpoint, shares are equal, and nearly all keys stay at a change.

Google's load balancer (Eisenbud et al., NSDI 2016, section 3.4): each endpoint has a permutation of the table's slots,
and they take turns claiming the next free slot of their own; a key looks at one slot. Shares differ by one slot at
most, where a ring's differ by a fifth; in return a change moves a few keys that need not move.

The table has a prime size of at least `SLOTS` times the number of endpoints (the paper: a hundred times), the smallest
of `SIZES` that will do. Endpoints of weight w have w turns. Filling it costs about a microsecond a slot, once a set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic

from dataplane.balance.hashing import digest
from dataplane.balance.picker import C

SLOTS = 100
SIZES = (307, 1021, 4093, 16381, 65537)  # primes; the paper's and Envoy's is the last


class Maglev(Generic[C]):
    __slots__ = ("_table",)

    def __init__(self, usable: Sequence[C]) -> None:
        ordered = sorted(usable, key=lambda endpoint: endpoint.id)  # the same table in all workers
        turns = [endpoint for endpoint in ordered for _ in range(endpoint.weight)]
        size = next((size for size in SIZES if size >= SLOTS * len(turns)), SIZES[-1])
        offset = {endpoint.id: digest(b"offset " + endpoint.id.encode()) % size for endpoint in ordered}
        skip = {endpoint.id: digest(b"skip " + endpoint.id.encode()) % (size - 1) + 1 for endpoint in ordered}
        table: list[C | None] = [None] * size
        free = size
        while free and turns:
            for endpoint in turns:
                slot = offset[endpoint.id]
                while table[slot] is not None:
                    slot = (slot + skip[endpoint.id]) % size
                table[slot] = endpoint
                offset[endpoint.id] = (slot + skip[endpoint.id]) % size
                free -= 1
                if not free:
                    break
        self._table = [endpoint for endpoint in table if endpoint is not None]

    def pick(self, key: bytes, skipped: Collection[str]) -> C | None:
        count = len(self._table)
        start = digest(key)
        for step in range(count):
            endpoint = self._table[(start + step) % count]
            if endpoint.id not in skipped:
                return endpoint
        return None
