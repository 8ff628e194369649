"""A backend and its endpoints as a worker has them: the contract's values plus what only this worker knows.

The objects live from the resource's arrival to its removal and keep their identity over every update in between, so
leases, pools and counters hang on them. An endpoint whose address changes is another endpoint: connections of the old
address must not be taken for connections of the new one.

`pick` decides and leases in one breath: whoever gets an endpoint has already been counted, so a burst in one
iteration of the event loop is spread by what is true and not by what was true before the burst. Every pick is
followed by exactly one `release`, also when the endpoint was removed in between.

What may be picked is a tuple that is computed anew when an endpoint's phase changes, not per pick: changes are rare,
picks are not. It is computed on the first use after a change, so that an update with a thousand flips costs one
computation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dataplane.balance.picker import Picker, Random
from dataplane.balance.policy import picker
from dataplane.balance.usable import ANYWHERE, Phase, Place, has_hints, phase_of, usable
from dataplane.snapshot import model


class Endpoint:
    """One address of a backend: its spec, the phase of its life, and this worker's leases of it.

    `pool` belongs to whoever keeps connections to it (l7); `failed` counts what the users of a lease report.
    """

    __slots__ = ("active", "failed", "id", "phase", "picked", "pool", "spec")

    def __init__(self, spec: model.Endpoint) -> None:
        self.id = spec.id
        self.spec = spec
        self.phase: Phase = phase_of(ready=spec.ready, serving=spec.serving, terminating=spec.terminating)
        self.active = 0
        self.picked = 0
        self.failed = 0
        self.pool: Any = None

    def __repr__(self) -> str:
        where = f"{self.spec.address}:{self.spec.port}"
        return f"Endpoint({self.id} {where} {self.phase}, {self.active} active, {self.picked} picked)"

    @property
    def removed(self) -> bool:
        return self.phase == "removed"

    def update(self, spec: model.Endpoint) -> bool:
        """Take the new spec of the same address; says whether it may now be used otherwise than before."""
        before = self.phase, self.spec.node, self.spec.hint_nodes, self.spec.hint_zones
        self.spec = spec
        self.phase = phase_of(ready=spec.ready, serving=spec.serving, terminating=spec.terminating)
        return before != (self.phase, spec.node, spec.hint_nodes, spec.hint_zones)

    def forget_pool(self) -> None:
        """Its connections are of no use any more: they end with what is under way on them."""
        if self.pool is not None:
            self.pool.close_idle()
            self.pool = None

    def remove(self) -> None:
        self.phase = "removed"


class Backend:
    """A named set of endpoints and the policy that chooses among them.

    Which of its endpoints are usable depends on who asks: `reads_terminating` is KEP-1669's fallback, which a listener
    may switch off, and `place` is where the traffic comes from. A table keeps one Backend for each such view that is
    asked for, and all share `endpoints`.
    """

    __slots__ = ("_dirty", "_has_hints", "_ids", "_picker", "_usable", "endpoints", "known", "name", "place",
                 "random", "reads_terminating", "spec")  # fmt: skip

    def __init__(
        self,
        name: str,
        random: Random,
        *,
        endpoints: dict[str, Endpoint] | None = None,
        reads_terminating: bool = True,
        place: Place = ANYWHERE,
    ) -> None:
        self.name = name
        self.spec = model.Backend(name)
        self.known = False  # a route may name a backend that is not there (yet)
        self.endpoints: dict[str, Endpoint] = {} if endpoints is None else endpoints
        self.reads_terminating = reads_terminating
        self.place = place
        self.random = random
        self._picker: Picker = picker(self.spec.policy, random)
        self._usable: tuple[Endpoint, ...] = ()
        self._ids: frozenset[str] | None = None  # of the usable ones, once somebody asks
        self._has_hints = False
        self._dirty = True

    def __repr__(self) -> str:
        unknown = "" if self.known else ", unknown"
        return f"Backend({self.name}: {len(self.usable)} of {len(self.endpoints)} endpoints usable{unknown})"

    def set_spec(self, spec: model.Backend | None) -> None:
        """The backend's resource as it is now; None when there is none: then nothing is usable."""
        self.known = spec is not None
        self._dirty = True
        if spec is None:
            return
        if spec.protocol != self.spec.protocol:
            for endpoint in self.endpoints.values():
                endpoint.forget_pool()
        if spec.policy != self.spec.policy:
            self._picker = picker(spec.policy, self.random)
        self.spec = spec

    def touch(self) -> None:
        """An endpoint came, went or changed its phase."""
        self._dirty = True

    @property
    def usable(self) -> tuple[Endpoint, ...]:
        """The endpoints that may be picked now."""
        if self._dirty:
            endpoints = self.endpoints.values() if self.known else ()
            self._usable = usable(endpoints, reads_terminating=self.reads_terminating, place=self.place)
            self._ids = None
            self._has_hints = has_hints(endpoints)
            self._dirty = False
        return self._usable

    @property
    def has_hints(self) -> bool:
        """Whether traffic from different places may find different endpoints usable."""
        return self._has_hints if not self._dirty else bool(self.usable) and self._has_hints

    @property
    def has_usable(self) -> bool:
        return bool(self.usable)

    def pick(self, tried: Collection[str] = ()) -> Endpoint | None:
        """Lease an endpoint whose id is not in `tried`; None if there is none."""
        choice = self._usable if not self._dirty else self.usable
        if tried:
            choice = tuple([endpoint for endpoint in choice if endpoint.id not in tried])
        if not choice:
            return None
        endpoint = self._picker.pick(choice)
        endpoint.active += 1
        endpoint.picked += 1
        return endpoint

    def take(self, id: str) -> Endpoint | None:
        """Lease the endpoint of this id if it is usable now, however many there are."""
        choice = self.usable
        if self._ids is None:
            self._ids = frozenset(endpoint.id for endpoint in choice)
        if id not in self._ids:
            return None
        endpoint = self.endpoints[id]
        endpoint.active += 1
        endpoint.picked += 1
        return endpoint

    def release(self, endpoint: Endpoint) -> None:
        """Give a lease back."""
        if endpoint.active < 1:
            raise RuntimeError(f"{endpoint!r} was released more often than picked")
        endpoint.active -= 1
