"""The figures as a table and as JSON, each beside nginx's."""

from __future__ import annotations

from typing import Any

from bench.peers.measure import Figures, Key

GOAL_NGINX = 1.3  # at most so many times nginx's CPU per request
GOAL_AIOHTTP = 0.25  # at most so much of the aiohttp proxy's


def as_json(figures: dict[Key, Figures], missing: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"peer": key.peer, "connections": key.connections, "heads": key.heads, **found.summary()}
        for key, found in figures.items()
    ]
    return {"settings": settings, "missing": missing, "rows": rows, "goals": goals(figures)}


def ratio(figures: dict[Key, Figures], peer: str, other: str, connections: int, heads: str) -> float | None:
    """CPU per request of `peer` over that of `other`."""
    ours, theirs = figures.get(Key(peer, connections, heads)), figures.get(Key(other, connections, heads))
    if ours is None or theirs is None:
        return None
    return ours.summary()["cpu_us"] / theirs.summary()["cpu_us"]


def goals(figures: dict[Key, Figures]) -> list[dict[str, Any]]:
    """loopkube's CPU per request against its goals, per kind of heads and number of connections."""
    found = []
    for heads, connections in sorted({(key.heads, key.connections) for key in figures}):
        for other, most in (("nginx", GOAL_NGINX), ("aiohttp", GOAL_AIOHTTP)):
            times = ratio(figures, "loopkube", other, connections, heads)
            if times is not None:
                row = {"heads": heads, "connections": connections, "beside": other, "ratio": times, "goal": most}
                found.append({**row, "met": times <= most})
    return found


def table(figures: dict[Key, Figures], missing: list[str]) -> str:
    lines = [
        f"{'heads':<7}{'conns':>6}  {'proxy':<10}{'CPU us/request':>15}{'(lowest)':>10}{'x nginx':>9}"
        f"{'requests/s':>12}{'p99 ms':>9}{'errors':>8}"
    ]
    for key in sorted(figures, key=lambda key: (key.heads, key.connections)):
        row = figures[key].summary()
        times = ratio(figures, key.peer, "nginx", key.connections, key.heads)
        lines.append(
            f"{key.heads:<7}{key.connections:>6}  {key.peer:<10}{row['cpu_us']:>15.1f}{row['cpu_us_min']:>10.1f}"
            f"{'' if times is None else format(times, '.2f'):>9}{row['requests_per_s']:>12,.0f}{row['p99_ms']:>9.2f}"
            f"{row['errors']:>8.0f}"
        )
    lines += [
        f"{'met' if goal['met'] else 'NOT met'}: {goal['heads']} heads, {goal['connections']} connections: "
        f"{goal['ratio']:.2f} x {goal['beside']}'s CPU per request (goal: at most {goal['goal']})"
        for goal in goals(figures)
    ]
    lines += [f"left out: {reason}" for reason in missing]
    return "\n".join(lines)
