"""The official conformance tests that loopkube claims, each with the tests of ours that play it.

`tests/conformance.tsv` has a row for each: its name in kubernetes/kubernetes, and our test functions (without `test_`)
that make the same behaviour happen and look at the same outcome. Where the official test needs what loopkube does not
have (kubectl exec to break a probe, pods/proxy), ours reaches the state by other means.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def rows() -> list[dict[str, str]]:
    with (TESTS / "conformance.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@cache
def functions() -> frozenset[str]:
    texts = (path.read_text() for path in TESTS.rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"def test_(\w+)", text))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["official"])
def test_a_claimed_behaviour_has_tests(row: dict[str, str]) -> None:
    names = row["ours"].split()
    assert names
    assert [name for name in names if name not in functions()] == []


def test_no_behaviour_is_claimed_twice() -> None:
    names = [row["official"] for row in rows()]
    assert len(names) == len(set(names))
    assert sum(name.startswith("[sig-apps]") for name in names) >= 60, "all of [sig-apps] up to Kubernetes 1.37"
