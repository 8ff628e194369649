"""A route's policy, compiled: filters in a fixed order, then the choice of the backend.

The order is that in which nginx runs its phases on the configuration that ingress-nginx writes:

    app-root    413 for a length too large    503 if denied    CORS preflight    redirect    https
    limits      networks                      credentials      rewriting         canary      affinity

So a redirect costs a client nothing of its limit, and an address that may not come in is not asked for a password.
The first answer ends it; fields that earlier filters want in every answer (CORS, custom headers) go into it too.

What belongs to the policy alone (`Shared`: limits that count, passwords that were right, networks) is made once for all
its routes and survives as long as the resource stays the same; what needs the route's path is made per route. A
`Policy` is immutable but for what its parts remember.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dataplane.balance.backend import Backend
from dataplane.filters import redirect, rewrite
from dataplane.filters.access import Access
from dataplane.filters.basic_auth import Authentication
from dataplane.filters.canary import Shaper
from dataplane.filters.cors import CrossOrigin
from dataplane.filters.limit import Limiter
from dataplane.filters.passage import Answer, Asked, Filter, Passage
from dataplane.filters.sticky import Stickiness
from dataplane.snapshot.model import Route
from dataplane.snapshot.policy import CookieAffinity, RoutePolicy

UNKNOWN: Final = RoutePolicy("", denied="the route's policy is not known")
"""What holds for a route whose policy is not there: nobody may pass."""


class Shared:
    """A policy's filters that do not depend on the route: before the request is rewritten."""

    __slots__ = ("entry", "filters", "spec")

    def __init__(self, spec: RoutePolicy) -> None:
        self.spec = spec
        self.entry: list[Filter] = [redirect.to_app_root(spec.app_root)] if spec.app_root else []
        if spec.body_max:
            self.entry.append(_bounded(spec.body_max))
        if spec.denied:
            self.entry.append(_denied(spec.denied))
        if spec.response_fields or spec.location_from:
            self.entry.append(rewrite.for_response(spec))
        if spec.cors is not None:
            self.entry.append(CrossOrigin(spec.cors))
        if spec.redirect is not None:
            self.entry.append(redirect.to_url(spec.redirect))
        if spec.redirect_host:
            self.entry.append(redirect.to_other_host(spec.redirect_host))
        self.filters: list[Filter] = []
        if spec.limits is not None:
            self.filters.append(Limiter(spec.limits))
        doors: list[Filter] = [Access(spec.allow, spec.deny)] if spec.allow or spec.deny else []
        if spec.auth is not None:
            doors.append(Authentication(spec.auth))
        self.filters += [_either(*doors)] if spec.any_suffices and len(doors) == 2 else doors


class Alternative(NamedTuple):
    """The canary of a route."""

    route: str
    backend: Backend
    shaper: Shaper
    affinity: CookieAffinity | None


class Way(NamedTuple):
    """The request goes on: to this backend, as the passage says; `route` is the rule that said so in the end."""

    asked: Asked
    passage: Passage
    backend: Backend
    route: str
    stickiness: Stickiness | None


class Policy:
    """What is decided about each request of one route."""

    __slots__ = ("_alternative", "_alternative_sticky", "_backend", "_fallback", "_fallback_lines", "_filters",
                 "_follows_canary", "_name", "_sticky")  # fmt: skip

    def __init__(
        self,
        route: Route,
        backend: Backend,
        shared: Shared,
        *,
        alternative: Alternative | None = None,
        fallback: Backend | None = None,
    ) -> None:
        spec = shared.spec
        self._name = route.name
        self._backend = backend
        self._filters = (*shared.entry, *_https(spec, route), *shared.filters, *_rewriting(spec, route))
        self._alternative = alternative
        self._fallback = fallback
        namespace, _, ingress = spec.name.partition("/")
        self._fallback_lines = b"X-Code: 503\r\nX-Namespace: %b\r\nX-Ingress-Name: %b\r\n" % (
            namespace.encode(), ingress.encode(),
        )  # fmt: skip
        affinity = spec.affinity
        self._follows_canary = affinity is not None and affinity.with_canary
        self._sticky = None if affinity is None else Stickiness(affinity, backend.name, route.path)
        self._alternative_sticky: Stickiness | None = None
        if alternative is not None:
            other = alternative.affinity or (affinity if self._follows_canary else None)
            if other is not None:
                self._alternative_sticky = Stickiness(other, alternative.backend.name, route.path)

    def __repr__(self) -> str:
        return f"Policy({self._name}, {len(self._filters)} filters)"

    def decide(self, asked: Asked) -> Answer | Way:
        """What becomes of this request."""
        passage = Passage()
        for filter_ in self._filters:
            answer = filter_(asked, passage)
            if answer is not None:
                if passage.released is not None:
                    passage.released()
                return answer._replace(lines=answer.lines + passage.response_lines)
        alternative = self._alternative
        if alternative is not None and self._is_for(alternative, asked):
            return Way(asked, passage, alternative.backend, alternative.route, self._alternative_sticky)
        if self._fallback is not None and not self._backend.has_usable and self._fallback.has_usable:
            passage.lines += self._fallback_lines
            return Way(asked, passage, self._fallback, self._name, None)
        return Way(asked, passage, self._backend, self._name, self._sticky)

    def _is_for(self, alternative: Alternative, asked: Asked) -> bool:
        if not alternative.backend.has_usable:
            return False
        if self._follows_canary and self._sticky is not None:
            if self._sticky.is_ours(asked):
                return False
            if self._alternative_sticky is not None and self._alternative_sticky.is_ours(asked):
                return True
        return alternative.shaper.takes(asked)


def _bounded(body_max: int) -> Filter:
    """client_max_body_size: 413 where the length is announced; else whoever counts the bytes says it."""

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        passage.body_max = body_max
        return Answer(413, f"the body is longer than {body_max} bytes") if asked.length > body_max else None

    return filter_


def _denied(why: str) -> Filter:
    answer = Answer(503, why)
    return lambda asked, passage: answer


def _either(access: Filter, authentication: Filter) -> Filter:
    """satisfy any: whoever comes from the right network needs no password; whoever does not is asked for it."""

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        if access(asked, passage) is None:
            passage.removes = passage.removes | {b"authorization"}
            return None
        return authentication(asked, passage)

    return filter_


def _https(spec: RoutePolicy, route: Route) -> list[Filter]:
    return [redirect.to_https(spec.https)] if spec.https is not None and route.host in spec.https.hosts else []


def _rewriting(spec: RoutePolicy, route: Route) -> list[Filter]:
    found: list[Filter] = []
    if spec.rewrite_target and spec.rewrite_target != route.path and not route.is_default:
        is_pattern = route.path_type == "Regex"
        found.append(rewrite.Rewrite(route.path, spec.rewrite_target, spec.forwarded_prefix, is_pattern=is_pattern))
    if spec.host:
        found.append(rewrite.to_host(spec.host))
    return found
