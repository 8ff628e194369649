"""A probe's state machine, as kubelet's prober worker: when to look, and what a streak of results means.

A worker belongs to one probe of one container of a pod and lives as long as the pod. It looks at the container only
while that runs; a new container (id) resets it. What one look yields is an `Outcome`; what the rest of the kubelet
sees is a *verdict*, which changes only after `failureThreshold` or `successThreshold` equal outcomes in a row:

    kind       verdict before any    gated by startup    after a failing verdict
    startup    unknown               -                   on hold until a new container
    liveness   success               yes                 on hold until a new container
    readiness  failure               yes                 goes on; also while the pod terminates

A startup probe goes on hold after a success, too: it has nothing more to find out. Outcomes that say the *prober*
failed ("error") count for nothing.

Looks fall on ticks of the period, counted from the worker's making. Two knobs take out the waiting that has nothing to
do with the application. With `at_start` the ticks are counted from the container's start (a liveness probe's first one
is then a period later). With `eager_s` a readiness or startup probe that has not succeeded yet looks between ticks,
too, first so often and then at a tenth of the container's age; such looks can only succeed: a failure before the first
full period, or between ticks, is silent and counts for nothing. So a server that needs 130 ms to listen is ready after
150 ms, and thresholds still mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ProbeKind = Literal["startup", "liveness", "readiness"]
Result = Literal["success", "warning", "failure", "error"]
KINDS: tuple[ProbeKind, ...] = ("startup", "liveness", "readiness")
INITIAL: dict[ProbeKind, bool | None] = {"startup": None, "liveness": True, "readiness": False}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look found; "warning" is a success worth an event (a redirect elsewhere)."""

    result: Result
    output: str = ""

    @property
    def good(self) -> bool:
        return self.result in ("success", "warning")


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A container's probe with Kubernetes' defaults filled in."""

    kind: ProbeKind
    handler: Mapping[str, Any]
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


def probes_of(container: Mapping[str, Any]) -> list[ProbeSpec]:
    found = []
    for kind in KINDS:
        spec = container.get(f"{kind}Probe")
        if spec:
            found.append(
                ProbeSpec(
                    kind,
                    spec,
                    float(spec.get("initialDelaySeconds") or 0),
                    float(spec.get("periodSeconds") or 10),
                    float(spec.get("timeoutSeconds") or 1),
                    int(spec.get("successThreshold") or 1),
                    int(spec.get("failureThreshold") or 3),
                )
            )
    return found


class Worker:
    """Times are monotonic seconds. The shell calls `see` with what it knows of the container, asks `next_at`, looks
    when that time has come, and hands the outcome to `take`."""

    def __init__(
        self, spec: ProbeSpec, now: float, *, at_start: bool, eager_s: float = 0.0, jitter_s: float = 0.0
    ) -> None:
        self.spec = spec
        self.verdict: bool | None = INITIAL[spec.kind]
        self.container_id = ""
        self.gated = spec.kind != "startup"  # until the container has started
        self._at_start = at_start
        self._eager_s = eager_s if spec.kind != "liveness" else 0.0
        self._anchor = now + jitter_s  # ticks are counted from here
        self._started_at = 0.0
        self._counted_at = now  # when the newest look began whose failure counted
        self._held = False
        self._succeeded = False
        self._last: bool | None = None
        self._run = 0

    def __repr__(self) -> str:
        state = "held" if self._held else "gated" if self.gated else f"{self._run} in a row"
        return f"<{self.spec.kind} {self.verdict} {state}>"

    def see(self, container_id: str, started_at: float, *, started: bool, terminating: bool, now: float) -> None:
        """The container as it is: "" when none runs; `started` says that the startup gate is open."""
        spec = self.spec
        if container_id != self.container_id:
            self.container_id = container_id
            self.verdict = INITIAL[spec.kind]
            self._held, self._succeeded, self._last, self._run = False, False, None, 0
            self._started_at = self._counted_at = started_at
            if self._at_start:
                delay_s = spec.initial_delay_s
                self._anchor = started_at + (delay_s or (spec.period_s if spec.kind == "liveness" else 0.0))
        if (terminating and spec.kind != "readiness") or (started and spec.kind == "startup"):
            self._held = True
        gated = spec.kind != "startup" and not started
        if self.gated and not gated and self._at_start:
            self._anchor = max(self._anchor, now)  # the gate opens: look at once
        self.gated = gated

    @property
    def looking(self) -> bool:
        return bool(self.container_id) and not self._held and not self.gated

    @property
    def eager(self) -> bool:
        return self._eager_s > 0 and not self._succeeded

    def next_at(self, now: float) -> float | None:
        """The next time to look, at or after `now`; None while there is nothing to look at."""
        if not self.looking:
            return None
        begin = max(self._started_at + self.spec.initial_delay_s, self._anchor)
        tick = self._tick_from(max(now, begin))
        if self.eager and now > begin:
            return min(tick, now + max(self._eager_s, (now - begin) / 10))
        return tick

    def _tick_from(self, at: float) -> float:
        periods = (at - self._anchor) / self.spec.period_s
        whole = int(periods)
        if periods - whole > 1e-6:
            whole += 1
        return self._anchor + whole * self.spec.period_s

    def begin_look(self, at: float) -> bool:
        """A look begins; whether a failure of it counts (and is worth an event): see eagerness above.

        Every tick counts once, with the first look that begins at it or later: a busy node looks late, and a look
        that hangs holds up the next.
        """
        if not self.eager:
            return True
        slack_s = self._eager_s / 2  # timers may fire a little early
        due = max(self._anchor + self.spec.period_s, self._tick_from(self._counted_at + slack_s))
        if at < due - slack_s:
            return False
        self._counted_at = at
        return True

    def take(self, outcome: Outcome, *, counts: bool = True) -> bool | None:
        """An outcome; returns the verdict when the streak is long enough to have one, None otherwise."""
        if outcome.result == "error" or not self.looking:
            return None
        good = outcome.good
        if not good and not counts:
            return None
        self._succeeded = self._succeeded or good
        self._run = self._run + 1 if self._last == good else 1
        self._last = good
        if self._run < (self.spec.success_threshold if good else self.spec.failure_threshold):
            return None
        self.verdict = good
        if self.spec.kind == "startup" or (self.spec.kind == "liveness" and not good):
            self._held, self._run = True, 0
        return good
