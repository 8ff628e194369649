"""Which path rule a request's path matches: KEP-1453.

    Exact     the same bytes: `/foo` is not `/foo/`, case counts
    Prefix    element by element: `/aaa/bb` matches `/aaa/bb`, `/aaa/bb/` and `/aaa/bb/cc` but not `/aaa/bbb`; a
              trailing slash of the rule is ignored, `/` matches everything
    ImplementationSpecific    here the same as Prefix
    Regex     not KEP-1453's: the path begins with a match of the pattern, without regard to case (what ingress-nginx
              makes of a path with use-regex)

Exact comes before Prefix, among Prefix rules the longest wins; patterns stand among them by the length of their text,
as ingress-nginx sorts them, so a pattern `/` does not swallow the rule `/api` (of equal length the Prefix wins). (The
website's "longest first, then Exact" differs in one case only: rule Prefix `/foo/` beside rule Exact `/foo` on `/foo`;
Exact wins here.) Of two rules that say the same, the one of the oldest Ingress wins (`Route.order`; its name decides
among equals, never who came first here).

A path is the bytes of the request's target before `?`, as they came: percent-encoded octets are not decoded and dot
segments not resolved, because the endpoint gets the same bytes and would have to agree on the result; what one of the
two decodes and the other does not is how filters are bypassed. So a rule `/a b` is written `/a%20b`. A target that does
not begin with `/` (`OPTIONS *`) matches no rule, only a default.

`Paths` needs as many dictionary look-ups as the deepest Prefix rule has elements (and no more than the path has):
10,000 rules cost the same as 10. Patterns are tried one after the other, those of the request's host only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from dataplane.snapshot.model import Route
from dataplane.snapshot.pattern import Pattern, compiled

T = TypeVar("T")


def matches(route: Route, path: bytes) -> bool:
    """Whether this one rule matches; says what a rule means and is not used to find one."""
    rule = route.path.encode()
    if route.path_type == "Exact":
        return path == rule
    if not path.startswith(b"/"):
        return False
    if route.path_type == "Regex":
        return compiled(route.path, ignores_case=True).match(path) is not None
    wanted = prefix_key(rule).split(b"/")
    return path.split(b"/")[: len(wanted)] == wanted


Age = tuple[tuple[str, str, int], str]


def age(route: Route) -> Age:
    """Of rules that say the same the smallest wins."""
    return route.order, route.name


def prefix_key(rule: bytes) -> bytes:
    """A Prefix rule without its trailing slash; `/`, and the empty path of ImplementationSpecific, become b""."""
    return rule.rstrip(b"/")


class Paths(Generic[T]):
    """The rules of one host, compiled. Built once, never changed."""

    __slots__ = ("_depth", "_exact", "_patterns", "_prefix", "_root", "default")

    def __init__(self, rules: Iterable[tuple[Route, T]]) -> None:
        self._exact: dict[bytes, T] = {}
        self._prefix: dict[bytes, T] = {}
        patterns: dict[str, tuple[tuple[int, Age], Pattern, T]] = {}
        self.default: T | None = None
        for route, value in sorted(rules, key=lambda rule: age(rule[0]), reverse=True):  # the oldest stays
            if route.is_default:
                self.default = value
            elif route.path_type == "Exact":
                self._exact[route.path.encode()] = value
            elif route.path_type == "Regex":
                patterns[route.path] = (-len(route.path), age(route)), compiled(route.path, ignores_case=True), value
            else:
                self._prefix[prefix_key(route.path.encode())] = value
        self._root = self._prefix.get(b"")
        self._patterns = sorted(patterns.values(), key=lambda each: each[0])
        self._depth = max((key.count(b"/") for key in self._prefix), default=0)

    def find(self, path: bytes) -> T | None:
        """The value of the rule that wins for a path without query; None if no path rule matches."""
        if self._exact:
            found = self._exact.get(path)
            if found is not None:
                return found
        if path[:1] != b"/":
            return None
        if self._patterns:
            found = self._find_longer_pattern(path)
            if found is not None:
                return found
        best, prefix, end = self._root, self._prefix, 0
        for _ in range(self._depth):
            end = path.find(b"/", end + 1)
            if end < 0:
                return prefix.get(path, best)
            best = prefix.get(path[:end], best)
        return best

    def _find_longer_pattern(self, path: bytes) -> T | None:
        """The value of the longest pattern that matches, if no Prefix rule is as long."""
        ends = [0 if self._root is not None else -1]
        ends += [end for end in range(1, len(path) + 1) if path[end : end + 1] in b"/" and path[:end] in self._prefix]
        longest = max(ends)
        for (minus_size, _), pattern, value in self._patterns:
            if -minus_size <= longest:
                return None
            if pattern.match(path) is not None:
                return value
        return None
