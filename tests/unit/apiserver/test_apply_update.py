"""The ledger after writes that are no applies."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.objects import Object
from control.api.schema import schema_of
from control.apiserver.apply import track_update
from control.apiserver.apply.fields import paths

CONFIG_MAP = schema_of("io.k8s.api.core.v1.ConfigMap")
DEPLOYMENT = schema_of("io.k8s.api.apps.v1.Deployment")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}, "data": data or {}}


def written(
    live: dict[str, Any] | None,
    new: dict[str, Any],
    manager: str,
    now: datetime = NOW,
    subresource: str = "",
    schema: Any = CONFIG_MAP,
) -> dict[str, Any]:
    """`new` with its ledger."""
    before = copy.deepcopy((live, new))
    entries = track_update(live, new, schema, manager=manager, subresource=subresource, now=now)
    assert (live, new) == before
    return {**new, "metadata": {**new["metadata"], "managedFields": entries}}


def claims(obj: dict[str, Any]) -> dict[str, list[str]]:
    return {entry["manager"]: list(paths(entry["fieldsV1"])) for entry in obj["metadata"]["managedFields"]}


def test_a_create_owns_everything_but_the_identity() -> None:
    new = config_map({"k": "1"}, namespace="n", uid="u", resourceVersion="7", generation=1, labels={"l": "1"})
    assert written(None, new, "kubectl-create")["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-01-02T03:04:05Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:data": {".": {}, "f:k": {}}},
        }
    ]


def test_who_changes_a_field_owns_it() -> None:
    live = written(None, config_map({"k": "1", "l": "1"}), "one")
    new = written(live, config_map({"k": "2", "l": "1", "m": "1"}), "two", LATER)
    assert claims(new) == {"one": [".data", ".data.l"], "two": [".data.k", ".data.m"]}
    times = {entry["manager"]: entry["time"] for entry in new["metadata"]["managedFields"]}
    assert times == {"one": "2026-01-02T03:04:05Z", "two": "2026-01-02T03:05:05Z"}


def test_who_removes_a_field_owns_nothing_by_it() -> None:
    live = written(None, config_map({"k": "1", "l": "1"}), "one")
    new = written(live, config_map({"l": "1"}), "two", LATER)
    assert claims(new) == {"one": [".data", ".data.l"]}


def test_a_manager_that_lost_everything_is_forgotten() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    live = written(live, config_map({"k": "2"}), "two")
    gone = written(live, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "three")
    assert claims(gone) == {}


def test_nothing_changed_nothing_written() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    same = config_map({"k": "1"}, resourceVersion="9", uid="u", generation=3)
    assert (
        track_update(live, same, CONFIG_MAP, manager="two", subresource="", now=LATER)
        is live["metadata"]["managedFields"]
    )


def test_an_update_keeps_other_entries_as_they_are() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    new = written(live, config_map({"k": "1", "l": "1"}), "two", LATER)
    assert new["metadata"]["managedFields"][0] is live["metadata"]["managedFields"][0]


def test_the_same_manager_adds_to_its_claim() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    new = written(live, config_map({"k": "1", "l": "1"}), "one", LATER)
    assert claims(new) == {"one": [".data", ".data.k", ".data.l"]}
    assert new["metadata"]["managedFields"][0]["time"] == "2026-01-02T03:05:05Z"


def test_status_is_owned_through_its_subresource_alone() -> None:
    live: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1}}
    live = written(None, live | {"status": {"replicas": 1}}, "kubectl-create", schema=DEPLOYMENT)
    assert claims(live) == {"kubectl-create": [".spec.replicas"]}
    new = live | {"spec": {"replicas": 9}, "status": {"replicas": 2, "conditions": [{"type": "Available"}]}}
    new = written(live, new, "deployment-controller", subresource="status", schema=DEPLOYMENT)
    controller = new["metadata"]["managedFields"][0]
    assert controller["subresource"] == "status"
    assert claims(new)["deployment-controller"] == [
        ".status.conditions",
        ".status.replicas",
        '.status.conditions[type="Available"]',
        '.status.conditions[type="Available"].type',
    ]


@pytest.mark.parametrize("empty", [[], [{}]])
def test_a_user_may_empty_the_ledger(empty: list[Any]) -> None:
    live = written(None, config_map({"k": "1"}), "one")
    reset = config_map({"k": "1"}, managedFields=empty)
    assert track_update(live, reset, CONFIG_MAP, manager="two", subresource="", now=LATER) == []
    stays_empty = config_map({"k": "1"}, managedFields=[])
    assert written(stays_empty, config_map({"k": "2"}), "two")["metadata"]["managedFields"] == []
    created = written(None, config_map({"k": "1"}, managedFields=empty), "one")
    assert claims(created) == {"one": [".data", ".data.k"]}


def test_a_user_may_rewrite_the_ledger() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    entries = copy.deepcopy(live["metadata"]["managedFields"])
    entries[0]["manager"] = "renamed"
    entries[0]["fieldsV1"]["f:data"] = {".": {}, "f:k": {".": {}}}
    new = written(live, config_map({"k": "1"}, managedFields=entries), "two")
    assert claims(new) == {"renamed": [".data", ".data.k"]}


@pytest.mark.parametrize(
    "broken",
    [
        {"operation": "Apply"},
        {"manager": "x", "operation": "Get", "apiVersion": "v1", "fieldsType": "FieldsV1"},
        "text",
    ],
)
def test_an_unreadable_ledger_is_ignored(broken: Any) -> None:
    live = written(None, config_map({"k": "1"}), "one")
    new = written(live, config_map({"k": "1"}, managedFields=[broken]), "two")
    assert new["metadata"]["managedFields"] == live["metadata"]["managedFields"]


def test_an_object_without_identities_is_left_to_validation() -> None:
    live: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {}}
    live = written(None, live, "one", schema=DEPLOYMENT)
    bad = live | {"spec": {"template": {"spec": {"containers": ["x"]}}}}
    assert (
        written(live, bad, "two", schema=DEPLOYMENT)["metadata"]["managedFields"] == live["metadata"]["managedFields"]
    )


def test_only_ten_updaters_are_told_apart() -> None:
    live = written(None, config_map({"k": "1"}), "creator")
    for n in range(12):
        data = {**live["data"], f"k{n}": "1"}
        live = written(live, config_map(data), f"manager-{n}", NOW + timedelta(seconds=n + 1))
    entries = live["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert list(paths(entries[0]["fieldsV1"])) == [".data", ".data.k", ".data.k0", ".data.k1", ".data.k2"]
    assert [entry["manager"] for entry in entries[1:]] == [f"manager-{n}" for n in range(3, 12)]


def test_claims_in_versions_that_are_gone_are_dropped() -> None:
    live = written(None, config_map({"k": "1"}), "one")
    live["metadata"]["managedFields"][0]["apiVersion"] = "v0"
    assert claims(written(live, config_map({"k": "1", "l": "1"}), "two")) == {"two": [".data.l"]}


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), DATA), min_size=1, max_size=6))
@settings(max_examples=60)
def test_after_any_history_every_field_has_exactly_one_owner_who_wrote_its_value(history: list[Any]) -> None:
    live: dict[str, Any] | None = None
    writer: dict[str, str] = {}
    for manager, data in history:
        before = (live or {}).get("data", {})
        live = written(live, config_map(data), manager) if live or data else None
        writer = {key: writer[key] if before.get(key) == data[key] and key in writer else manager for key in data}
    if live is None:
        return
    owned = [(path, manager) for manager, found in claims(live).items() for path in found if path.startswith(".data.")]
    assert sorted(owned) == sorted((f".data.{key}", manager) for key, manager in writer.items())
