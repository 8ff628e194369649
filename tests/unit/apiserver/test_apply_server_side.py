"""Server-side apply: merging, giving up, conflicts, taking over; single cases, then the laws."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.schema import schema_of
from control.api.status import StatusError
from control.apiserver.apply import apply, track_update
from control.apiserver.apply.fields import paths
from control.apiserver.apply.server_side import LAST_APPLIED

CONFIG_MAP = schema_of("io.k8s.api.core.v1.ConfigMap")
DEPLOYMENT = schema_of("io.k8s.api.apps.v1.Deployment")
SERVICE = schema_of("io.k8s.api.core.v1.Service")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}, "spec": spec}


def pods(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"template": {"spec": {"containers": list(containers)}}}


def applied(
    live: dict[str, Any] | None,
    config: dict[str, Any],
    manager: str,
    *,
    force: bool = False,
    now: datetime = NOW,
    subresource: str = "",
    schema: Any = None,
) -> dict[str, Any]:
    schemas = {"ConfigMap": CONFIG_MAP, "Deployment": DEPLOYMENT, "Service": SERVICE}
    schema = schema or schemas[config["kind"]]
    before = copy.deepcopy((live, config))
    result = apply(live, config, schema, manager=manager, force=force, subresource=subresource, now=now)
    assert (live, config) == before
    return result


def claims(obj: dict[str, Any]) -> dict[str, list[str]]:
    return {entry["manager"]: list(paths(entry["fieldsV1"])) for entry in obj["metadata"].get("managedFields", ())}


def created(obj: dict[str, Any], manager: str, schema: Any = CONFIG_MAP) -> dict[str, Any]:
    entries = track_update(None, obj, schema, manager=manager, subresource="", now=NOW)
    return {**obj, "metadata": {**obj["metadata"], "uid": "u", "managedFields": entries}}


def test_the_first_apply_creates() -> None:
    result = applied(None, config_map(k="1"), "one")
    assert result == {
        **config_map(k="1"),
        "metadata": {
            "name": "a",
            "managedFields": [
                {
                    "manager": "one",
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "time": "2026-01-02T03:04:05Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {"f:k": {}}},
                }
            ],
        },
    }


def test_what_is_given_up_goes() -> None:
    live = applied(None, config_map(k="1", l="1"), "one")
    result = applied(live, config_map(l="1"), "one", now=LATER)
    assert result["data"] == {"l": "1"}
    assert claims(result) == {"one": [".data.l"]}
    assert result["metadata"]["managedFields"][0]["time"] == "2026-01-02T03:05:05Z"


def test_what_others_own_stays() -> None:
    live = applied(None, config_map(k="1", l="1"), "one")
    live = applied(live, config_map(k="1"), "two")
    result = applied(live, config_map(), "one")
    assert result["data"] == {"k": "1"}
    assert claims(result) == {"one": [".data"], "two": [".data.k"]}


def test_a_conflict_as_kubectl_users_know_it() -> None:
    live = created(deployment(replicas=1, **pods({"name": "c", "image": "1"})), "kubectl-client-side-apply", DEPLOYMENT)
    with pytest.raises(StatusError) as refused:
        applied(live, deployment(replicas=2), "kubectl")
    error = refused.value
    assert (error.code, error.reason) == (409, "Conflict")
    conflict = 'conflict with "kubectl-client-side-apply" using apps/v1'
    assert error.message == f"Apply failed with 1 conflict: {conflict}: .spec.replicas"
    assert error.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": conflict, "field": ".spec.replicas"}]
    }


def test_several_conflicts_are_listed_by_manager() -> None:
    live = applied(None, config_map(k="1", l="1"), "one")
    live = applied(live, config_map(m="1"), "two")
    with pytest.raises(StatusError) as refused:
        applied(live, config_map(k="2", l="2", m="2"), "three")
    assert refused.value.message == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.k\n- .data.l\nconflicts with "two":\n- .data.m'
    )


def test_force_takes_the_field_over() -> None:
    live = applied(None, config_map(k="1", l="1"), "one")
    result = applied(live, config_map(k="2"), "two", force=True)
    assert result["data"] == {"k": "2", "l": "1"}
    assert claims(result) == {"one": [".data.l"], "two": [".data.k"]}


def test_equal_values_are_shared_and_go_with_their_last_owner() -> None:
    live = applied(None, config_map(k="1"), "one")
    live = applied(live, config_map(k="1"), "two")
    assert claims(live) == {"one": [".data.k"], "two": [".data.k"]}
    live = applied(live, {**config_map(), "data": {"z": "1"}}, "one")
    assert live["data"] == {"k": "1", "z": "1"}
    live = applied(live, {**config_map(), "data": {"y": "1"}}, "two")
    assert live["data"] == {"z": "1", "y": "1"}


def test_an_object_without_a_ledger_was_owned_before() -> None:
    live = {**config_map(k="1", l="1"), "metadata": {"name": "a", "uid": "u"}}
    with pytest.raises(StatusError, match=r'conflict with "before-first-apply" using v1: \.data\.k$'):
        applied(live, config_map(k="2"), "one")
    result = applied(live, config_map(k="1"), "one")
    assert claims(result) == {"before-first-apply": [".data", ".data.k", ".data.l"], "one": [".data.k"]}


def test_items_of_keyed_lists_have_owners_of_their_own() -> None:
    one = deployment(**pods({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}))
    live = applied(None, one, "one")
    live = applied(live, deployment(**pods({"name": "b", "image": "1"})), "two")
    live = applied(live, deployment(**pods({"name": "a", "env": [{"name": "Y", "value": "2"}]})), "two")
    containers = live["spec"]["template"]["spec"]["containers"]
    assert containers == [
        {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}
    ]
    live = applied(live, deployment(**pods({"name": "a", "image": "1"})), "one")
    assert live["spec"]["template"]["spec"]["containers"] == [
        {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}]}
    ]


def test_what_an_updater_owns_is_not_pruned_with_its_parent() -> None:
    live = applied(None, deployment(**pods({"name": "a", "image": "1"})), "one")
    changed = copy.deepcopy(live)
    changed["spec"]["template"]["spec"]["containers"][0]["tty"] = True
    entries = track_update(live, changed, DEPLOYMENT, manager="edit", subresource="", now=LATER)
    changed["metadata"]["managedFields"] = entries
    result = applied(changed, deployment(**pods({"name": "b"})), "one")
    names = [container["name"] for container in result["spec"]["template"]["spec"]["containers"] if "name" in container]
    assert names == ["b"]


def test_what_is_emptied_stays_for_those_who_own_it() -> None:
    empty = {**config_map(), "metadata": {"name": "a", "labels": {}}}
    full = {**config_map(), "metadata": {"name": "a", "labels": {"l": "1"}}}
    live = applied(applied(None, empty, "one"), full, "two")
    result = applied(live, {**config_map(), "metadata": {"name": "a"}}, "two")
    assert result["metadata"]["labels"] == {}
    assert claims(result)["one"] == [".data", ".metadata.labels"]


def test_giving_up_the_last_label_leaves_the_identity_alone() -> None:
    labelled = {**config_map(k="1"), "metadata": {"name": "a", "labels": {"l": "1"}}}
    live = applied(None, labelled, "one")
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-02T03:04:05Z"}
    result = applied(live, config_map(k="1"), "one")
    assert {
        name: result["metadata"].get(name) for name in ("uid", "resourceVersion", "creationTimestamp", "labels")
    } == {
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": None,
    }


def test_an_atomic_value_is_one_field() -> None:
    live = applied(None, {**service(), "spec": {"selector": {"a": "1"}}}, "one")
    with pytest.raises(StatusError, match=r'conflict with "one": \.spec\.selector$'):
        applied(live, {**service(), "spec": {"selector": {"a": "1", "b": "2"}}}, "two")


def service() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}


def test_status_and_spec_have_separate_owners() -> None:
    live = applied(None, deployment(replicas=1), "one")
    config = {**deployment(replicas=5), "status": {"replicas": 1}}
    result = applied(live, {**config, "spec": {"replicas": 1}}, "controller", subresource="status")
    entry = next(entry for entry in result["metadata"]["managedFields"] if entry["manager"] == "controller")
    assert (entry["subresource"], list(paths(entry["fieldsV1"]))) == ("status", [".status.replicas"])
    with pytest.raises(StatusError, match='conflict with "controller" with subresource "status"'):
        applied(result, {**deployment(), "status": {"replicas": 2}}, "other", subresource="status")


def test_null_takes_a_leaf_away() -> None:
    live = applied(None, deployment(replicas=1, paused=True), "one")
    result = applied(live, deployment(replicas=1, paused=None), "one")
    assert result["spec"] == {"replicas": 1}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            deployment(replica=1),
            "failed to create typed patch object (n/a; apps/v1, Kind=Deployment): "
            ".spec.replica: field not declared in schema",
        ),
        (deployment(replicas="1"), ".spec.replicas: expected numeric (int or float), got string"),
        (deployment(**pods({"name": "a"}, {"name": "a"})), '.containers: duplicate entries for key [name="a"]'),
        (deployment(**pods({"image": "a"})), "element 0: associative list with keys has an element that omits all key"),
        (deployment(paused={}), ".spec.paused: expected boolean"),
        (deployment(template=[]), ".spec.template: expected map"),
        (deployment(**pods()) | {"spec": {"template": {"spec": {"containers": 1}}}}, ".containers: expected list"),
        (
            {**deployment(), "metadata": {"name": "a", "managedFields": []}},
            "metadata.managedFields must be nil",
        ),
        ({**deployment(), "apiVersion": "apps/v2"}, "invalid object type: apps/v2, Kind=Deployment"),
        (deployment(a=1, b=2), "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared"),
    ],
)
def test_what_cannot_be_applied(config: dict[str, Any], words: str) -> None:
    with pytest.raises(StatusError) as refused:
        applied(deployment(), config, "one")
    assert refused.value.code == 400
    assert words in refused.value.message


def test_kubectl_may_take_what_kubectl_applied_from_the_client() -> None:
    first = config_map(k="1", l="1")
    live = {**first, "metadata": {"name": "a", "annotations": {LAST_APPLIED: json.dumps(first)}}}
    live = created(live, "kubectl-client-side-apply")
    config = config_map(k="2", l="1")
    with pytest.raises(StatusError):
        applied(live, config, "somebody")
    result = applied(live, config, "kubectl")
    assert result["data"]["k"] == "2"
    assert json.loads(result["metadata"]["annotations"][LAST_APPLIED]) == config
    edited = copy.deepcopy(live)
    edited["data"]["k"] = "3"
    edited["metadata"]["managedFields"] = track_update(
        live, edited, CONFIG_MAP, manager="edit", subresource="", now=NOW
    )
    with pytest.raises(StatusError, match=r'conflict with "edit" using v1: \.data\.k$'):
        applied(edited, config_map(k="4", l="2"), "kubectl")


def test_the_result_is_the_callers_own() -> None:
    live = applied(None, deployment(**pods({"name": "a"})), "one")
    result = applied(live, deployment(**pods({"name": "a", "image": "1"})), "one")
    result["spec"]["template"]["spec"]["containers"][0]["name"] = "changed"
    assert live["spec"]["template"]["spec"]["containers"] == [{"name": "a"}]


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), DATA), max_size=5)


def history(steps: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    live = applied(None, config_map(), "nobody")
    for manager, data in steps:
        live = applied(live, config_map(**data), manager, force=True)
    return live


@given(STEPS, DATA)
@settings(max_examples=50)
def test_law_applying_twice_is_applying_once(steps: Any, data: dict[str, str]) -> None:
    once = applied(history(steps), config_map(**data), "x", force=True)
    assert applied(once, config_map(**data), "x", now=LATER) == once


@given(STEPS, DATA, DATA)
@settings(max_examples=50)
def test_law_giving_up_removes_exactly_what_nobody_else_owns(steps: Any, data: Any, less: dict[str, str]) -> None:
    live = applied(history(steps), config_map(**data), "x", force=True)
    kept = {key: value for key, value in data.items() if key in less}
    others = {path for manager, found in claims(live).items() if manager != "x" for path in found}
    result = applied(live, config_map(**kept), "x")
    gone = {key for key in data if key not in kept and f".data.{key}" not in others}
    expected = {key: value for key, value in live.get("data", {}).items() if key not in gone}
    assert result.get("data", {}) == expected


@given(STEPS, DATA)
@settings(max_examples=50)
def test_law_a_conflict_is_another_owner_of_another_value(steps: Any, data: dict[str, str]) -> None:
    live = history(steps)
    owned = {path for manager, found in claims(live).items() if manager != "x" for path in found}
    present = live.get("data", {})
    clashes = {f".data.{key}" for key, value in data.items() if present.get(key, value) != value} & owned
    try:
        applied(live, config_map(**data), "x")
        found = set()
    except StatusError as error:
        found = {cause["field"] for cause in (error.details or {})["causes"]}
    assert found == clashes


@given(STEPS)
@settings(max_examples=50)
def test_law_every_field_has_an_owner_and_every_owner_a_field(steps: Any) -> None:
    live = history(steps)
    owned = {path for found in claims(live).values() for path in found if path.startswith(".data.")}
    assert owned == {f".data.{key}" for key in live.get("data", {})}
