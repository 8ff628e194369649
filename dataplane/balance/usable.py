"""Which endpoints may get new connections: kube-proxy's CategorizeEndpoints without topology.

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
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

Phase = Literal["ready", "serving-terminating", "terminating", "not-ready", "removed"]


class Phased(Protocol):
    @property
    def phase(self) -> Phase: ...


P = TypeVar("P", bound=Phased)


def phase_of(*, ready: bool, serving: bool, terminating: bool) -> Phase:
    """The phase that three conditions mean."""
    if ready:
        return "ready"
    if not terminating:
        return "not-ready"
    return "serving-terminating" if serving else "terminating"


def usable(endpoints: Iterable[P], *, reads_terminating: bool = True) -> tuple[P, ...]:
    """The endpoints that may be chosen, in the order given."""
    known = list(endpoints)
    ready = tuple([endpoint for endpoint in known if endpoint.phase == "ready"])
    if ready or not reads_terminating:
        return ready
    return tuple([endpoint for endpoint in known if endpoint.phase == "serving-terminating"])
