"""The figures as a table and as JSON, each beside nginx's, and how loopkube's stand to its goals."""

from __future__ import annotations

from typing import Any

from bench.peers.measure import Figures, Key
from bench.peers.scenarios import SCENARIOS, Goal


def as_json(figures: dict[Key, Figures], missing: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"scenario": key.scenario, "peer": key.peer, "connections": key.connections, **found.summary()}
        for key, found in figures.items()
    ]
    return {"settings": settings, "missing": missing, "rows": rows, "goals": goals(figures)}


def ratio(figures: dict[Key, Figures], scenario: str, peer: str, goal: Goal, connections: int) -> float | None:
    """The peer's figure over that of the one beside it."""
    ours, theirs = (figures.get(Key(scenario, name, connections)) for name in (peer, goal.beside))
    if ours is None or theirs is None:
        return None
    name = "cpu_us" if goal.figure == "cpu" else "per_s"
    return ours.summary()[name] / max(1e-9, theirs.summary()[name])


def goals(figures: dict[Key, Figures]) -> list[dict[str, Any]]:
    """loopkube's figures against its goals, per scenario and number of connections."""
    found = []
    for scenario, connections in dict.fromkeys((key.scenario, key.connections) for key in figures):
        for goal in SCENARIOS[scenario].goals:
            times = ratio(figures, scenario, "loopkube", goal, connections)
            if times is not None:
                row = {"scenario": scenario, "connections": connections, "beside": goal.beside, "figure": goal.figure}
                found.append({**row, "ratio": times, "goal": goal.limit, "met": goal.met(times)})
    return found


def table(figures: dict[Key, Figures], missing: list[str]) -> str:
    lines = [
        f"{'scenario':<11}{'conns':>6}  {'proxy':<10}{'CPU us':>10}{'(lowest)':>10}{'x nginx':>9}{'per':>9}"
        f"{'per s':>11}{'p99 ms':>9}{'errors':>8}"
    ]
    order = list(dict.fromkeys(key.scenario for key in figures))
    for key in sorted(figures, key=lambda key: (order.index(key.scenario), key.connections)):
        row, unit = figures[key].summary(), SCENARIOS[key.scenario].unit
        times = ratio(figures, key.scenario, key.peer, Goal("nginx", "cpu", 1), key.connections)
        lines.append(
            f"{key.scenario:<11}{key.connections:>6}  {key.peer:<10}{row['cpu_us']:>10.1f}{row['cpu_us_min']:>10.1f}"
            f"{'' if times is None else format(times, '.2f'):>9}{unit:>9}{row['per_s']:>11,.0f}{row['p99_ms']:>9.2f}"
            f"{row['errors']:>8.0f}"
        )
    lines += [_verdict(goal) for goal in goals(figures)]
    lines += [f"left out: {reason}" for reason in missing]
    return "\n".join(lines)


def _verdict(goal: dict[str, Any]) -> str:
    what, limit = ("CPU", "at most") if goal["figure"] == "cpu" else ("rate", "at least")
    return (
        f"{'met' if goal['met'] else 'NOT met'}: {goal['scenario']}, {goal['connections']} connections: "
        f"{goal['ratio']:.2f} x {goal['beside']}'s {what} (goal: {limit} {goal['goal']:.3g})"
    )
