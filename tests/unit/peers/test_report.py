"""Medians, ratios and goals."""

from __future__ import annotations

from bench.peers.measure import Figures, Key
from bench.peers.report import as_json, goals, table


def figures(**cpu_us: list[float]) -> dict[Key, Figures]:
    return {
        Key(peer, 32, "same"): Figures(values, [1000.0] * len(values), [2.0] * len(values))
        for peer, values in cpu_us.items()
    }


def test_a_goal_is_met_by_the_median_of_rounds() -> None:
    found = goals(figures(loopkube=[12.0, 99.0, 13.0], nginx=[10.0, 10.0, 50.0], aiohttp=[40.0, 40.0, 40.0]))
    assert [(goal["beside"], goal["ratio"], goal["met"]) for goal in found] == [
        ("nginx", 1.3, True),
        ("aiohttp", 0.325, False),
    ]


def test_without_a_peer_there_is_no_goal_beside_it() -> None:
    assert goals(figures(loopkube=[12.0])) == []


def test_the_table_and_the_json_say_the_same() -> None:
    seen = figures(loopkube=[12.0], nginx=[10.0])
    text = table(seen, ["haproxy is not installed"])
    assert "1.20" in text
    assert "met: same heads, 32 connections: 1.20 x nginx's" in text
    assert text.endswith("left out: haproxy is not installed")
    (row, _) = as_json(seen, [], {"rounds": 1})["rows"]
    assert (row["peer"], row["cpu_us"], row["errors"]) == ("loopkube", 12.0, 0)
