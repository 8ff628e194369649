"""The ways through the table: which route a request takes, and what it needs on its way.

Rules are kept by (table, host), and what changes of a host is compiled together: its paths (`route.find`) and, for each
route with a policy, that policy (`filters.policy`). Canaries are no rules of their own: each becomes the alternative of
the route with its host, path and type, the oldest one if there are several (ingress-nginx has one canary per rule).

A change of a policy compiles the hosts whose routes name it; what the policy counts begins anew then, and only then.
There are two compilations of a table at most: for listeners that fall back on terminating endpoints, and for those
that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dataplane.balance.backend import Backend
from dataplane.filters.canary import Shaper
from dataplane.filters.policy import UNKNOWN, Alternative, Policy, Shared
from dataplane.route.find import Finder
from dataplane.route.path import age
from dataplane.snapshot.model import Listener, Route
from dataplane.snapshot.policy import RoutePolicy

HostKey = tuple[str, str]
"""(table, host)."""


class Match(NamedTuple):
    """Where a request goes: the backend (perhaps without any endpoint), the name of the route that said so, and what
    is to be decided about the request on the way; None if nothing is."""

    backend: Backend
    route: str
    policy: Policy | None = None


Resolve = Callable[[bytes, bytes], Match | None]
"""(host, path) -> where the request goes, or None if no route matches."""

BackendOf = Callable[[str, bool], Backend]
"""(name, reads_terminating) -> the backend, known or not."""


class Routing:
    """All routes and policies in force, and their compiled form."""

    def __init__(self, backend_of: BackendOf) -> None:
        self._backend_of = backend_of
        self._rules: dict[HostKey, dict[str, Route]] = {}  # routes by name
        self._policies: dict[str, Shared] = {}
        self._governed: dict[str, dict[str, HostKey]] = {}  # policy -> the routes that name it, and where they are
        self._finders: dict[tuple[str, bool], Finder[Match]] = {}
        self._dirty: set[HostKey] = set()

    def __repr__(self) -> str:
        return f"Routing({len(self._rules)} hosts, {len(self._policies)} policies)"

    def add(self, route: Route) -> None:
        """A route that was not there, or was dropped."""
        key = route.table, route.host
        self._rules.setdefault(key, {})[route.name] = route
        self._dirty.add(key)
        if route.policy:
            self._governed.setdefault(route.policy, {})[route.name] = key

    def drop(self, route: Route) -> None:
        """A route that was there."""
        key = route.table, route.host
        self._rules[key].pop(route.name, None)
        self._dirty.add(key)
        if route.policy:
            governed = self._governed[route.policy]
            governed.pop(route.name, None)
            if not governed:
                del self._governed[route.policy]

    def set_policy(self, name: str, spec: RoutePolicy | None) -> None:
        """The policy as it is now; None when there is none."""
        if spec is None:
            self._policies.pop(name, None)
        else:
            self._policies[name] = Shared(spec)
        self._dirty.update(self._governed.get(name, {}).values())

    def compile(self) -> None:
        """Bring what was said since the last time into force."""
        for table, host in self._dirty:
            routes = self._rules.get((table, host), {})
            if not routes:
                self._rules.pop((table, host), None)
            for reads_terminating in (True, False):
                finder = self._finders.get((table, reads_terminating))
                if finder is not None:
                    finder.set_host(host, self._matches(routes.values(), reads_terminating))
        self._dirty.clear()

    def finder(self, table: str, *, reads_terminating: bool) -> Finder[Match]:
        """The compiled routes of a table; it keeps its identity over changes."""
        finder = self._finders.get((table, reads_terminating))
        if finder is None:
            finder = self._finders[table, reads_terminating] = Finder()
            for (of_table, host), routes in self._rules.items():
                if of_table == table:
                    finder.set_host(host, self._matches(routes.values(), reads_terminating))
        return finder

    def resolver(self, listener: Listener) -> Resolve:
        """The way from (host, path) to a match for requests of an ingress listener."""
        return self.finder(listener.table, reads_terminating=listener.reads_terminating).find

    def backends(self) -> Iterator[str]:
        """The names of all backends that routes and policies point at."""
        for routes in self._rules.values():
            for route in routes.values():
                yield route.backend
        for shared in self._policies.values():
            if shared.spec.fallback:
                yield shared.spec.fallback

    def _matches(self, routes: Iterable[Route], reads_terminating: bool) -> list[tuple[Route, Match]]:
        routes = list(routes)
        canaries: dict[tuple[str, str, bool], Route] = {}
        for route in sorted((each for each in routes if each.is_canary), key=age, reverse=True):  # the oldest stays
            canaries[_rule(route)] = route
        return [
            (route, self._match(route, canaries.get(_rule(route)), reads_terminating))
            for route in routes
            if not route.is_canary
        ]

    def _match(self, route: Route, canary: Route | None, reads_terminating: bool) -> Match:
        backend = self._backend_of(route.backend, reads_terminating)
        alternative = None if canary is None else self._alternative(canary, reads_terminating)
        if not route.policy and alternative is None:
            return Match(backend, route.name)
        shared = self._shared(route.policy)
        fallback = self._backend_of(shared.spec.fallback, reads_terminating) if shared.spec.fallback else None
        policy = Policy(route, backend, shared, alternative=alternative, fallback=fallback)
        return Match(backend, route.name, policy)

    def _shared(self, policy: str) -> Shared:
        if not policy:
            return _NOTHING
        return self._policies.get(policy) or Shared(UNKNOWN)

    def _alternative(self, canary: Route, reads_terminating: bool) -> Alternative | None:
        shared = self._policies.get(canary.policy)
        if shared is None or shared.spec.canary is None:
            return None
        backend = self._backend_of(canary.backend, reads_terminating)
        return Alternative(canary.name, backend, Shaper(shared.spec.canary), shared.spec.affinity)


_NOTHING = Shared(RoutePolicy(""))


def _rule(route: Route) -> tuple[str, str, bool]:
    return route.path, route.path_type, route.is_default
