"""Looks at containers when their probes are due and reports verdicts at once, in the same loop iteration.

One `Worker` (the pure state machine) a probe, one timer each; a look is a task. What came of it goes to two callbacks:
every failed look becomes an Unhealthy event, and every new verdict goes to the pod's runner, which writes the status
before anything else happens. Delays and periods are cluster durations; how long one look may take is the machine's
affair, for what answers is a real program.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from control.config.clock import Clock
from control.kubelet.hooks import Handlers, Surroundings
from control.kubelet.knobs import Knobs
from control.kubelet.probe import Outcome, ProbeKind, Worker, probes_of

logger = logging.getLogger(__name__)


class Seat:
    """A worker with its timer and its look under way."""

    __slots__ = ("around", "look", "timer", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.timer: asyncio.TimerHandle | None = None
        self.look: asyncio.Task[None] | None = None
        self.around: Callable[[], Surroundings] | None = None

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.look is not None:
            self.look.cancel()
        self.timer = self.look = None


Verdict = Callable[[str, ProbeKind, bool], None]  # container, kind, verdict
Trouble = Callable[[str, ProbeKind, Outcome], None]


class PodProber:
    """The probes of one pod."""

    def __init__(
        self,
        handlers: Handlers,
        limit: asyncio.Semaphore,
        knobs: Knobs,
        rng: random.Random,
        clock: Clock,
        on_verdict: Verdict,
        on_trouble: Trouble,
    ) -> None:
        self.handlers, self.limit, self.knobs, self.rng, self.clock = handlers, limit, knobs, rng, clock
        self.on_verdict, self.on_trouble = on_verdict, on_trouble
        self.seats: dict[tuple[str, ProbeKind], Seat] = {}
        self.loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<PodProber {', '.join(f'{name} {seat.worker!r}' for (name, _), seat in self.seats.items())}>"

    def now(self) -> float:
        """The loop's time in cluster seconds, in which workers reckon."""
        return self.clock.cluster_s(self.loop.time())

    def close(self) -> None:
        for seat in self.seats.values():
            seat.close()
        self.seats.clear()

    def see(
        self,
        container: Mapping[str, Any],
        container_id: str,
        age_s: float,
        around: Callable[[], Surroundings],
        *,
        started: bool,
        terminating: bool,
    ) -> None:
        """Tells the container's probes how it is: `container_id` "" when it does not run, `age_s` since its start."""
        now = self.now()
        for spec in probes_of(container):
            key = (container["name"], spec.kind)
            seat = self.seats.get(key)
            if seat is None:
                spec = replace(spec, period_s=max(spec.period_s, self.knobs.probe_period_min_s))
                jitter_s = self.rng.random() * spec.period_s if self.knobs.probe_jitter else 0.0
                worker = Worker(
                    spec,
                    now,
                    at_start=self.knobs.probe_at_start,
                    eager_s=self.knobs.probe_eager_s,
                    jitter_s=jitter_s,
                )
                seat = self.seats[key] = Seat(worker)
            before = seat.worker.container_id
            seat.around = around
            seat.worker.see(container_id, now - age_s, started=started, terminating=terminating, now=now)
            if before != container_id and seat.look is not None:
                seat.look.cancel()
                seat.look = None
            self.arm(key, seat)

    def arm(self, key: tuple[str, ProbeKind], seat: Seat, *, after: bool = False) -> None:
        """Sets the timer for the next look; `after` one has just been taken, the same tick does not count again."""
        if seat.look is not None:
            return
        if seat.timer is not None:
            if not after and seat.worker.looking:
                return  # armed already
            seat.timer.cancel()
            seat.timer = None
        now = self.now()
        at = seat.worker.next_at(now + (seat.worker.spec.period_s / 1000 if after else 0.0))
        if at is not None:
            seat.timer = self.loop.call_at(self.clock.delay_s(at), self.start_look, key, seat)

    def start_look(self, key: tuple[str, ProbeKind], seat: Seat) -> None:
        seat.timer = None
        if seat.worker.looking:
            seat.look = self.loop.create_task(self.take_look(key, seat))

    async def take_look(self, key: tuple[str, ProbeKind], seat: Seat) -> None:
        worker, container_id = seat.worker, seat.worker.container_id
        assert seat.around is not None
        counts = worker.begin_look(self.now())
        async with self.limit:
            try:
                outcome = await self.handlers.perform(worker.spec.handler, seat.around(), worker.spec.timeout_s)
            except ConnectionError as error:  # the supervisor is gone
                outcome = Outcome("error", str(error))
            except Exception as error:
                logger.exception("probe %s of container %s", key[1], key[0])
                outcome = Outcome("error", repr(error))
        seat.look = None
        if worker.container_id != container_id:
            self.arm(key, seat)
            return
        if outcome.result != "success" and worker.looking and counts:
            self.on_trouble(key[0], key[1], outcome)
        verdict = worker.take(outcome, counts=counts)
        if verdict is not None:
            self.on_verdict(key[0], key[1], verdict)
        if key in self.seats:
            self.arm(key, seat, after=True)
