"""Batches of inputs of every kind, and what became of them.

A batch has its own die, seeded by run, kind and number, so that a finding can be had again from these three alone. A
batch that takes longer than `BATCH_MAX_S` is a hang. Memory is looked at after the first tenth of the batches, when
whatever remembers things has filled, and at the end.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from tests.fuzz.connections import Connections
from tests.fuzz.parts import KINDS, Verdict

BATCH: Final = 500
BATCH_MAX_S: Final = 60  # two hundred times what the slowest kind needs
FINDINGS_MAX: Final = 50
MEMORY_GROWTH_MAX_MB: Final = 16.0

SHARES: Final = {"request-head": 0.4, "response-head": 0.25, "chunked-body": 0.29, "connection": 0.06}
"""Of all inputs. A connection costs as much as ten heads, and has some heads and bodies in it."""


class Hang(Exception):
    """A batch does not end."""


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one kind."""

    inputs: int = 0
    seconds: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    stricter: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)
    slowest_batch_us: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "seconds": round(self.seconds, 1),
            "us_per_input": round(self.seconds / max(1, self.inputs) * 1e6, 1),
            "us_per_input_of_the_slowest_batch": round(self.slowest_batch_us, 1),
            "outcomes": dict(self.labels.most_common()),
            "refused_by_us_alone_in_a_sample": dict(self.stricter.most_common()),
            "findings": self.findings,
        }


def check_of(kind: str, dice: Random) -> Callable[[Random], tuple[bytes, Verdict]]:
    return Connections(dice) if kind == "connection" else KINDS[kind]


def batch(kind: str, seed: int, number: int, size: int, tally: Tally) -> None:
    """`size` inputs of this kind into the tally."""
    dice = Random(f"{seed}/{kind}/{number}")
    check = check_of(kind, dice)
    begin = time.perf_counter()
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(BATCH_MAX_S)
    try:
        for _ in range(size):
            data, verdict = check(dice)
            tally.labels[verdict.label] += 1
            if verdict.stricter:
                tally.stricter[verdict.label] += 1
            if verdict.finding and len(tally.findings) < FINDINGS_MAX:
                tally.findings.append({"batch": number, "input": repr(data), "finding": verdict.finding})
    except Exception as error:  # whatever a parser lets out is a finding
        tally.findings.append({"batch": number, "finding": f"{type(error).__name__}: {error}"})
    finally:
        signal.alarm(0)
    seconds = time.perf_counter() - begin
    tally.inputs += size
    tally.seconds += seconds
    tally.slowest_batch_us = max(tally.slowest_batch_us, seconds / size * 1e6)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"a batch takes longer than {BATCH_MAX_S} s")


def run(inputs: int, seed: int, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """All kinds in turns, as JSON."""
    tallies = {kind: Tally() for kind in SHARES}
    rounds = max(1, inputs // (BATCH * 25))
    warm_mb = 0.0
    for number in range(rounds):
        for kind, share in SHARES.items():
            left = round(inputs * share * (number + 1) / rounds) - tallies[kind].inputs
            for part in range(0, left, BATCH):
                batch(kind, seed, number * 1000 + part // BATCH, min(BATCH, left - part), tallies[kind])
        if number == rounds // 10:
            warm_mb = resident_mb()
        if number % 20 == 19:
            findings = sum(len(tally.findings) for tally in tallies.values())
            say(f"{sum(tally.inputs for tally in tallies.values()):,} inputs, {findings} findings")
    return {
        "inputs": sum(tally.inputs for tally in tallies.values()),
        "seconds": round(sum(tally.seconds for tally in tallies.values()), 1),
        "findings": sum(len(tally.findings) for tally in tallies.values()),
        "memory_mb": {"after_a_tenth": round(warm_mb, 1), "at_the_end": round(resident_mb(), 1)},
        "kinds": {kind: tally.as_json() for kind, tally in tallies.items()},
    }


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
