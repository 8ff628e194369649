"""Tables: cells from the columns, objects as asked for, headers once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from control.api.kinds import CONFIG_MAP, KINDS, POD
from control.api.objects import parse_time
from control.api.rows import RESOURCES
from control.api.scheme import Column
from control.apiserver.table import table

NOW = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "n", "creationTimestamp": "2026-01-02T02:55:00Z", "labels": {"x": "y"}},
    "data": {"k": "1", "l": "2"},
}


def name(obj: Any, now: datetime) -> Any:
    return obj["metadata"]["name"]


def size(obj: Any, now: datetime) -> Any:
    return len(obj["data"])


def age(obj: Any, now: datetime) -> Any:
    return f"{(now - parse_time(obj['metadata']['creationTimestamp'])).seconds}s"


COLUMNS = (
    Column("Name", name, format="name", description="the name"),
    Column("Data", size, type="integer"),
    Column("Age", age, priority=1),
)


def test_a_list_as_a_table() -> None:
    resource = replace(RESOURCES[CONFIG_MAP], columns=COLUMNS)
    made = table(resource, [CONFIG], NOW, resource_version="7", continue_="more", remaining=3)
    assert (made["kind"], made["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert made["metadata"] == {"resourceVersion": "7", "continue": "more", "remainingItemCount": 3}
    assert made["columnDefinitions"] == [
        {"name": "Name", "type": "string", "format": "name", "description": "the name", "priority": 0},
        {"name": "Data", "type": "integer", "format": "", "description": "", "priority": 0},
        {"name": "Age", "type": "string", "format": "", "description": "", "priority": 1},
    ]
    (row,) = made["rows"]
    assert row["cells"] == ["a", 2, "300s"]
    assert row["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": CONFIG["metadata"],
    }


@pytest.mark.parametrize(("include", "expected"), [("Object", CONFIG), ("None", None)])
def test_as_much_of_the_object_as_is_asked_for(include: Any, expected: object) -> None:
    made = table(RESOURCES[CONFIG_MAP], [CONFIG], NOW, include=include)
    assert made["rows"][0]["object"] == expected
    assert made["metadata"] == {}


def test_later_tables_of_a_watch_have_no_headers() -> None:
    assert table(RESOURCES[CONFIG_MAP], [CONFIG], NOW, with_headers=False)["columnDefinitions"] is None


@pytest.mark.parametrize(("phase", "reasons"), [("Running", []), ("Succeeded", ["Succeeded"]), ("Failed", ["Failed"])])
def test_the_row_of_a_finished_pod_says_so(phase: str, reasons: list[str]) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": phase}}
    (row,) = table(RESOURCES[POD], [pod], NOW)["rows"]
    assert [condition["reason"] for condition in row.get("conditions", [])] == reasons


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_has_a_row_with_a_cell_a_column(kind: Any) -> None:
    resource = RESOURCES[kind]
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a"}}
    made = table(resource, [obj], NOW)
    assert len(made["rows"][0]["cells"]) == len(made["columnDefinitions"]) > 0
