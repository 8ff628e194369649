"""Which fields a value claims, and what a write changed: with the field sets that real clusters show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.schema import schema_of
from control.apiserver.apply.compare import ElementError, compare, element_of, fields_of, index_of, whole
from control.apiserver.apply.fields import intersection
from control.apiserver.apply.merge import merge, without
from control.apiserver.apply.shape import Parts, shape_of

DEPLOYMENT = shape_of(schema_of("io.k8s.api.apps.v1.Deployment"))
SERVICE = shape_of(schema_of("io.k8s.api.core.v1.Service"))
POD = shape_of(schema_of("io.k8s.api.core.v1.Pod"))
CONTAINER = shape_of(schema_of("io.k8s.api.core.v1.Container"))
OWNERS = shape_of(schema_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"))

CREATED = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "c", "image": "i", "resources": {}, "ports": [{"containerPort": 80}]}],
                "securityContext": {},
            },
        },
    },
}


def test_a_created_deployment_is_owned_as_a_real_server_says_it() -> None:
    change = compare({}, CREATED, DEPLOYMENT)
    port = 'k:{"containerPort":80,"protocol":"TCP"}'
    assert change.added == {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"c"}': {
                            ".": {},
                            "f:name": {},
                            "f:image": {},
                            "f:resources": {},
                            "f:ports": {".": {}, port: {".": {}, "f:containerPort": {}}},
                        }
                    },
                    "f:securityContext": {},
                },
            },
        },
    }
    assert change.removed == change.modified == {}


def test_what_is_always_there_has_no_creator_unless_its_parent_has_one() -> None:
    template = {"template": {"metadata": {"labels": {"a": "1"}}}}
    labels: dict[str, Any] = {".": {}, "f:a": {}}
    by_value = compare({"spec": {}}, {"spec": template}, DEPLOYMENT).added
    assert by_value == {"f:spec": {"f:template": {"f:metadata": {"f:labels": labels}}}}
    controller = shape_of(schema_of("io.k8s.api.core.v1.ReplicationController"))
    by_pointer = compare({"spec": {}}, {"spec": template}, controller).added
    assert by_pointer == {"f:spec": {"f:template": {".": {}, "f:metadata": {".": {}, "f:labels": labels}}}}
    limits = {"limits": {"cpu": "1"}}
    container = 'k:{"name":"c"}'
    known = compare(
        {"spec": {"containers": [{"name": "c"}]}}, {"spec": {"containers": [{"name": "c", "resources": limits}]}}, POD
    )
    assert known.added["f:spec"]["f:containers"][container] == {"f:resources": {"f:limits": {".": {}, "f:cpu": {}}}}
    new = compare({"spec": {}}, {"spec": {"containers": [{"name": "c", "resources": limits}]}}, POD)
    assert new.added["f:spec"]["f:containers"][container]["f:resources"] == {
        ".": {},
        "f:limits": {".": {}, "f:cpu": {}},
    }


def test_an_applied_deployment_claims_its_leaves_and_items() -> None:
    port = 'k:{"containerPort":80,"protocol":"TCP"}'
    container: dict[str, Any] = {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:resources": {},
        "f:ports": {port: {".": {}, "f:containerPort": {}}},
    }
    assert fields_of(CREATED, DEPLOYMENT) == {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:type": {}, "f:rollingUpdate": {"f:maxSurge": {}}},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"c"}': container}, "f:securityContext": {}},
            },
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "removed", "modified", "added"),
    [
        ({"replicas": 1}, {"replicas": 2}, {}, {"f:replicas": {}}, {}),
        ({"replicas": 1}, {}, {"f:replicas": {}}, {}, {}),
        ({}, {"paused": True}, {}, {}, {"f:paused": {}}),
        (
            {"selector": {"matchLabels": {"a": "1"}}},
            {"selector": {"matchLabels": {"a": "2"}}},
            {},
            {"f:selector": {}},
            {},
        ),
    ],
)
def test_changes_of_a_spec(old: Any, new: Any, removed: Any, modified: Any, added: Any) -> None:
    found = compare({"spec": old}, {"spec": new}, DEPLOYMENT)
    assert found == tuple({"f:spec": part} if part else {} for part in (removed, modified, added))


def test_items_of_lists_with_keys_come_go_and_change_alone() -> None:
    old = {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}}
    new = {"spec": {"containers": [{"name": "c"}, {"name": "a", "image": "2"}]}}
    removed, modified, added = compare(old, new, POD)
    assert removed == {"f:spec": {"f:containers": {'k:{"name":"b"}': {".": {}, "f:name": {}}}}}
    assert modified == {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:image": {}}}}}
    assert added == {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}}}}}


def test_sets_and_atomic_lists() -> None:
    removed, modified, added = compare(
        {"metadata": {"finalizers": ["a", "b"]}, "spec": {"tolerations": [{"key": "x"}]}},
        {"metadata": {"finalizers": ["b", "c"]}, "spec": {"tolerations": [{"key": "y"}]}},
        POD,
    )
    assert removed == {"f:metadata": {"f:finalizers": {'v:"a"': {}}}}
    assert added == {"f:metadata": {"f:finalizers": {'v:"c"': {}}}}
    assert modified == {"f:spec": {"f:tolerations": {}}}


ONE, TWO = {"name": "A", "value": "1"}, {"name": "A", "value": "2"}
A = 'k:{"name":"A"}'
WHOLE: dict[str, Any] = {".": {}, "f:name": {}, "f:value": {}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([ONE, TWO], [ONE, TWO], ({}, {}, {})),
        ([ONE, TWO], [TWO, ONE], ({}, {A: {}}, {})),
        ([ONE], [ONE, TWO], ({A: WHOLE}, {}, {A: {}})),
        ([ONE, TWO], [TWO], ({A: {}}, {}, {A: WHOLE})),
    ],
)
def test_twins_in_a_keyed_list_are_one_leaf(old: Any, new: Any, expected: Any) -> None:
    found = compare({"env": old}, {"env": new}, CONTAINER)
    assert found == tuple({"f:env": part} if part else {} for part in expected)
    assert fields_of({"env": [ONE, TWO]}, CONTAINER) == {"f:env": {A: {}}}


def test_an_item_needs_an_identity() -> None:
    ports = SERVICE.member("spec").shape.member("ports").shape
    assert element_of({"port": 80}, ports) == 'k:{"port":80,"protocol":"TCP"}'
    owners = OWNERS.member("ownerReferences").shape
    with pytest.raises(ElementError, match='omits all key fields \\["uid"\\]'):
        element_of({"name": "x"}, owners)
    with pytest.raises(ElementError, match="element 1: associative list with keys may not have non-map elements"):
        index_of([{"uid": "1"}, "x"], owners)
    with pytest.raises(ElementError, match="an element that's a map type"):
        element_of({}, OWNERS.member("finalizers").shape)


def test_shapes() -> None:
    assert shape_of(schema_of("io.k8s.api.apps.v1.ControllerRevision")).member("data").shape.parts is Parts.NONE
    assert DEPLOYMENT.member("spec").shape.member("selector").shape.parts is Parts.NONE
    assert SERVICE.member("spec").shape.member("selector").shape.parts is Parts.NONE
    assert POD.member("metadata").shape.member("labels").shape.parts is Parts.MEMBERS


def name_in(item: Any) -> Any:
    return item["name"]


STRINGS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={
            "image": st.sampled_from("12"),
            "env": st.lists(
                st.fixed_dictionaries({"name": st.sampled_from("xy")}, optional={"value": st.sampled_from("12")}),
                unique_by=name_in,
                max_size=2,
            ),
        },
    ),
    unique_by=name_in,
    max_size=3,
)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({"labels": STRINGS}),
        "spec": st.fixed_dictionaries({"containers": CONTAINERS}),
    },
)


@given(PODS, PODS)
@settings(max_examples=80)
def test_comparing_is_disjoint_and_mirrored(old: Any, new: Any) -> None:
    there, back = compare(old, new, POD), compare(new, old, POD)
    assert compare(old, old, POD).is_same
    assert there.modified == back.modified
    for left, right in ((there.removed, there.modified), (there.removed, there.added), (there.modified, there.added)):
        assert intersection(left, right) == {}


@given(PODS, PODS)
@settings(max_examples=80)
def test_merging_keeps_all_that_was_declared(live: Any, declared: Any) -> None:
    merged = merge(live, declared, POD)
    change = compare(merged, merge(merged, declared, POD), POD)
    assert change.is_same
    assert compare(live, merged, POD).removed == {}
    order = [item["name"] for item in declared.get("spec", {}).get("containers", [])]
    names = [item["name"] for item in merged.get("spec", {}).get("containers", [])]
    assert [name for name in names if name in order] == order


@given(PODS)
@settings(max_examples=40)
def test_without_everything_nothing_is_left(value: Any) -> None:
    everything = whole(value, POD, owns_itself=False) or {}
    left = without(value, everything, POD, {})
    assert compare({}, left, POD).added == {}


@pytest.mark.parametrize(
    ("live", "declared", "expected"),
    [("abc", "cb", "acb"), ("abc", "xb", "axbc"), ("ab", "", "ab"), ("", "ab", "ab"), ("abcd", "db", "acdb")],
)
def test_the_order_of_merged_items(live: str, declared: str, expected: str) -> None:
    merged = merge(
        {"containers": [{"name": name} for name in live]},
        {"containers": [{"name": name} for name in declared]},
        shape_of(schema_of("io.k8s.api.core.v1.PodSpec")),
    )
    assert "".join(item["name"] for item in merged["containers"]) == expected
