"""Which endpoints may get new connections: kube-proxy's CategorizeEndpoints.

An endpoint's three conditions (KEP-1672) name one phase of its life:

    ready                   gets traffic
    serving-terminating     shutting down but still passing its readiness probe
    terminating             shutting down and failing it
    not-ready               neither ready nor shutting down
    removed                 no longer in the state; only what was leased before still knows it

Ready endpoints are used. Only when there is none, and the listener allows it (KEP-1669, ProxyTerminatingEndpoints,
on by default since 1.28), all serving-terminating ones are: the last pod of a rolling update then still answers.
Terminating endpoints that fail their probe get nothing, even if they are the only ones left. `ready` is taken at its
word: a Service with publishNotReadyAddresses has ready endpoints whatever their pods say.

Where the traffic comes from may narrow this, by its `Place`:

- Traffic policy Local: both steps see the place's own node's endpoints only.
- Otherwise hints (KEP-2433, KEP-3015): if every ready endpoint has a node hint and one is for this node, those that
  are; else if every ready endpoint has a zone hint and one is for this zone, those that are; else all. Hints are all or
  nothing so that a half-written slice does not send everybody to the one endpoint that has its hint already, and they
  do not count among terminating endpoints, of which there are few.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

Phase = Literal["ready", "serving-terminating", "terminating", "not-ready", "removed"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where traffic comes from, and whether it must stay there."""

    node: str = ""
    zone: str = ""
    local: bool = False


ANYWHERE = Place()


class Located(Protocol):
    @property
    def node(self) -> str: ...
    @property
    def hint_nodes(self) -> tuple[str, ...]: ...
    @property
    def hint_zones(self) -> tuple[str, ...]: ...


class Phased(Protocol):
    @property
    def phase(self) -> Phase: ...
    @property
    def spec(self) -> Located: ...


P = TypeVar("P", bound=Phased)


def phase_of(*, ready: bool, serving: bool, terminating: bool) -> Phase:
    """The phase that three conditions mean."""
    if ready:
        return "ready"
    if not terminating:
        return "not-ready"
    return "serving-terminating" if serving else "terminating"


def usable(endpoints: Iterable[P], *, reads_terminating: bool = True, place: Place = ANYWHERE) -> tuple[P, ...]:
    """The endpoints that may be chosen for traffic from `place`, in the order given."""
    known = list(endpoints)
    if place.local:
        known = [endpoint for endpoint in known if endpoint.spec.node == place.node]
    ready = tuple([endpoint for endpoint in known if endpoint.phase == "ready"])
    if ready:
        return ready if place.local else _preferred(ready, place)
    if not reads_terminating:
        return ()
    return tuple([endpoint for endpoint in known if endpoint.phase == "serving-terminating"])


def has_hints(endpoints: Iterable[Phased]) -> bool:
    """Whether the place of traffic can make a difference to which endpoints are usable."""
    return any(endpoint.spec.hint_nodes or endpoint.spec.hint_zones for endpoint in endpoints)


def _preferred(ready: tuple[P, ...], place: Place) -> tuple[P, ...]:
    if all(endpoint.spec.hint_nodes for endpoint in ready):
        near = tuple([endpoint for endpoint in ready if place.node in endpoint.spec.hint_nodes])
        if near:
            return near
    if all(endpoint.spec.hint_zones for endpoint in ready):
        near = tuple([endpoint for endpoint in ready if place.zone in endpoint.spec.hint_zones])
        if near:
            return near
    return ready
