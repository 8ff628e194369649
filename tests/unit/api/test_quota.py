"""What counts against which name, and which quotas an object meets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.api import kinds, quota
from control.api.kinds import POD, SERVICE, Kind
from control.api.objects import Object, format_time

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(resources: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", **({"resources": resources} if resources else {})}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}, "status": {}}


def used(kind: Kind, obj: Object, now: datetime = NOW) -> dict[str, str]:
    return {name: str(amount) for name, amount in quota.usage(kind, obj, now).items()}


def test_a_pod_uses_what_it_requests_and_is_limited_to() -> None:
    resources = {
        "requests": {"cpu": "100m", "memory": "1Gi", "example.com/gpu": "1", "hugepages-2Mi": "4Mi"},
        "limits": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "1G", "example.com/gpu": "1"},
    }
    assert used(POD, pod(resources)) == {
        "count/pods": "1", "pods": "1", "cpu": "100m", "requests.cpu": "100m", "memory": "1Gi",
        "requests.memory": "1Gi", "requests.example.com/gpu": "1", "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi", "limits.cpu": "1", "limits.memory": "2Gi", "limits.ephemeral-storage": "1G",
    }  # fmt: skip


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_only_an_object(phase: str) -> None:
    assert used(POD, {**pod(), "status": {"phase": phase}}) == {"count/pods": "1"}


def test_a_pod_that_hangs_in_its_deletion_stops_to_count() -> None:
    obj = pod()
    obj["metadata"] |= {"deletionTimestamp": format_time(NOW), "deletionGracePeriodSeconds": 30}
    assert "pods" in used(POD, obj, NOW + timedelta(seconds=29))
    assert used(POD, obj, NOW + timedelta(seconds=30)) == {"count/pods": "1"}


@pytest.mark.parametrize(
    ("spec", "node_ports", "load_balancers"),
    [
        ({"ports": [{"port": 1}]}, "0", "0"),
        ({"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}, "2", "0"),
        ({"type": "LoadBalancer", "ports": [{"port": 1}]}, "1", "1"),
        (
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 1, "nodePort": 30000}]}
            , "1", "1",
        ),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 1}]}, "0", "1"),
    ],
)  # fmt: skip
def test_services_use_ports_and_load_balancers(spec: Object, node_ports: str, load_balancers: str) -> None:
    assert used(SERVICE, {"metadata": {"name": "s"}, "spec": spec}) == {
        "count/services": "1",
        "services": "1",
        "services.nodeports": node_ports,
        "services.loadbalancers": load_balancers,
    }


def test_a_claim_uses_storage_of_its_class() -> None:
    claims = kinds.PERSISTENT_VOLUME_CLAIM
    spec = {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}
    assert used(claims, {"metadata": {"name": "c"}, "spec": spec}) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "1Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
    }
    grown = {"metadata": {"name": "c"}, "spec": spec, "status": {"allocatedResources": {"storage": "2Gi"}}}
    assert used(claims, grown)["requests.storage"] == "2Gi"


def test_everything_else_is_counted() -> None:
    assert used(kinds.SECRET, {"metadata": {"name": "s"}}) == {"count/secrets": "1", "secrets": "1"}
    assert used(kinds.DEPLOYMENT, {"metadata": {"name": "d"}}) == {"count/deployments.apps": "1"}
    assert "events" not in quota.COUNTED


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("pods", "pods"), ("requests.cpu", "pods"), ("requests.example.com/gpu", "pods"), ("hugepages-2Mi", "pods"),
        ("services.nodeports", "services"), ("secrets", "secrets"), ("count/jobs.batch", "jobs.batch"),
        ("count/widgets.example.com", ""), ("example.com/gpu", ""), ("count/events", ""),
    ],
)  # fmt: skip
def test_a_name_belongs_to_one_resource(name: str, resource: str) -> None:
    assert quota.resource_of(name) == resource


ELSEWHERE = {
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"namespaceSelector": {}, "topologyKey": "zone"}}
        ]
    }
}


@pytest.mark.parametrize(
    ("scope", "obj", "meets"),
    [
        ("BestEffort", pod(), True),
        ("BestEffort", pod({"requests": {"cpu": "1"}}), False),
        ("NotBestEffort", pod({"limits": {"memory": "1"}}), True),
        ("Terminating", pod(activeDeadlineSeconds=5), True),
        ("Terminating", pod(), False),
        ("NotTerminating", pod(), True),
        ("PriorityClass", pod(priorityClassName="high"), True),
        ("PriorityClass", pod(), False),
        ("CrossNamespacePodAffinity", pod(affinity=ELSEWHERE), True),
        ("CrossNamespacePodAffinity", pod(), False),
        ("VolumeAttributesClass", pod(), False),
    ],
)
def test_scopes_choose_pods(scope: str, obj: Object, meets: bool) -> None:
    assert quota.meets({"spec": {"hard": {"pods": "1"}, "scopes": [scope]}}, POD, obj) is meets


@pytest.mark.parametrize(
    ("operator", "values", "high", "none"),
    [("In", ["high"], True, False), ("In", ["low"], False, False), ("NotIn", ["low"], True, True),
     ("NotIn", ["high"], False, True), ("Exists", [], True, False), ("DoesNotExist", [], False, True)],
)  # fmt: skip
def test_priority_classes_are_chosen_by_expression(operator: str, values: list[str], high: bool, none: bool) -> None:
    requirement = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    row = {"spec": {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [requirement]}}}
    assert quota.meets(row, POD, pod(priorityClassName="high")) is high
    assert quota.meets(row, POD, pod()) is none


def test_all_scopes_must_hold_and_only_pods_have_any() -> None:
    row = {"spec": {"hard": {"pods": "1", "services": "1"}, "scopes": ["BestEffort", "Terminating"]}}
    assert quota.meets(row, POD, pod(activeDeadlineSeconds=1))
    assert not quota.meets(row, POD, pod())
    assert not quota.meets(row, SERVICE, {"spec": {}})
    assert not quota.meets({"spec": {"hard": {"pods": "1"}}}, SERVICE, {"spec": {}})
