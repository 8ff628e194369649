"""What the pods of a node use of it. Pods come and go one by one; `of` counts anew what `add` and `remove` keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from control.api.objects import Object, controller_of
from control.controllers.requests import HostPort, Resources, host_ports, requested

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Needs:
    """What one pod uses of its node."""

    resources: Resources
    ports: frozenset[HostPort]
    controller: str

    @classmethod
    def of(cls, pod: Object) -> Needs:
        return cls(requested(pod), frozenset(host_ports(pod)), (controller_of(pod) or {}).get("uid") or "")


@dataclass(slots=True)
class Occupancy:
    """What the pods of one node use together."""

    pods: int = 0
    resources: Resources = field(default_factory=Counter)
    ports: Counter[HostPort] = field(default_factory=Counter)
    controllers: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, pods: Iterable[Object]) -> Occupancy:
        made = cls()
        for pod in pods:
            made.add(Needs.of(pod))
        return made

    def add(self, needs: Needs) -> None:
        self.pods += 1
        self.controllers[needs.controller] += 1
        if needs.resources:
            self.resources.update(needs.resources)
        if needs.ports:
            self.ports.update(needs.ports)

    def remove(self, needs: Needs) -> None:
        self.pods -= 1
        _less(self.controllers, {needs.controller: 1})
        if needs.resources:
            self.resources.subtract(needs.resources)
        if needs.ports:
            _less(self.ports, dict.fromkeys(needs.ports, 1))


def _less(counts: Counter[T], by: dict[T, int]) -> None:
    """Takes away, and forgets what is no more."""
    for what, amount in by.items():
        counts[what] -= amount
        if not counts[what]:
            del counts[what]
