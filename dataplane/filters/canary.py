"""Which requests try the new version: by header, else by cookie, else by weight (ingress-nginx's precedence).

The header decides if it is there: with `header_value` equality, with `header_pattern` (RE2, found anywhere) a match,
with neither the words `always` and `never`. Any other value leaves it to the cookie (`always`, `never`), and that to
the weight: `weight` of `weight_total` requests, at random. A `weight_total` below 100 counts as 100.
"""

from __future__ import annotations

from dataplane.filters.passage import Asked
from dataplane.snapshot.pattern import Pattern, compiled
from dataplane.snapshot.policy import Canary

WEIGHT_TOTAL_MIN = 100


class Shaper:
    """A compiled canary rule."""

    __slots__ = ("_cookie", "_header", "_pattern", "_value", "_weight", "_weight_total")

    def __init__(self, spec: Canary) -> None:
        self._header = spec.header.lower().encode()
        self._value = spec.header_value.encode()
        pattern: Pattern | None = None
        if spec.header_pattern and not spec.header_value:
            pattern = compiled(spec.header_pattern)
        self._pattern = pattern
        self._cookie = spec.cookie.encode()
        self._weight = spec.weight
        self._weight_total = max(WEIGHT_TOTAL_MIN, spec.weight_total)

    def takes(self, asked: Asked) -> bool:
        """Whether this request goes to the canary."""
        if self._header:
            said = asked.field(self._header)
            if said is not None:
                verdict = self._by_header(said)
                if verdict is not None:
                    return verdict
        if self._cookie:
            said = asked.cookie(self._cookie)
            if said in (b"always", b"never"):
                return said == b"always"
        return asked.random() * self._weight_total < self._weight

    def _by_header(self, said: bytes) -> bool | None:
        """None: the header says nothing to us."""
        if self._value:
            return True if said == self._value else None
        if self._pattern is not None:
            return True if self._pattern.search(said) is not None else None
        return {b"always": True, b"never": False}.get(said)
