"""Strategic merge patch: the documented examples, each directive, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.schema import schema_of
from control.api.status import StatusError
from control.apiserver.patch import STRATEGIC_MERGE_PATCH, apply_patch

DEPLOYMENT = schema_of("io.k8s.api.apps.v1.Deployment")
POD = schema_of("io.k8s.api.core.v1.Pod")


def patch_pod(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    before = json.dumps(current)
    patched = apply_patch(STRATEGIC_MERGE_PATCH, current, json.dumps(patch).encode(), POD)
    assert json.dumps(current) == before
    return patched


def patch_spec(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = patch_pod({"spec": current}, {"spec": patch})["spec"]
    return spec


def test_the_tasks_page_adds_a_container_by_name() -> None:
    current = {"spec": {"template": {"spec": {"containers": [{"name": "demo-ctr", "image": "nginx"}]}}}}
    change = {"spec": {"template": {"spec": {"containers": [{"name": "demo-ctr-2", "image": "redis"}]}}}}
    patched = apply_patch(STRATEGIC_MERGE_PATCH, current, json.dumps(change).encode(), DEPLOYMENT)
    names = [container["name"] for container in patched["spec"]["template"]["spec"]["containers"]]
    assert names == ["demo-ctr-2", "demo-ctr"] or names == ["demo-ctr", "demo-ctr-2"]
    assert len(names) == 2


def test_a_keyed_item_merges_and_its_siblings_stay() -> None:
    current = {"containers": [{"name": "a", "image": "a:1", "tty": True}, {"name": "b", "image": "b:1"}]}
    patched = patch_spec(current, {"containers": [{"name": "a", "image": "a:2"}]})
    assert patched["containers"] == [{"name": "a", "image": "a:2", "tty": True}, {"name": "b", "image": "b:1"}]


def test_a_list_without_a_strategy_is_replaced() -> None:
    patched = patch_spec({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]})
    assert patched["tolerations"] == [{"key": "b"}]


def test_retain_keys_of_the_tasks_page() -> None:
    current = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    patched = apply_patch(STRATEGIC_MERGE_PATCH, {"spec": current}, json.dumps(change).encode(), DEPLOYMENT)
    assert patched["spec"]["strategy"] == {"type": "Recreate"}


def test_delete_an_item_and_a_field() -> None:
    current = {"containers": [{"name": "a", "image": "a:1"}, {"name": "b"}], "hostname": "h"}
    patched = patch_spec(current, {"containers": [{"name": "b", "$patch": "delete"}], "hostname": None})
    assert patched == {"containers": [{"name": "a", "image": "a:1"}]}


def test_replace_a_keyed_list_and_a_map() -> None:
    current = {"containers": [{"name": "a"}, {"name": "b"}], "nodeSelector": {"x": "1"}}
    change = {
        "containers": [{"name": "c"}, {"$patch": "replace"}],
        "nodeSelector": {"$patch": "replace", "y": "2"},
    }
    assert patch_spec(current, change) == {"containers": [{"name": "c"}], "nodeSelector": {"y": "2"}}


def test_delete_a_map() -> None:
    assert patch_spec({"nodeSelector": {"x": "1"}}, {"nodeSelector": {"$patch": "delete"}}) == {"nodeSelector": {}}


def test_scalars_merge_as_a_set_and_leave_by_the_parallel_list() -> None:
    current = {"metadata": {"finalizers": ["a", "b", "c"]}}
    added = patch_pod(current, {"metadata": {"finalizers": ["d", "a"]}})
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c", "d"]
    left = patch_pod(current, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c", "zz"]}})
    assert left["metadata"]["finalizers"] == ["b"]


def test_ports_merge_by_container_port() -> None:
    current = {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}
    change = {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}]}
    ports = patch_spec(current, change)["containers"][0]["ports"]
    assert ports == [{"containerPort": 80, "protocol": "TCP", "name": "http"}, {"containerPort": 81}]


@pytest.mark.parametrize(
    ("live", "change", "order", "expected"),
    [
        (["a", "b", "c"], [], ["c", "b", "a"], ["c", "b", "a"]),
        (["a", "b", "c"], ["d"], ["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        (["a", "server", "b"], ["x"], ["a", "x", "b"], ["a", "x", "server", "b"]),
        (["a", "b", "c"], ["-b"], ["a", "c"], ["a", "c"]),
        (["z", "a"], ["b"], ["b", "a"], ["b", "z", "a"]),
    ],
)
def test_element_order(live: list[str], change: list[str], order: list[str], expected: list[str]) -> None:
    patch: dict[str, Any] = {"$setElementOrder/containers": [{"name": name} for name in order]}
    if change:
        patch["containers"] = [
            {"name": name[1:], "$patch": "delete"} if name.startswith("-") else {"name": name} for name in change
        ]
    patched = patch_spec({"containers": [{"name": name} for name in live]}, patch)
    assert [container["name"] for container in patched["containers"]] == expected


def test_element_order_of_a_new_list_and_of_scalars() -> None:
    new = patch_spec({}, {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a"}]})
    assert new == {"containers": [{"name": "a"}]}
    change = {"metadata": {"$setElementOrder/finalizers": ["c", "a"], "finalizers": ["c"]}}
    ordered = patch_pod({"metadata": {"finalizers": ["a", "b"]}}, change)
    assert ordered["metadata"]["finalizers"] == ["c", "a", "b"]


def test_a_new_member_comes_without_nulls_and_directives() -> None:
    change = {"securityContext": {"runAsUser": None, "fsGroup": 1}, "nodeSelector": {"$patch": "delete"}}
    assert patch_spec({}, change) == {"securityContext": {"fsGroup": 1}}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"containers": [{"image": "x"}]}, 400, 'map: {"image":"x"} does not contain declared merge key: name'),
        ({"containers": [{"name": "a", "$patch": "merge"}]}, 400, "merging lists cannot yet be specified in the patch"),
        ({"containers": [{"name": "a", "$patch": "move"}]}, 400, "unknown patch type: move in map"),
        ({"$patch": "merge"}, 400, "unknown patch type: merge in map"),
        ({"nodeSelector": {"$retainKeys": "x"}}, 400, "invalid patch format of retainKeys"),
        ({"nodeSelector": {"$retainKeys": ["x"], "y": "1"}}, 400, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveList": ["x"]}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder": ["x"]}, 400, "invalid patch format of setElementOrder list"),
        (
            {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a"}, {"name": "b"}],
            },
            400,
            "doesn't match $setElementOrder list",
        ),
        ({"containers": [{"name": "a"}, "b"]}, 400, "list element types are not identical"),
        ({"containers": [["a"]]}, 422, "the server rejected our request due to an error in our request"),
    ],
)
def test_what_is_refused(change: dict[str, Any], code: int, words: str) -> None:
    with pytest.raises(StatusError) as failed:
        patch_spec({"containers": [{"name": "z"}], "nodeSelector": {"x": "1"}}, change)
    assert failed.value.code == code
    assert words in failed.value.message


def test_a_patch_is_an_object() -> None:
    with pytest.raises(StatusError, match="cannot unmarshal array into Go value") as failed:
        apply_patch(STRATEGIC_MERGE_PATCH, {}, b"[]", POD)
    assert failed.value.code == 400


NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)


@given(NAMES, NAMES, st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_merging_is_idempotent_and_unites(live: list[str], change: list[str], random: Any) -> None:
    current = {"containers": [{"name": name, "image": "old"} for name in live]}
    order = list(dict.fromkeys(change + [name for name in live if random.random() < 0.5]))
    patch = {
        "containers": [{"name": name, "image": "new"} for name in change],
        "$setElementOrder/containers": [{"name": name} for name in order],
    }
    once = patch_spec(current, patch)
    assert patch_spec(once, patch) == once
    images = {container["name"]: container["image"] for container in once["containers"]}
    assert images == dict.fromkeys(live, "old") | dict.fromkeys(change, "new")
    present = [container["name"] for container in once["containers"]]
    assert [name for name in present if name in order] == [name for name in order if name in present]
    others = [name for name in live if name not in order]
    assert [name for name in present if name not in order] == others
