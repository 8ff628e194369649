"""The README's figures are the committed results'."""

from __future__ import annotations

import json

import pytest

from bench import figures
from bench.figures import README, RESULTS, peers, renewed


def test_the_readme_has_the_committed_figures() -> None:
    text = README.read_text()
    assert renewed(text) == text, "python -m bench.figures"


def test_a_readme_without_marks_is_said() -> None:
    with pytest.raises(ValueError, match="no marks"):
        renewed("# loopkube\n")


def test_every_result_says_where_and_how_it_came_about() -> None:
    for path in RESULTS.glob("*.json"):
        made = json.loads(path.read_text())
        settings = made.get("settings", made)
        assert "python" in json.dumps(settings), path.name
        assert "command" in settings, path.name
        assert "machine" in settings, path.name


def test_ratios_are_ours_over_theirs() -> None:
    rows = [
        {"scenario": "small", "connections": 32, "peer": peer, "cpu_us": cpu, "per_s": rate}
        for peer, cpu, rate in (("loopkube", 12.0, 50.0), ("nginx", 10.0, 100.0))
    ]
    assert peers(rows)[-1] == "| small | 32 | 12 µs per request | 1.20 |  |  | 0.50 |"


def test_figures_named_for_the_readme_have_distinct_words() -> None:
    assert len({row.says for row in figures.ROWS}) == len(figures.ROWS)


def test_lines_of_the_table_differ_in_what_they_say() -> None:
    says = [line.split("|")[1] for line in figures.limits()]
    assert len(set(says)) == len(says)
