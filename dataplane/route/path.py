"""Which path rule a request's path matches: KEP-1453.

    Exact     the same bytes: `/foo` is not `/foo/`, case counts
    Prefix    element by element: `/aaa/bb` matches `/aaa/bb`, `/aaa/bb/` and `/aaa/bb/cc` but not `/aaa/bbb`; a
              trailing slash of the rule is ignored, `/` matches everything
    ImplementationSpecific    here the same as Prefix

Exact comes before Prefix, among Prefix rules the longest wins. (The website's "longest first, then Exact" differs in
one case only: rule Prefix `/foo/` beside rule Exact `/foo` on `/foo`; Exact wins here.) Of two rules that say the
same, the one of the oldest Ingress wins (`Route.order`; its name decides among equals, never who came first here).

A path is the bytes of the request's target before `?`, as they came: percent-encoded octets are not decoded and dot
segments not resolved, because the endpoint gets the same bytes and would have to agree on the result; what one of the
two decodes and the other does not is how filters are bypassed. So a rule `/a b` is written `/a%20b`. A target that does
not begin with `/` (`OPTIONS *`) matches no rule, only a default.

`Paths` needs as many dictionary look-ups as the deepest Prefix rule has elements (and no more than the path has):
10,000 rules cost the same as 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from dataplane.snapshot.model import Route

T = TypeVar("T")


def matches(route: Route, path: bytes) -> bool:
    """Whether this one rule matches; says what a rule means and is not used to find one."""
    rule = route.path.encode()
    if route.path_type == "Exact":
        return path == rule
    if not path.startswith(b"/"):
        return False
    wanted = prefix_key(rule).split(b"/")
    return path.split(b"/")[: len(wanted)] == wanted


def age(route: Route) -> tuple[tuple[str, str, int], str]:
    """Of rules that say the same the smallest wins."""
    return route.order, route.name


def prefix_key(rule: bytes) -> bytes:
    """A Prefix rule without its trailing slash; `/`, and the empty path of ImplementationSpecific, become b""."""
    return rule.rstrip(b"/")


class Paths(Generic[T]):
    """The rules of one host, compiled. Built once, never changed."""

    __slots__ = ("_depth", "_exact", "_prefix", "_root", "default")

    def __init__(self, rules: Iterable[tuple[Route, T]]) -> None:
        self._exact: dict[bytes, T] = {}
        self._prefix: dict[bytes, T] = {}
        self.default: T | None = None
        for route, value in sorted(rules, key=lambda rule: age(rule[0]), reverse=True):  # the oldest stays
            if route.is_default:
                self.default = value
            elif route.path_type == "Exact":
                self._exact[route.path.encode()] = value
            else:
                self._prefix[prefix_key(route.path.encode())] = value
        self._root = self._prefix.get(b"")
        self._depth = max((key.count(b"/") for key in self._prefix), default=0)

    def find(self, path: bytes) -> T | None:
        """The value of the rule that wins for a path without query; None if no path rule matches."""
        if self._exact:
            found = self._exact.get(path)
            if found is not None:
                return found
        if path[:1] != b"/":
            return None
        best, prefix, end = self._root, self._prefix, 0
        for _ in range(self._depth):
            end = path.find(b"/", end + 1)
            if end < 0:
                return prefix.get(path, best)
            best = prefix.get(path[:end], best)
        return best
