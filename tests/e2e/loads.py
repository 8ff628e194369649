"""An open-loop load on a cluster while a test does things to it; what was lost, joined with the workers' records."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.lab.attribute import Loss, attribute
from bench.lab.sampler import Load, Sampler
from bench.lab.scenario import failed_flows
from bench.lab.stats import Count, count
from tests.e2e.conftest import until


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a load."""

    count: Count
    losses: Sequence[Loss]
    late_max_s: float  # how late the generator itself was

    @property
    def lost(self) -> int:
        return self.count.lost

    def __str__(self) -> str:
        found = self.count
        why = sorted({f"{loss.sample.regime} {loss.sample.outcome} {loss.sample.status} {loss.phase} {loss.why} "
                      f"{loss.sample.error}" for loss in self.losses})  # fmt: skip
        return f"{found.lost} of {found.sent} lost, generator late by {self.late_max_s:.3f} s: {'; '.join(why)}"


class Running:
    """A load under way; `end` stops it, once, and says what became of it."""

    def __init__(self, load: Load, workers: Sequence[Path]) -> None:
        self.sampler = Sampler(load)
        self._workers = workers
        self._flows: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._result: Result | None = None
        self._thread.start()

    async def _run(self) -> None:
        followers = [asyncio.create_task(self._follow(worker)) for worker in self._workers]
        await self.sampler.run()
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)

    async def _follow(self, worker: Path) -> None:
        async for flow in failed_flows(worker):
            self._flows.append(flow)

    def answered_by(self) -> set[str]:
        """The pods that have answered so far."""
        return {sample.pod for sample in list(self.sampler.samples)}

    def end(self) -> Result:
        if self._result is None:
            self.sampler.stop()
            self._thread.join()
            samples = self.sampler.samples
            losses = attribute([sample for sample in samples if sample.lost], self._flows)
            self._result = Result(count(samples), losses, self.sampler.late_max_s)
        return self._result


@contextmanager
def running(
    address: str, port: int, host: str = "x", *, rate: float = 200.0, reused: float = 0.5, workers: Sequence[Path] = ()
) -> Iterator[Running]:
    """A load that has begun to be answered."""
    run = Running(Load(address, port, host, rate=rate, reused_share=reused), workers)
    try:
        until("the first answers", lambda: len(run.sampler.samples) > rate / 10)
        yield run
    finally:
        run.end()
