"""Who stands behind a Service, and in which slices; with a recount as the twin of the dealing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.kinds import ENDPOINT_SLICE, NODE, POD, SERVICE
from control.api.objects import Key, Object, annotations_of, copy_of, labels_of, meta, name_of
from control.controllers.action import Create, Delete, Outcome, Update
from control.controllers.endpointslice import EndpointSliceController
from control.controllers.slicing import ENDPOINTS_MAX
from tests.fakes.objects import node, pod, service
from tests.fakes.tiny_api import Cluster

KEY = Key("default", "web")


def with_pods(*pods: Object, **spec: Any) -> Cluster:
    cluster = Cluster()
    cluster.add(service(**spec))
    for each in pods:
        cluster.add(each)
    return cluster


def act(cluster: Cluster) -> Outcome:
    outcome = EndpointSliceController().reconcile(cluster.world, KEY, cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def endpoints(cluster: Cluster) -> dict[str, Object]:
    """By pod; each pod is in one slice only."""
    found = {}
    for slice_ in cluster.all(ENDPOINT_SLICE):
        for endpoint in slice_["endpoints"]:
            name = endpoint["targetRef"]["name"]
            assert name not in found
            found[name] = endpoint
    return found


def test_a_slice_says_what_kubernetes_says() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True, node="n0"))
    cluster.add({**node("n0"), "metadata": {"name": "n0", "labels": {"topology.kubernetes.io/zone": "z"}}})
    cluster.edit(SERVICE, "web", lambda obj: obj["metadata"].update(labels={"team": "a"}))
    act(cluster)
    (slice_,) = cluster.all(ENDPOINT_SLICE)
    assert name_of(slice_).startswith("web-")
    assert labels_of(slice_) == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert annotations_of(slice_) == {
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z",
        "loopkube.io/trigger-time": "1767225600.000000",
    }
    assert meta(slice_)["ownerReferences"][0]["kind"] == "Service"
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert slice_["endpoints"] == [
        {
            "addresses": ["127.244.0.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-of-a"},
            "nodeName": "n0",
            "zone": "z",
        }
    ]
    assert act(cluster) == Outcome()


@pytest.mark.parametrize(
    ("ready", "deleting", "publishes", "conditions"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (False, True, True, (True, False, True)),
    ],
)
def test_conditions(ready: bool, deleting: bool, publishes: bool, conditions: tuple[bool, bool, bool]) -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=ready, deleting=deleting), publishNotReadyAddresses=publishes)
    act(cluster)
    said = endpoints(cluster)["a"]["conditions"]
    assert (said["ready"], said["serving"], said["terminating"]) == conditions


def test_pods_without_address_or_finished_or_unmatched_are_left_out() -> None:
    cluster = with_pods(
        pod("new"),
        pod("done", ip="127.244.0.1", phase="Succeeded", ready=True),
        pod("failed", ip="127.244.0.2", phase="Failed"),
        pod("other", ip="127.244.0.3", labels={"app": "x"}),
    )
    act(cluster)
    (slice_,) = cluster.all(ENDPOINT_SLICE)
    assert (slice_["endpoints"], slice_["ports"]) == ([], []), "one empty slice says that there are none"


def test_a_named_port_is_what_each_pod_calls_so() -> None:
    odd = pod("odd", ip="127.244.0.2", ready=True)
    odd["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 9090}]
    none = pod("none", ip="127.244.0.3", ready=True)
    none["spec"]["containers"][0]["ports"] = []
    sidecar = pod("sidecar", ip="127.244.0.4", ready=True)
    sidecar["spec"]["initContainers"] = [{**odd["spec"]["containers"][0], "restartPolicy": "Always"}]
    sidecar["spec"]["containers"][0]["ports"] = []
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True), odd, none, sidecar)
    act(cluster)
    groups = {
        tuple(port["port"] for port in slice_["ports"]): sorted(e["targetRef"]["name"] for e in slice_["endpoints"])
        for slice_ in cluster.all(ENDPOINT_SLICE)
    }
    assert groups == {(8080,): ["a"], (9090,): ["odd", "sidecar"], (): ["none"]}


def test_a_changed_port_changes_the_slice_in_place() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True))
    act(cluster)
    port = {"name": "http", "port": 80, "targetPort": 9000, "protocol": "TCP", "appProtocol": "http"}
    cluster.edit(SERVICE, "web", lambda obj: obj["spec"].update(ports=[port]))
    outcome = act(cluster)
    assert [type(action) for action in outcome.actions] == [Update]
    (slice_,) = cluster.all(ENDPOINT_SLICE)
    assert slice_["ports"] == [{"name": "http", "protocol": "TCP", "port": 9000, "appProtocol": "http"}]


def test_hostnames_below_a_headless_service() -> None:
    named = pod("a", ip="127.244.0.1", ready=True, hostname="zero", subdomain="web")
    other = pod("b", ip="127.244.0.2", ready=True, hostname="one", subdomain="elsewhere")
    cluster = with_pods(named, other, clusterIP="None", ports=[])
    act(cluster)
    assert endpoints(cluster)["a"]["hostname"] == "zero"
    assert "hostname" not in endpoints(cluster)["b"]
    assert labels_of(cluster.all(ENDPOINT_SLICE)[0])["service.kubernetes.io/headless"] == ""


@pytest.mark.parametrize("spec", [{"selector": None}, {"selector": {}}, {"type": "ExternalName"}])
def test_services_without_a_selector_are_left_alone(spec: dict[str, Any]) -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True), **spec)
    assert act(cluster) == Outcome()


def test_slices_of_others_stay_and_those_of_an_earlier_service_go() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True))
    act(cluster)
    (ours,) = cluster.all(ENDPOINT_SLICE)
    foreign = copy_of(ours)
    foreign["metadata"] = {"name": "manual", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}
    cluster.add(foreign)
    cluster.delete(SERVICE, cluster.get(SERVICE, "web"))
    cluster.add(service())
    outcome = act(cluster)
    assert [type(action) for action in outcome.actions] == [Create, Delete]
    names = [name_of(each) for each in cluster.all(ENDPOINT_SLICE)]
    assert len(names) == 2
    assert "manual" in names
    assert name_of(ours) not in names


def test_one_flip_among_many_costs_one_slice() -> None:
    pods = [pod(f"p{i:03}", ip=f"127.244.{i // 200}.{i % 200 + 1}", ready=True) for i in range(250)]
    cluster = with_pods(*pods)
    act(cluster)
    assert [len(each["endpoints"]) for each in cluster.all(ENDPOINT_SLICE)].count(ENDPOINTS_MAX) == 2
    cluster.edit(POD, "p120", lambda obj: obj["status"].update(conditions=[{"type": "Ready", "status": "False"}]))
    (update,) = act(cluster).actions
    assert isinstance(update, Update)
    assert endpoints(cluster)["p120"]["conditions"]["ready"] is False
    assert act(cluster) == Outcome()


ready_pods = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=30, unique_by=lambda item: item[0])


@settings(max_examples=30, deadline=None)
@given(st.lists(ready_pods, min_size=1, max_size=4))
def test_after_any_changes_the_slices_hold_what_a_recount_says(generations: list[list[tuple[int, bool]]]) -> None:
    """With slices of at most five, so that they fill and run empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("control.controllers.slicing.ENDPOINTS_MAX", 5)
        cluster = with_pods()
        for generation in generations:
            for each in cluster.all(POD):
                cluster.delete(POD, each, grace_s=0)
            for number, ready in generation:
                cluster.add(pod(f"p{number}", ip=f"127.244.0.{number + 1}", ready=ready))
            writes = act(cluster).actions
            slices = cluster.all(ENDPOINT_SLICE)
            assert {name: e["conditions"]["ready"] for name, e in endpoints(cluster).items()} == {
                f"p{number}": ready for number, ready in generation
            }
            assert all(len(each["endpoints"]) <= 5 for each in slices)
            assert all(each["endpoints"] for each in slices) or len(slices) == 1
            assert len(writes) == len({str(write) for write in writes})
            assert act(cluster) == Outcome()


def test_a_repeat_on_the_same_world_makes_the_same_slice() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True))
    outcome = EndpointSliceController().reconcile(cluster.world, KEY, cluster.now)
    cluster.perform(outcome.actions)
    cluster.perform(outcome.actions)
    assert len(cluster.all(ENDPOINT_SLICE)) == 1


def test_pods_wake_the_services_that_select_them() -> None:
    cluster = with_pods()
    cluster.add(service("other", selector={"app": "x"}))
    watches = EndpointSliceController().watches
    assert list(watches[POD](cluster.world, pod("a"))) == [KEY]
    assert list(watches[NODE](cluster.world, node("n0"))) == []
    foreign = {"metadata": {"name": "s", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}}
    assert list(watches[ENDPOINT_SLICE](cluster.world, foreign)) == []


@pytest.mark.parametrize(
    ("distribution", "hints"),
    [
        ("PreferClose", {"forZones": [{"name": "z"}]}),
        ("PreferSameZone", {"forZones": [{"name": "z"}]}),
        ("PreferSameNode", {"forZones": [{"name": "z"}], "forNodes": [{"name": "n0"}]}),
        (None, None),
    ],
)
def test_traffic_distribution_is_said_by_hints_of_ready_endpoints(
    distribution: str | None, hints: Object | None
) -> None:
    spec = {"trafficDistribution": distribution} if distribution else {}
    cluster = with_pods(
        pod("a", ip="127.244.0.1", ready=True, node="n0"), pod("b", ip="127.244.0.2", ready=False, node="n0"), **spec
    )
    cluster.add({**node("n0"), "metadata": {"name": "n0", "labels": {"topology.kubernetes.io/zone": "z"}}})
    act(cluster)
    found = endpoints(cluster)
    assert found["a"].get("hints") == hints
    assert "hints" not in found["b"]
    cluster.edit(SERVICE, "web", lambda obj: obj["spec"].pop("trafficDistribution", None))
    act(cluster)
    assert "hints" not in endpoints(cluster)["a"], "a field that is taken away takes its hints with it"
