"""A backend and its endpoints as a worker has them: the contract's values plus what only this worker knows.

The objects live from the resource's arrival to its removal and keep their identity over every update in between, so
leases, pools and counters hang on them. An endpoint whose address changes is another endpoint: connections of the old
address must not be taken for connections of the new one.

`pick` decides and leases in one breath: whoever gets an endpoint has already been counted, so a burst in one
iteration of the event loop is spread by what is true and not by what was true before the burst. Every pick is
followed by exactly one `release`, also when the endpoint was removed in between.

What may be picked is a tuple that is computed anew when an endpoint's phase changes, not per pick: changes are rare,
picks are not. It is computed on the first use after a change, so that an update with a thousand flips costs one
computation. A backend whose spec asks for more than a picker (a plan, slow start, ejection, a retry budget) is not
`_is_plain` and chooses with more care; the others do not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from dataplane.balance.feedback import Feedback
from dataplane.balance.key import Key, compiled
from dataplane.balance.outlier import Health
from dataplane.balance.peak_ewma import Latency
from dataplane.balance.picker import Picker, Plan, Random
from dataplane.balance.policy import HASHED, PLANNED, picker, plan
from dataplane.balance.slow_start import PICKS_MAX, share
from dataplane.balance.usable import ANYWHERE, Phase, Place, has_hints, phase_of, usable
from dataplane.snapshot import model


class Endpoint:
    """One address of a backend: its spec, the phase of its life, and this worker's leases of it.

    `pool` belongs to whoever keeps connections to it (l7); `failed` counts what the users of a lease report. `latency`
    and `health` are there where the backend's feedback keeps them; `ready_at` is when it was first seen ready by a pick
    that cares, -1.0 before (monotonic seconds).
    """

    __slots__ = ("active", "failed", "health", "id", "latency", "phase", "picked", "pool", "ready_at", "spec")

    def __init__(self, spec: model.Endpoint) -> None:
        self.id = spec.id
        self.spec = spec
        self.phase: Phase = phase_of(ready=spec.ready, serving=spec.serving, terminating=spec.terminating)
        self.active = 0
        self.picked = 0
        self.failed = 0
        self.pool: Any = None
        self.latency: Latency | None = None
        self.health: Health | None = None
        self.ready_at = -1.0

    def __repr__(self) -> str:
        where = f"{self.spec.address}:{self.spec.port}"
        return f"Endpoint({self.id} {where} {self.phase}, {self.active} active, {self.picked} picked)"

    @property
    def weight(self) -> int:
        return self.spec.weight

    @property
    def removed(self) -> bool:
        return self.phase == "removed"

    def update(self, spec: model.Endpoint) -> bool:
        """Take the new spec of the same address; says whether it may now be used otherwise than before."""
        before = self.phase, self.spec.node, self.spec.hint_nodes, self.spec.hint_zones, self.spec.weight
        self.spec = spec
        self.phase = phase_of(ready=spec.ready, serving=spec.serving, terminating=spec.terminating)
        if self.phase != "ready":
            self.ready_at, self.health = -1.0, None  # what comes back is another life
        return before != (self.phase, spec.node, spec.hint_nodes, spec.hint_zones, spec.weight)

    def admits(self, now: float) -> bool:
        """Whether its failures let it have a request now (`outlier`)."""
        return self.health is None or self.health.admits(now, self.active)

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

    __slots__ = ("_dirty", "_has_hints", "_ids", "_is_plain", "_picker", "_plan", "_planned", "_usable", "endpoints",
                 "feedback", "key", "known", "name", "place", "random", "reads_terminating", "spec")  # fmt: skip

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
        self._plan: Plan[Endpoint] | None = None  # of a policy that plans: made at the first pick among `_planned`
        self._planned: tuple[Endpoint, ...] | None = None
        self._is_plain = True
        self.feedback: Feedback | None = None
        self.key: Key | None = None  # what requests are hashed by, where the policy hashes
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
        before, self.spec = self.spec, spec
        if spec.policy != before.policy:
            self._picker = picker(spec.policy, self.random)
            self._plan = self._planned = None
        if self.feedback is None or _lessons(spec) != _lessons(before):
            self.feedback = Feedback(spec) if Feedback.is_wanted(spec) else None
        self.key = compiled(spec.hash_on) if spec.policy in HASHED else None
        self._is_plain = not (spec.policy in PLANNED or spec.slow_start_s or spec.eject_after or spec.retry_budget)

    def share_feedback(self, other: Backend) -> None:
        """Views of one backend learn together."""
        self.feedback = other.feedback

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

    def pick(self, tried: Collection[str] = (), now: float = 0.0, key: bytes = b"") -> Endpoint | None:
        """Lease an endpoint whose id is not in `tried`; None if there is none.

        `now` is monotonic seconds; `key` is what a policy that hashes goes by.
        """
        choice = self._usable if not self._dirty else self.usable
        endpoint: Endpoint | None
        if self._is_plain and not tried:
            if not choice:
                return None
            endpoint = self._picker.pick(choice, now)
        else:
            endpoint = self._choose(choice, tried, now, key)
            if endpoint is None:
                return None
        endpoint.active += 1
        endpoint.picked += 1
        return endpoint

    def _choose(self, choice: tuple[Endpoint, ...], tried: Collection[str], now: float, key: bytes) -> Endpoint | None:
        if self.feedback is not None and not tried:
            self.feedback.began(now)
        allowed = choice
        if tried:
            allowed = tuple([endpoint for endpoint in choice if endpoint.id not in tried])
        if self.spec.eject_after:
            allowed = tuple([one for one in allowed if one.admits(now)]) or allowed
        if not allowed:
            return None
        if self.spec.policy not in PLANNED:
            return self._warmed(lambda: self._picker.pick(allowed, now), now)
        if self._planned is not choice:
            self._plan, self._planned = plan(self.spec.policy, choice, self.random, self._plan), choice
        skipped = () if len(allowed) == len(choice) else {one.id for one in choice} - {one.id for one in allowed}
        made = self._plan
        assert made is not None
        if self.spec.policy in HASHED:
            return made.pick(key, skipped)
        return self._warmed(lambda: made.pick(key, skipped) or allowed[0], now)

    def _warmed(self, draw: Callable[[], Endpoint], now: float) -> Endpoint:
        """What the policy draws, again if it is one that has just become ready (`slow_start`)."""
        endpoint = draw()
        if not self.spec.slow_start_s:
            return endpoint
        for _ in range(PICKS_MAX):
            if endpoint.ready_at < 0:
                endpoint.ready_at = now
            part = share(now - endpoint.ready_at, self.spec.slow_start_s)
            if part >= 1.0 or self.random() < part:
                break
            endpoint = draw()
        return endpoint

    def answered(self, endpoint: Endpoint, success: bool, took_s: float, now: float) -> None:
        """The endpoint answered, or failed to, after so long (< 0: unknown)."""
        if self.feedback is not None:
            self.feedback.done(endpoint, self.usable, success, took_s, now)

    def take(self, id: str, now: float = 0.0) -> Endpoint | None:
        """Lease the endpoint of this id if it is usable now, however many there are.

        One that is ejected is not, as long as another may be picked: nobody sticks to what does not work.
        """
        choice = self.usable
        if self._ids is None:
            self._ids = frozenset(endpoint.id for endpoint in choice)
        if id not in self._ids:
            return None
        endpoint = self.endpoints[id]
        if self.spec.eject_after and not endpoint.admits(now) and any(one.admits(now) for one in choice):
            return None
        if self.feedback is not None:
            self.feedback.began(now)
        endpoint.active += 1
        endpoint.picked += 1
        return endpoint

    def release(self, endpoint: Endpoint) -> None:
        """Give a lease back."""
        if endpoint.active < 1:
            raise RuntimeError(f"{endpoint!r} was released more often than picked")
        endpoint.active -= 1


def _lessons(spec: model.Backend) -> tuple[object, ...]:
    """What feedback depends on."""
    return spec.policy, spec.eject_after, spec.eject_s, spec.retry_budget, spec.retries_min_per_s
