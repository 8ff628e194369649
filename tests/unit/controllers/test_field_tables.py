"""The tables of the workload controllers and the autoscaler: every field of spec and status, and tests that exist.

A row begins with the fields that it is about, in backticks; its last column names the tests that show it: functions
without `test_` (with `...` where the name goes on) or files.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from control.api.schemas import load_structure

TESTS = Path(__file__).resolve().parents[2]
ROOMS = TESTS.parent / "control" / "controllers"
TABLES = {
    "apps.v1.ReplicaSet": ("README.md", "ReplicaSet and ReplicationController "),
    "core.v1.ReplicationController": ("README.md", "ReplicaSet and ReplicationController "),
    "apps.v1.Deployment": ("deployment/README.md", ""),
    "apps.v1.StatefulSet": ("statefulset/README.md", ""),
    "apps.v1.DaemonSet": ("daemonset/README.md", ""),
    "batch.v1.Job": ("job/README.md", ""),
    "batch.v1.CronJob": ("cronjob/README.md", ""),
    "autoscaling.v2.HorizontalPodAutoscaler": ("horizontalpodautoscaler/README.md", ""),
}
_TICKED = re.compile(r"`([^`]+)`")


@cache
def functions() -> frozenset[str]:
    """The names of all tests, without `test_`."""
    texts = (path.read_text() for path in TESTS.rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"def test_(\w+)", text))


def exists(name: str) -> bool:
    if name.endswith(".py"):
        return any(path.as_posix().endswith(name) for path in TESTS.rglob("test_*.py"))
    if name.endswith("..."):
        return any(each.startswith(name.removesuffix("...")) for each in functions())
    return name in functions()


def rows(readme: str, heading: str) -> list[tuple[list[str], list[str]]]:
    """(fields, tests) of each row of the table under a heading."""
    lines = (ROOMS / readme).read_text().splitlines()
    start = lines.index(next(line for line in lines if line.startswith(f"| {heading} | here | test |")))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = line.strip("|").split(" | ")
        found.append((_TICKED.findall(cells[0]), _TICKED.findall(cells[-1])))
    return found


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize("kind", TABLES)
def test_every_field_has_a_row(kind: str, part: str) -> None:
    readme, prefix = TABLES[kind]
    told = {field.split(".")[0].removesuffix("[]") for fields, _ in rows(readme, prefix + part) for field in fields}
    fields = set(load_structure()[f"io.k8s.api.{kind}{part.title()}"]["properties"])
    if kind == "core.v1.ReplicationController":  # shares the table of ReplicaSets, who have one field more
        fields |= {"terminatingReplicas"} if part == "status" else set()
    assert told == fields


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize(("readme", "prefix"), sorted(set(TABLES.values())))
def test_every_row_names_tests_that_exist(readme: str, prefix: str, part: str) -> None:
    for fields, names in rows(readme, prefix + part):
        assert names, f"no test shows {fields}"
        assert [name for name in names if not exists(name)] == [], f"the row of {fields} in {readme}"
