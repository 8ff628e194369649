"""A hash that spreads: 64 bits of BLAKE2b, which the standard library computes in less than a microsecond.

Envoy uses xxHash64 and Ketama MD5; any will do whose outputs look random, and it must be the same in every worker,
which Python's own hash() is not.
"""

from __future__ import annotations

from hashlib import blake2b

BITS = 64


def digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=BITS // 8).digest(), "big")
