"""World beside its twin: a plain dict that is searched from end to end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.kinds import NODE, POD, REPLICA_SET, SERVICE
from control.api.objects import Key, Object, controller_of, key_of
from control.mirror.world import LiveWorld, World, field_of

LABEL = "metadata.labels['app']"
SELECTORS: tuple[Object, ...] = (
    {"app": "m"},
    {"matchLabels": {"app": "n"}},
    {"matchLabels": {"app": "m", "tier": "t"}},
)


def obj(kind: Any, name: str, namespace: str = "", **meta: object) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **meta}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def owner(uid: str, controller: bool) -> Object:
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid, "controller": controller}


@st.composite
def pods(draw: st.DrawFn) -> Object:
    owners = draw(st.lists(st.sampled_from("uv"), unique=True, max_size=2))
    controller = draw(st.sampled_from(["", *owners]))
    pod = obj(POD, draw(st.sampled_from("abc")), draw(st.sampled_from(["x", "x-", "y"])))
    pod["metadata"]["ownerReferences"] = [owner(uid, uid == controller) for uid in owners]
    pod["metadata"]["labels"] = {"app": draw(st.sampled_from("mn"))}
    if node := draw(st.sampled_from(["", "n1", "n2"])):
        pod["spec"] = {"nodeName": node}
    return pod


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), pods()), max_size=25), st.integers(0, 20))
def test_indexes_are_what_a_search_finds(changes: list[tuple[bool, Object]], first_asked: int) -> None:
    world, twin = LiveWorld(), dict[Key, Object]()
    for step, (put, pod) in enumerate(changes):
        if put:
            assert world.put(POD, pod) is twin.get(key_of(pod))
            twin[key_of(pod)] = pod
        else:
            assert world.remove(POD, key_of(pod)) is twin.pop(key_of(pod), None)
        if step >= first_asked:  # an index that is first asked for late must be as good
            world.by_field(POD, "spec.nodeName", "n1")
    in_order = [twin[key] for key in sorted(twin)]
    assert world.list(POD) == in_order
    assert world.list(POD, "x") == [pod for pod in in_order if key_of(pod).namespace == "x"]
    for uid in ("u", "v", ""):
        held = [pod for pod in in_order if (controller_of(pod) or {"uid": ""})["uid"] == uid]
        assert world.controlled_by(POD, uid) == held
    for uid in "uv":
        assert world.owned_by(uid) == [
            p for p in in_order if any(r["uid"] == uid for r in p["metadata"]["ownerReferences"])
        ]
    for node in ("", "n1", "n2"):
        found = [pod for pod in in_order if pod.get("spec", {}).get("nodeName", "") == node]
        assert world.by_field(POD, "spec.nodeName", node) == found
        assert world.by_field(POD, "spec.nodeName", node, "y") == [p for p in found if key_of(p).namespace == "y"]
    assert world.by_field(POD, LABEL, "m") == world.select(POD, "", {"app": "m"})


def test_select_understands_three_selectors() -> None:
    world = World.of(obj(POD, name, "x", labels={"app": name, "tier": "t"}) for name in "abc")

    def names(found: list[Object]) -> list[str]:
        return [key_of(each).name for each in found]

    assert names(world.select(POD, "x", {"app": "b"})) == ["b"]
    assert names(world.select(POD, "x", {"matchLabels": {"app": "b"}})) == ["b"]
    expressions = [{"key": "app", "operator": "NotIn", "values": ["b"]}, {"key": "tier", "operator": "Exists"}]
    assert names(world.select(POD, "", {"matchExpressions": expressions})) == ["a", "c"]
    assert names(world.select(POD, "x", lambda pod: key_of(pod).name > "a")) == ["b", "c"]
    assert names(world.select(POD, "x", {})) == ["a", "b", "c"]
    assert world.select(POD, "x", None) == []
    assert world.select(SERVICE, "x", {}) == []


def test_a_world_of_values_knows_every_kind_unless_told() -> None:
    world = World.of([obj(NODE, "n")])
    assert world.get(NODE, "", "n") == obj(NODE, "n")
    assert world.knows(REPLICA_SET)
    partial = World.of([], kinds=[POD])
    assert (partial.knows(POD), partial.knows(NODE)) == (True, False)
    partial.learn(NODE)
    assert partial.knows(NODE)
    with pytest.raises(ValueError, match="Gadget"):
        World.of([{"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "g"}}])


def test_a_field_is_found_or_empty() -> None:
    pod = obj(POD, "p", "x", labels={"kubernetes.io/service-name": "web"}) | {"spec": {"nodeName": None, "n": 3}}
    assert field_of(pod, "metadata.labels['kubernetes.io/service-name']") == "web"
    assert field_of(pod, "metadata.labels['other']") == ""
    assert field_of(pod, "spec.nodeName") == field_of(pod, "spec.nodeName.deeper") == field_of(pod, "status.x") == ""
    assert field_of(pod, "spec.n") == "3"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), pods()), max_size=25), st.integers(0, 20))
def test_what_a_selector_finds_is_what_a_search_finds(changes: list[tuple[bool, Object]], first_asked: int) -> None:
    world, answers = LiveWorld(), dict[int, list[Object]]()
    for step, (put, pod) in enumerate(changes):
        if put:
            world.put(POD, pod)
        else:
            world.remove(POD, key_of(pod))
        if step >= first_asked:
            found = world.by_field(POD, LABEL, "m")
            assert answers.setdefault(world.version(POD, LABEL, "m"), found) == found
    for namespace in ("x", "y", ""):
        for selector in SELECTORS:
            wanted = selector.get("matchLabels", selector)
            matching = [p for p in world.list(POD, namespace) if wanted.items() <= p["metadata"]["labels"].items()]
            assert world.select(POD, namespace, selector) == matching


def test_those_whose_selector_may_match_are_found_by_one_label() -> None:
    rows: list[Object] = [
        {**obj(SERVICE, "a", "x"), "spec": {"selector": {"app": "m"}}},
        {**obj(SERVICE, "b", "x"), "spec": {"selector": {"app": "m", "tier": "t"}}},
        {**obj(SERVICE, "c", "x"), "spec": {"selector": {"app": "n"}}},
        {**obj(SERVICE, "d", "x"), "spec": {}},
        {**obj(SERVICE, "e", "y"), "spec": {"selector": {"app": "m"}}},
        {
            **obj(REPLICA_SET, "r", "x"),
            "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
        },
    ]
    world = World.of(rows)
    pod = obj(POD, "p", "x", labels={"app": "m", "version": "1"})
    assert [key_of(one).name for one in world.selecting(SERVICE, pod)] == ["a", "b", "d"]
    assert [key_of(one).name for one in world.selecting(REPLICA_SET, pod)] == ["r"]
    assert world.selecting(NODE, pod) == []
    world.put(SERVICE, {**rows[0], "spec": {"selector": {"app": "z"}}})
    assert [key_of(one).name for one in world.selecting(SERVICE, pod)] == ["b", "d"]


def mentioned(obj: Object) -> list[str]:
    return [volume["configMap"]["name"] for volume in obj["spec"].get("volumes", [])]


def test_objects_are_found_by_the_names_that_they_mention() -> None:
    def pod_with(name: str, *mentions: str, namespace: str = "a") -> Object:
        volumes = [{"name": each, "configMap": {"name": each}} for each in mentions]
        meta = {"namespace": namespace, "name": name}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"volumes": volumes}}

    def found(name: str, namespace: str = "") -> list[str]:
        return [obj["metadata"]["name"] for obj in world.naming(POD, mentioned, name, namespace)]

    world = LiveWorld()
    assert found("x") == []
    world.put(POD, pod_with("b", "x", "y"))
    world.put(POD, pod_with("a", "x"))
    world.put(POD, pod_with("c", "x", namespace="other"))
    assert (found("x"), found("x", "a"), found("y"), found("z")) == (["a", "b", "c"], ["a", "b"], ["b"], [])
    world.put(POD, pod_with("b", "z"))
    assert (found("x"), found("y"), found("z")) == (["a", "c"], [], ["b"])
    world.remove(POD, Key("a", "a"))
    assert found("x") == ["c"]
