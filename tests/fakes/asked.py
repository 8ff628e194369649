"""Requests as filters see them, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataplane.balance.backend import Backend, Endpoint
from dataplane.filters.passage import Answer, Asked, Filter, Passage
from dataplane.filters.policy import Policy, Shared
from dataplane.l7.fields import Field
from dataplane.snapshot import model
from dataplane.snapshot.policy import RoutePolicy
from tests.fakes.contract import endpoint


def asked(target: str = "/", *, method: str = "GET", host: str = "h.example", **more: Any) -> Asked:
    """`fields` are a dict or pairs; a name may come more than once."""
    given = more.pop("fields", {})
    pairs: Sequence[tuple[str, str]] = list(given.items()) if isinstance(given, dict) else given
    fields = [Field(name.encode(), value.encode()) for name, value in pairs]
    more.setdefault("client", "192.0.2.7")
    more.setdefault("random", lambda: 0.5)
    return Asked(method.encode(), host.encode(), target.encode(), fields, **more)


def through(filter_: Filter, request: Asked) -> tuple[Answer | None, Passage]:
    """What a filter says."""
    passage = Passage()
    return filter_(request, passage), passage


def backend(name: str = "b", *ids: str) -> Backend:
    """A backend with ready endpoints."""
    made = Backend(name, lambda: 0.0)
    for index, id_ in enumerate(ids):
        spec = endpoint(id_, name, port=8000 + index)
        made.endpoints[id_] = Endpoint(spec)
    made.set_spec(model.Backend(name, "round-robin"))
    return made


def policy(spec: RoutePolicy, *, to: Backend | None = None, path: str = "/", **more: Any) -> Policy:
    """The policy, compiled for a route with this path."""
    route = model.Route(
        "r", "t", more.pop("host", "h.example"), path, more.pop("path_type", "Prefix"), "b", ("", "", 0)
    )
    return Policy(route, to or backend("b", "e"), Shared(spec), **more)
