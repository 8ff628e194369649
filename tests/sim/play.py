"""One run: a script in a lab under all laws. `play(seed)` returns what happened; the same seed, the same run."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fakes.virtual_loop import run_virtually
from tests.sim.accounts import Accounts
from tests.sim.bounds import Bounded
from tests.sim.ends import faults_at_rest
from tests.sim.lab import Lab
from tests.sim.script import Script


@dataclass(slots=True)
class Run:
    seed: int
    is_calm: bool = False
    broken: list[str] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    workloads: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    judged: int = 0
    virtual_s: float = 0.0
    seconds: float = 0.0

    def story(self, lines_max: int = 400) -> str:
        """What a person reads: what is wrong, and everything that led there."""
        kind = "calm" if self.is_calm else "stormy"
        head = [f"seed {self.seed}, {kind}, {self.writes} writes", *self.broken, ""]
        return "\n".join([*head, *self.transcript[-lines_max:]])


def play(seed: int) -> Run:
    run = Run(seed)
    began = time.perf_counter()
    logging.disable(logging.ERROR)  # faults are what is asked for here
    try:
        run_virtually(_play(seed, run))
    except Exception as error:
        run.broken.append(f"{type(error).__name__}: {error}")
    finally:
        logging.disable(logging.NOTSET)
    run.seconds = time.perf_counter() - began
    return run


async def _play(seed: int, run: Run) -> None:
    script = Script.of(seed)
    run.is_calm = script.is_calm
    run.workloads.update(kind.kind for kind, _ in script.workloads)
    async with Lab(seed) as lab:
        run.transcript = lab.transcript
        run.faults = lab.faults.injected
        accounts = Accounts(lab.world)
        bounded = Bounded(lab.world, script.is_calm)
        lab.check([accounts.judge, bounded.judge])
        try:
            await script.play(lab)
            run.broken = [*lab.broken_laws, *faults_at_rest(lab, accounts)]
        except Exception:
            run.broken = lab.broken_laws
            raise
        finally:
            run.writes, run.virtual_s = lab.store.revision, lab.loop.time()
            run.judged = bounded.judged
