"""A result as text: what was sent, answered and lost, step by step, and where each lost request was. Pure."""

from __future__ import annotations

from bench.lab.experiment import Result, StepResult
from bench.lab.stats import Count

WIDTH = 100


def text(result: Result) -> str:
    """A table of steps, a timeline of the pods, and the losses one by one where they are few."""
    parts = [_steps(result), _pods(result), _losses(result), _served(result.total)]
    parts += [f"note: {note}" for note in result.notes]
    late_ms = result.generator_late_max_s * 1000
    parts.append(f"The load generator itself was at most {late_ms:.0f} ms late with a request.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _steps(result: Result) -> str:
    lines = [f"{'STEP':<21}{'SENT':>8}{'ANSWERED':>10}{'LOST':>6}{'P50':>10}{'P99':>10}{'MAX':>10}  WHAT HAPPENED"]
    lines += [_row(r.step.name, r.count, r.step.said) for r in result.steps]
    lines.append(_row("all", result.total, ""))
    return "\n".join(lines)


def _row(name: str, count: Count, said: str) -> str:
    times = "".join(f"{value * 1000:>7.1f} ms" for value in (count.p50_s, count.p99_s, count.max_s))
    return f"{name:<21}{count.sent:>8}{count.answered:>10}{count.lost:>6}{times}  {said}"


def _pods(result: Result) -> str:
    """Each pod's life as a line of letters, one for each slice of the run."""
    letters = {"pending": ".", "starting": "s", "ready": "#", "not-ready": "-", "terminating": "t", "gone": " "}
    span = result.end - result.begin
    width = max((len(life.pod) for life in result.lives), default=0)
    lines = [f"{'POD':<{width}}  {span:.0f} s: # ready, s starting, - not ready, t terminating, ! restarted"]
    columns = WIDTH - width - 2
    for life in result.lives:
        line = []
        for column in range(columns):
            begin = result.begin + span * column / columns
            end = begin + span / columns
            phase = life.phase_at(end)
            restarted = any(begin <= at < end for at in life.restarts)
            line.append("!" if restarted else letters[phase] if phase else " ")
        lines.append(f"{life.pod:<{width}}  {''.join(line).rstrip()}")
    return "\n".join(lines)


def _losses(result: Result) -> str:
    if not result.losses:
        return "No request was lost."
    lines = [f"{'LOST IN':<21}{'REQUESTS':>9}  {'HOW':<24}{'CONNECTION':<22}ENDPOINT'S PHASE"]
    lines += [_loss(r) for r in result.steps if r.count.lost]
    return "\n".join(lines)


def _loss(result: StepResult) -> str:
    def named(counts: dict[str, int]) -> str:
        return ", ".join(f"{number} {name}" for name, number in counts.items())

    count = result.count
    where = named(result.lost_by_phase)
    pods = named({name: number for name, number in result.lost_by_pod.items() if name != "?"})
    how, regime = named(count.losses), named(count.losses_by_regime)
    return f"{result.step.name:<21}{count.lost:>9}  {how:<24}{regime:<22}{where}{' of ' + pods if pods else ''}"


def _served(count: Count) -> str:
    versions = ", ".join(f"{version}: {number}" for version, number in sorted(count.by_version.items()))
    pods = ", ".join(f"{pod}: {number}" for pod, number in sorted(count.by_pod.items()))
    return f"Served by version {versions}\nServed by pod     {pods}" if versions else ""
