"""From (host, path) to the rule that wins, among all rules of one table.

    1 the host's own rules       exact name, else wildcard, else the rules without a host (`host.py`)
    2 a path rule among them     Exact, else the longest Prefix (`path.py`)
    3 that host's default        a default backend with this host
    4 the table's default        a default backend without a host

`linear.py` says the same in the slow and obvious way and the tests compare the two.

The finder keeps its identity while rules change, and only the hosts whose rules changed are compiled anew. Hosts as
clients send them are remembered with what they led to (`Host: Example.com:8080` need not be taken apart each time);
the memory is bounded and emptied by every change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

from dataplane.route.host import normal, patterns
from dataplane.route.path import Paths, T
from dataplane.snapshot.model import Route

REMEMBERED_MAX = 1024  # hosts as sent; an ordinary cluster has dozens, and a flood of invented ones must cost nothing


class Finder(Generic[T]):
    """The compiled rules of one table; `T` is what the caller wants to get for a rule."""

    __slots__ = ("_hosts", "_remembered")

    def __init__(self) -> None:
        self._hosts: dict[bytes, Paths[T]] = {}
        self._remembered: dict[bytes, Paths[T] | None] = {}

    def __repr__(self) -> str:
        return f"Finder({len(self._hosts)} hosts)"

    def set_host(self, host: str, rules: Iterable[tuple[Route, T]]) -> None:
        """Replace all rules of one host pattern; none at all forgets the host."""
        rules = list(rules)
        key = host.lower().encode()
        if rules:
            self._hosts[key] = Paths(rules)
        else:
            self._hosts.pop(key, None)
        self._remembered.clear()

    def find(self, host: bytes, path: bytes) -> T | None:
        """The value of the rule that wins; a query at the end of `path` is ignored."""
        try:
            paths = self._remembered[host]
        except KeyError:
            paths = self._choose(host)
        if paths is None:
            return None
        query = path.find(b"?")
        found = paths.find(path if query < 0 else path[:query])
        if found is not None:
            return found
        if paths.default is not None:
            return paths.default
        anywhere = self._hosts.get(b"")
        return None if anywhere is None else anywhere.default

    def _choose(self, host: bytes) -> Paths[T] | None:
        hosts = self._hosts
        paths = next((hosts[pattern] for pattern in patterns(normal(host)) if pattern in hosts), None)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[host] = paths
        return paths
