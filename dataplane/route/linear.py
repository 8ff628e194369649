"""The slow, obviously right twin of `find.py`: look at every rule, keep those that match, take the best.

It is not used to serve requests. Tests compare the compiled finder with it on random tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataplane.route.host import normal, patterns
from dataplane.route.path import age, matches, prefix_key
from dataplane.snapshot.model import Route


def find(routes: Sequence[Route], host: bytes, path: bytes) -> Route | None:
    """The route that wins for this host and path among all routes of one table."""
    path = path.partition(b"?")[0]
    for pattern in patterns(normal(host)):
        of_host = [route for route in routes if route.host.lower().encode() == pattern]
        if of_host:
            hits = [route for route in of_host if not route.is_default and matches(route, path)]
            defaults = [route for route in of_host if route.is_default]
            found = min(hits, key=rank, default=None) or min(defaults, key=age, default=None)
            if found is not None:
                return found
            break  # only the most specific host that has rules is asked
    anywhere = [route for route in routes if route.is_default and not route.host]
    return min(anywhere, key=age, default=None)


def rank(route: Route) -> tuple[bool, int, bool, tuple[tuple[str, str, int], str]]:
    """Among matching rules the smallest wins: Exact first, then the longest, Prefix before pattern, then the oldest."""
    is_pattern = route.path_type == "Regex"
    length = len(route.path) if is_pattern else len(prefix_key(route.path.encode()))
    return route.path_type != "Exact", -length, is_pattern, age(route)
