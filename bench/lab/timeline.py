"""What happened to each pod, when: lives made of phases, from watch events. Pure.

A pod's endpoint passes through pending (no address yet), starting (running, not ready), ready, not-ready (was ready
before), terminating (deletion has begun) and gone. The phase in which a request was lost says which setting would
have saved it: a terminating one asks for a preStop sleep, a starting one for a readiness probe, and no setting saves
one that was just killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["pending", "starting", "ready", "not-ready", "terminating", "gone"]


@dataclass(slots=True)
class Life:
    """One pod's phases with the Unix time of each begin, and its restarts."""

    pod: str
    version: str
    phases: list[tuple[float, Phase]] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)

    def phase_at(self, at: float) -> Phase | None:
        """The phase at that time; None before the pod was first seen."""
        found: Phase | None = None
        for begin, phase in self.phases:
            if begin > at:
                break
            found = phase
        return found

    @property
    def was_ready(self) -> bool:
        return any(phase == "ready" for _, phase in self.phases)


class Timeline:
    """The lives of the watched pods."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}

    def observe(self, event: dict[str, Any], now: float) -> None:
        """Takes one watch event of a pod, seen at `now`."""
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return
        pod = event["object"]
        name = pod["metadata"]["name"]
        life = self.lives.setdefault(name, Life(name, _version(pod)))
        phase = _phase(pod, gone=event["type"] == "DELETED", was_ready=life.was_ready)
        if not life.phases or life.phases[-1][1] != phase:
            life.phases.append((now, phase))
        restarts = sum(status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses", ()))
        life.restarts += [now] * (restarts - len(life.restarts))
        life.version = _version(pod)


def _version(pod: dict[str, Any]) -> str:
    image: str = pod["spec"]["containers"][0].get("image", "")
    return image.rpartition(":")[2]


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _phase(pod: dict[str, Any], *, gone: bool, was_ready: bool) -> Phase:
    if gone:
        return "gone"
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    if is_ready(pod):
        return "ready"
    if was_ready:
        return "not-ready"
    return "starting" if pod.get("status", {}).get("phase") == "Running" else "pending"
