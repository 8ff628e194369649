"""The older view of a Service's pods, and slices of what a person wrote."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from control.api.objects import Key, Object, annotations_of, labels_of, meta, name_of
from control.controllers.action import Outcome
from control.controllers.endpoints import EndpointsController
from control.controllers.endpointslicemirroring import EndpointSliceMirroringController
from tests.fakes.objects import pod, service
from tests.fakes.tiny_api import Cluster, Stopped

KEY = Key("default", "web")


def act(cluster: Cluster, controller: Any = None) -> Outcome:
    outcome: Outcome = (controller or EndpointsController()).reconcile(cluster.world, KEY, cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def with_pods(*pods: Object, **spec: Any) -> Cluster:
    cluster = Cluster()
    cluster.add(service(**spec))
    for each in pods:
        cluster.add(each)
    return cluster


def addresses(cluster: Cluster, field: str = "addresses") -> list[str]:
    return [each["ip"] for subset in cluster.get(ENDPOINTS, "web")["subsets"] for each in subset.get(field, ())]


def test_ready_and_not_ready_addresses() -> None:
    cluster = with_pods(
        pod("a", ip="127.244.0.2", ready=True, node="n0"),
        pod("b", ip="127.244.0.1"),
        pod("c", ip="127.244.0.3", ready=True, deleting=True),
        pod("d"),
    )
    act(cluster)
    assert cluster.get(ENDPOINTS, "web")["subsets"] == [
        {
            "addresses": [
                {
                    "ip": "127.244.0.2",
                    "nodeName": "n0",
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-of-a"},
                }
            ],
            "notReadyAddresses": [
                {
                    "ip": "127.244.0.1",
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": "b", "uid": "uid-of-b"},
                }
            ],
            "ports": [{"port": 8080, "protocol": "TCP", "name": "http"}],
        }
    ]
    assert labels_of(cluster.get(ENDPOINTS, "web")) == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert act(cluster) == Outcome()


def test_publishing_not_ready_addresses_includes_terminating_ones() -> None:
    cluster = with_pods(
        pod("a", ip="127.244.0.1"), pod("b", ip="127.244.0.2", deleting=True), publishNotReadyAddresses=True
    )
    act(cluster)
    assert addresses(cluster) == ["127.244.0.1", "127.244.0.2"]


def test_more_than_a_thousand_are_cut_and_said() -> None:
    pods = [pod(f"p{i:04}", ip=f"127.244.{i // 250}.{i % 250 + 1}", ready=i != 0) for i in range(1001)]
    cluster = with_pods(*pods)
    act(cluster)
    assert len(addresses(cluster)) == 1000
    assert "127.244.0.1" not in addresses(cluster, "notReadyAddresses")
    assert annotations_of(cluster.get(ENDPOINTS, "web"))["endpoints.kubernetes.io/over-capacity"] == "truncated"
    cluster.delete(POD, cluster.get(POD, "p0500"), grace_s=0)
    act(cluster)
    assert "endpoints.kubernetes.io/over-capacity" not in annotations_of(cluster.get(ENDPOINTS, "web"))


def test_endpoints_of_a_service_without_a_selector_are_their_authors() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True), selector=None)
    cluster.add(manual())
    assert act(cluster) == Outcome()


def test_a_deleted_service_takes_its_endpoints_along_but_not_a_persons() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True))
    act(cluster)
    cluster.delete(SERVICE, cluster.get(SERVICE, "web"))
    act(cluster)
    assert cluster.all(ENDPOINTS) == []
    cluster.add(manual())
    assert act(cluster) == Outcome()


def test_a_service_that_is_merely_unseen_keeps_its_endpoints() -> None:
    cluster = with_pods(pod("a", ip="127.244.0.1", ready=True))
    act(cluster)
    blind = cluster.past_world(0)
    blind.remove(SERVICE, KEY)  # type: ignore[attr-defined]
    outcome = EndpointsController().reconcile(blind, KEY, cluster.now)
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert cluster.all(ENDPOINTS)


def manual(**labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "default", "labels": labels, "annotations": {"note": "x"}},
        "subsets": [
            {
                "addresses": [{"ip": "127.0.0.9", "hostname": "h"}, {"ip": "::1"}],
                "notReadyAddresses": [{"ip": "127.0.0.10"}],
                "ports": [{"name": "http", "port": 8000}],
            }
        ],
    }


def mirror(cluster: Cluster) -> Outcome:
    return act(cluster, EndpointSliceMirroringController())


def test_a_persons_endpoints_are_mirrored_for_the_data_plane() -> None:
    cluster = with_pods(selector=None)
    cluster.add(manual(team="a"))
    mirror(cluster)
    (slice_,) = cluster.all(ENDPOINT_SLICE)
    assert slice_["endpoints"] == [
        {"addresses": ["127.0.0.9"], "conditions": {"ready": True}, "hostname": "h"},
        {"addresses": ["127.0.0.10"], "conditions": {"ready": False}},
    ]
    assert slice_["ports"] == [{"name": "http", "protocol": "TCP", "port": 8000}]
    assert labels_of(slice_)["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert labels_of(slice_)["team"] == "a"
    assert annotations_of(slice_)["note"] == "x"
    assert meta(slice_)["ownerReferences"][0]["kind"] == "Endpoints"
    assert mirror(cluster) == Outcome()


def test_a_service_that_gets_a_selector_loses_its_mirrored_slices() -> None:
    cluster = with_pods(selector=None)
    cluster.add(manual())
    mirror(cluster)
    cluster.edit(SERVICE, "web", lambda obj: obj["spec"].update(selector={"app": "web"}))
    mirror(cluster)
    assert cluster.all(ENDPOINT_SLICE) == []


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_some_endpoints_are_not_mirrored(change: Object) -> None:
    cluster = with_pods(selector=None)
    obj = manual()
    obj["metadata"].update(change)
    cluster.add(obj)
    assert mirror(cluster) == Outcome()


def test_endpoints_without_a_service_are_not_mirrored() -> None:
    cluster = Cluster()
    cluster.add(manual())
    assert mirror(cluster) == Outcome()
    assert [name_of(each) for each in cluster.all(ENDPOINTS)] == ["web"]
