"""Where a pod fits, why it does not, and which of the fitting nodes it gets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from control.api.objects import Object, name_of
from control.controllers.occupancy import Occupancy
from control.controllers.placement import Refusal, Seat, matches_node, place, preference
from control.controllers.requests import allocatable, host_ports, ports_conflict, requested, resources_of
from control.controllers.tolerance import effective_taints, tolerates
from tests.fakes.objects import node, pod, replica_set


def where(obj: Object, *nodes: Object, on: dict[str, list[Object]] | None = None) -> str:
    found = place(obj, [Seat.of(each, Occupancy.of((on or {}).get(name_of(each), ()))) for each in nodes])
    return found.message if isinstance(found, Refusal) else found


def asking(name: str = "a", **requests: str) -> Object:
    obj = pod(name)
    obj["spec"]["containers"][0]["resources"] = {"requests": requests}
    return obj


def labelled(name: str, **labels: str) -> Object:
    obj = node(name)
    obj["metadata"]["labels"].update(labels)
    return obj


def affinity(*expressions: Object, fields: list[Object] | None = None) -> Object:
    term: Object = {"matchExpressions": list(expressions)}
    if fields:
        term["matchFields"] = fields
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return pod("a", affinity={"nodeAffinity": required})


def test_reasons_are_counted_over_all_nodes() -> None:
    cordoned = node("a", unschedulable=True)
    tainted = [node(name, taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]) for name in "bc"]
    small = node("d", cpu="500m", memory="1Mi")
    assert where(asking(cpu="1", memory="2Mi"), cordoned, *tainted, small) == (
        "0/4 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) were unschedulable, "
        "2 node(s) had untolerated taint {k: v}."
    )
    assert where(pod("a")) == "no nodes available to schedule pods"


def test_each_filter_has_its_reason() -> None:
    selecting = pod("a", nodeSelector={"disk": "ssd"})
    assert "node(s) didn't match Pod's node affinity/selector" in where(selecting, node("n"))
    full = node("n", pods="1")
    assert where(pod("a"), full, on={"n": [pod("b")]}) == "0/1 nodes are available: 1 Too many pods."
    listening = pod("a")
    listening["spec"]["containers"][0]["ports"] = [{"hostPort": 80, "containerPort": 80}]
    assert "free ports" in where(listening, node("n"), on={"n": [listening]})
    assert where(listening, node("n"), on={"n": [pod("b")]}) == "n"
    assert "Insufficient example.com/gpu" in where(asking(**{"example.com/gpu": "1"}), node("n"))


@pytest.mark.parametrize(
    ("ready", "taint"),
    [("False", "{node.kubernetes.io/not-ready: }"), ("Unknown", "{node.kubernetes.io/unreachable: }")],
)
def test_a_node_that_is_not_ready_gets_no_pods(ready: str, taint: str) -> None:
    silent = node("n")
    silent["status"]["conditions"] = [{"type": "Ready", "status": ready}]
    assert where(pod("a"), silent) == f"0/1 nodes are available: 1 node(s) had untolerated taint {taint}."
    assert where(pod("a", tolerations=[{"operator": "Exists"}]), silent) == "n"
    assert len(effective_taints(node("n", taints=[{"key": "node.kubernetes.io/not-ready"}]))) == 1


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}, True),
        ({"key": "disk", "operator": "In", "values": ["hdd"]}, False),
        ({"key": "disk", "operator": "NotIn", "values": ["hdd"]}, True),
        ({"key": "nope", "operator": "NotIn", "values": ["hdd"]}, True),
        ({"key": "disk", "operator": "Exists"}, True),
        ({"key": "nope", "operator": "Exists"}, False),
        ({"key": "nope", "operator": "DoesNotExist"}, True),
        ({"key": "size", "operator": "Gt", "values": ["9"]}, True),
        ({"key": "size", "operator": "Gt", "values": ["10"]}, False),
        ({"key": "size", "operator": "Lt", "values": ["11"]}, True),
        ({"key": "disk", "operator": "Lt", "values": ["11"]}, False),
        ({"key": "disk", "operator": "Never"}, False),
    ],
)
def test_node_affinity(expression: Object, matches: bool) -> None:
    assert matches_node(affinity(expression), labelled("n", disk="ssd", size="10")) is matches


def test_fields_and_expressions_of_a_term_hold_together() -> None:
    named = [{"key": "metadata.name", "operator": "In", "values": ["n"]}]
    ssd = {"key": "disk", "operator": "Exists"}
    assert matches_node(affinity(fields=named), node("n"))
    assert not matches_node(affinity(fields=named), node("m"))
    assert not matches_node(affinity(ssd, fields=named), node("n"))
    assert not matches_node(affinity(), node("n")), "an empty term matches nothing"


def test_preferred_affinity_decides_between_equals() -> None:
    term = {"weight": 5, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
    preferred = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}
    choosy = pod("a", affinity=preferred)
    assert preference(choosy, labelled("x", disk="ssd")) == 5
    for name in "bcdef":
        assert where(pod(name, affinity=preferred), node("m"), labelled("n", disk="ssd"), node("o")) == "n"


def test_taints_that_merely_prefer_are_avoided() -> None:
    shunned = node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert all(where(pod(name), shunned, node("z")) == "z" for name in "abcde")
    assert where(pod("a"), shunned) == "a"


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "j", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"value": "v"}, False),
        ({"key": "k", "operator": "Gt", "value": "1"}, False),
    ],
)
def test_tolerations(toleration: Object, tolerated: bool) -> None:
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoSchedule"}) is tolerated


def test_numeric_tolerations() -> None:
    taint = {"key": "sla", "value": "5", "effect": "NoSchedule"}
    assert tolerates({"key": "sla", "operator": "Gt", "value": "4"}, taint)
    assert tolerates({"key": "sla", "operator": "Lt", "value": "6"}, taint)
    assert not tolerates({"key": "sla", "operator": "Lt", "value": "5"}, taint)


def test_the_pods_of_one_set_are_spread_and_then_the_load_is() -> None:
    owner = {**replica_set(), "metadata": {"name": "web", "uid": "u"}}
    nodes = [node(f"n{i}") for i in range(3)]
    on: dict[str, list[Object]] = {name_of(each): [] for each in nodes}
    on["n0"] = [asking("other", cpu="1")]
    for i in range(9):
        made = pod(f"web-{i}", owner=owner)
        on[where(made, *nodes, on=on)].append(made)
    assert [len(on[name_of(each)]) for each in nodes] == [4, 3, 3]
    assert where(asking("b", cpu="1"), *nodes, on=on) in ("n1", "n2")


def test_equal_nodes_take_turns_by_the_pod_and_a_repeat_decides_the_same() -> None:
    nodes = [node(f"n{i}") for i in range(3)]
    chosen = [where(pod(f"p{i}"), *nodes) for i in range(60)]
    assert chosen == [where(pod(f"p{i}"), *reversed(nodes)) for i in range(60)]
    assert min(Counter(chosen).values()) > 10


def container(restart: str = "", **requests: str) -> Object:
    made: dict[str, Any] = {"name": "c", "resources": {"requests": requests}}
    if restart:
        made["restartPolicy"] = restart
    return made


def test_requests_are_those_of_the_worst_moment() -> None:
    obj = pod("a", overhead={"cpu": "10m"})
    obj["spec"]["containers"] = [container(cpu="100m", memory="1Mi"), container(cpu="0.2")]
    assert requested(obj) == {"cpu": 310, "memory": 2**20}
    obj["spec"]["initContainers"] = [container(cpu="1"), container("Always", cpu="50m"), container(cpu="2")]
    assert requested(obj)["cpu"] == 2060  # the last init container beside the sidecar, and overhead
    assert requested(pod("b")) == {}
    assert resources_of({"memory": "garbage"}) == {"memory": 0}
    assert allocatable(node("n", cpu="1500m"))["cpu"] == 1500


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (("TCP", "", 80), ("TCP", "127.0.0.1", 80), True),
        (("TCP", "127.0.0.2", 80), ("TCP", "127.0.0.1", 80), False),
        (("TCP", "127.0.0.1", 80), ("TCP", "127.0.0.1", 80), True),
        (("UDP", "", 80), ("TCP", "", 80), False),
        (("TCP", "", 81), ("TCP", "", 80), False),
        (("TCP", "0.0.0.0", 80), ("TCP", "127.0.0.1", 80), True),
    ],
)
def test_host_ports(one: tuple[str, str, int], other: tuple[str, str, int], conflict: bool) -> None:
    assert ports_conflict([one], [other]) is conflict
    assert ports_conflict([other], [one]) is conflict
    assert host_ports(pod("a")) == set()
