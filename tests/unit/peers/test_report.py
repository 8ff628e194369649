"""Medians, ratios and goals."""

from __future__ import annotations

import pytest

from bench.peers.load import Load
from bench.peers.measure import Figures, Key
from bench.peers.report import as_json, goals, table
from bench.peers.scenarios import SCENARIOS, STARTERS


def figures(scenario: str = "small", **cpu_us: list[float]) -> dict[Key, Figures]:
    return {
        Key(scenario, peer, 32): Figures(values, [1000.0 / values[0]] * len(values), [2.0] * len(values))
        for peer, values in cpu_us.items()
    }


def test_a_goal_is_met_by_the_median_of_rounds() -> None:
    found = goals(figures(loopkube=[10.0, 99.0, 9.0], nginx=[10.0, 10.0, 50.0], aiohttp=[40.0, 40.0, 40.0]))
    assert [(goal["beside"], goal["ratio"], goal["met"]) for goal in found] == [
        ("nginx", 1.0, True),
        ("aiohttp", 0.25, False),
    ]


def test_a_rate_is_met_from_below_upwards() -> None:
    met = goals(figures("tcp-1m", loopkube=[10.0], haproxy=[20.0]))
    missed = goals(figures("tcp-1m", loopkube=[20.0], haproxy=[10.0]))
    assert [(goal["figure"], goal["ratio"], goal["met"]) for goal in (*met, *missed)] == [
        ("rate", 2.0, True),
        ("rate", 0.5, False),
    ]


def test_without_a_peer_there_is_no_goal_beside_it() -> None:
    assert goals(figures(loopkube=[12.0])) == []


def test_the_table_and_the_json_say_the_same() -> None:
    seen = figures(loopkube=[12.0], nginx=[10.0])
    text = table(seen, ["haproxy is not installed"])
    assert "NOT met: small, 32 connections: 1.20 x nginx's CPU (goal: at most 1)" in text
    assert text.endswith("left out: haproxy is not installed")
    (row, _) = as_json(seen, [], {"rounds": 1})["rows"]
    assert (row["scenario"], row["peer"], row["cpu_us"], row["errors"]) == ("small", "loopkube", 12.0, 0)


def test_bodies_are_counted_by_the_megabyte() -> None:
    found = Figures()
    found.add(SCENARIOS["100m"], 2.0, Load(requests=5, requests_per_s=2.5, p99_s=0.1, errors=0))
    assert found.summary()["cpu_us"] == pytest.approx(4000)
    assert found.summary()["per_s"] == pytest.approx(250)


def test_scenarios_name_peers_that_exist() -> None:
    for scenario in SCENARIOS.values():
        assert {*scenario.peers, *(goal.beside for goal in scenario.goals)} <= set(STARTERS)
        assert (scenario.unit == "MB") is bool(scenario.megabytes)
