"""An experiment: steps done to a workload under load, and what each cost. `Result` is pure; running is `scenario`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.lab.attribute import Loss, attribute, by_phase
from bench.lab.samples import Sample
from bench.lab.stats import Count, between, count
from bench.lab.timeline import Life


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, from its begin to its effect's end (Unix times)."""

    name: str
    begin: float
    end: float
    said: str = ""  # in a sentence, for the report


@dataclass(frozen=True, slots=True)
class StepResult:
    step: Step
    count: Count
    lost_by_phase: dict[str, int]
    lost_by_pod: dict[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that an experiment found."""

    title: str
    rate: float
    begin: float
    end: float
    total: Count
    steps: list[StepResult]
    losses: list[Loss]
    lives: list[Life]
    samples: Sequence[Sample]
    generator_late_max_s: float
    notes: list[str] = field(default_factory=list)

    def step(self, name: str) -> StepResult:
        return next(result for result in self.steps if result.step.name == name)

    def as_json(self) -> dict[str, Any]:
        """For `--json`: everything but the single samples."""
        return {
            "title": self.title,
            "rate": self.rate,
            "seconds": round(self.end - self.begin, 3),
            "total": asdict(self.total),
            "steps": [
                {
                    "name": r.step.name,
                    "begin": round(r.step.begin - self.begin, 3),
                    "end": round(r.step.end - self.begin, 3),
                    "said": r.step.said,
                    **asdict(r.count),
                    "lost_by_phase": r.lost_by_phase,
                    "lost_by_pod": r.lost_by_pod,
                }
                for r in self.steps
            ],
            "losses": [
                {
                    "at": round(loss.sample.due_at - self.begin, 4),
                    "regime": loss.sample.regime,
                    "outcome": loss.sample.outcome,
                    "status": loss.sample.status,
                    "pod": loss.target,
                    "phase": loss.phase,
                    "why": loss.why or loss.sample.error,
                }
                for loss in self.losses
            ],
            "pods": [
                {
                    "pod": life.pod,
                    "version": life.version,
                    "restarts": len(life.restarts),
                    "phases": [[round(at - self.begin, 3), phase] for at, phase in life.phases],
                }
                for life in self.lives
            ],
            "generatorLateMaxSeconds": round(self.generator_late_max_s, 4),
            "notes": self.notes,
        }


def conclude(
    title: str,
    rate: float,
    steps: Sequence[Step],
    samples: Sequence[Sample],
    flows: Sequence[dict[str, Any]],
    lives: Sequence[Life],
    generator_late_max_s: float,
    notes: Sequence[str] = (),
) -> Result:
    """Joins what was sent, what the data plane recorded and what happened to the pods."""
    losses = attribute([sample for sample in samples if sample.lost], flows)
    results = []
    for step in steps:
        in_step = [loss for loss in losses if step.begin <= loss.sample.due_at < step.end]
        pods: dict[str, int] = {}
        for loss in in_step:
            pods[loss.target or "?"] = pods.get(loss.target or "?", 0) + 1
        results.append(StepResult(step, count(between(samples, step.begin, step.end)), by_phase(in_step), pods))
    return Result(
        title=title,
        rate=rate,
        begin=steps[0].begin,
        end=steps[-1].end,
        total=count(samples),
        steps=results,
        losses=losses,
        lives=list(lives),
        samples=samples,
        generator_late_max_s=generator_late_max_s,
        notes=list(notes),
    )
