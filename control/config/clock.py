"""Cluster time, and how it relates to the machine's.

Controllers and kubelets never ask the machine what time it is: they are told cluster time, which runs `scale` times as
fast (`loopkube up --time-scale`). From the epoch, one instant that both clocks know, the rest follows:

    cluster time = cluster_at + (machine time - machine_at) * scale

so that processes which share these three numbers agree to the microsecond. Three conversions are all there is: `now`
for whoever decides, `delay_s` for whoever arms a timer for a cluster duration, `cluster_s` for a duration that belongs
to the machine (a program's way from SIGTERM to its end) where cluster seconds are reckoned in. What is in cluster time
and what is not: the table in README.md.

Scale 1 on an epoch of 0 is the identity, and no number is touched then. A cluster whose time ran ahead of the
machine's goes on from where it was: time that API objects have seen must not come again. The supervisor therefore
keeps a `Mark`, a cluster time that is never passed without a later mark having been written first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SCALE_MAX = 3600.0  # an hour a second: a millisecond, which is what a timer is worth, is then 3.6 s
MARK_EVERY_S = 1.0
MARK_AHEAD_S = 3.0
"""A mark is so far ahead, in machine time: what a killed supervisor may lose of the past is added to the future."""


def machine_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`machine_at` and `cluster_at` are Unix seconds; `machine` tells the machine's time."""

    scale: float = 1.0
    machine_at: float = 0.0
    cluster_at: float = 0.0
    machine: Callable[[], datetime] = machine_now

    @property
    def is_machine_time(self) -> bool:
        return self.scale == 1.0 and self.machine_at == self.cluster_at

    def now(self) -> datetime:
        """Cluster time."""
        machine = self.machine()
        if self.is_machine_time:
            return machine
        return datetime.fromtimestamp(self.at(machine.timestamp()), UTC)

    def at(self, machine: float) -> float:
        """Cluster time, when the machine's was that (Unix seconds)."""
        if self.is_machine_time:
            return machine
        return self.cluster_at + (machine - self.machine_at) * self.scale

    def machine_time(self, cluster: float) -> float:
        """The inverse of `at`."""
        if self.is_machine_time:
            return cluster
        return self.machine_at + (cluster - self.cluster_at) / self.scale

    def delay_s(self, cluster_s: float) -> float:
        """How long that takes on the machine."""
        return cluster_s / self.scale

    def cluster_s(self, machine_s: float) -> float:
        """How much cluster time passes meanwhile."""
        return machine_s * self.scale

    def period_s(self, cluster_s: float, machine_min_s: float) -> float:
        """A period of cluster time, longer where the machine would have to keep up with less than its least."""
        return max(cluster_s, self.cluster_s(machine_min_s))

    def to_json(self) -> dict[str, float]:
        return {"scale": self.scale, "machineAt": self.machine_at, "clusterAt": self.cluster_at}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Clock:
        return cls(float(value["scale"]), float(value["machineAt"]), float(value["clusterAt"]))

    def mark(self, ahead_s: float = MARK_AHEAD_S) -> float:
        """Cluster time in so many seconds."""
        return self.at(self.machine().timestamp() + ahead_s)


REAL = Clock()


def started(scale: float, mark: float, machine: Callable[[], datetime] = machine_now) -> Clock:
    """The clock of a cluster that starts now: at the machine's time, or at the last known time where that is later."""
    now = machine().timestamp()
    if scale == 1.0 and mark <= now:
        return Clock(machine=machine)
    return Clock(scale, now, max(now, mark), machine)
