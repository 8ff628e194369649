"""Strategies: what a write may change at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api import kinds
from control.api.kinds import KINDS, Kind
from control.api.objects import Object, copy_of
from control.api.strategy import STRATEGIES
from tests.fakes.manifests import container, deployment, job, metadata, pod, pod_spec

WITH_GENERATION = [
    kinds.POD, kinds.REPLICATION_CONTROLLER, kinds.REPLICA_SET, kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET,
    kinds.JOB, kinds.CRON_JOB, kinds.INGRESS, kinds.INGRESS_CLASS, kinds.POD_DISRUPTION_BUDGET,
]  # fmt: skip
SERVER_STATUS = [*WITH_GENERATION[:9], kinds.POD_DISRUPTION_BUDGET, kinds.SERVICE, kinds.NAMESPACE]


def born(kind: Kind, obj: Object) -> Object:
    STRATEGIES[kind].prepare_create(obj)
    return obj


def updated(kind: Kind, new: Object, old: Object) -> Object:
    STRATEGIES[kind].prepare_update(new, old)
    return new


def test_every_kind_has_a_strategy() -> None:
    assert STRATEGIES.keys() == set(KINDS)


@pytest.mark.parametrize("kind", SERVER_STATUS, ids=str)
def test_clients_do_not_write_status(kind: Kind) -> None:
    obj = born(kind, {"metadata": metadata(), "spec": {}, "status": {"forged": True}})
    assert "forged" not in obj["status"]
    new = updated(kind, {"metadata": metadata(), "spec": {}, "status": {"forged": True}}, obj)
    assert new["status"] == obj["status"]


@pytest.mark.parametrize("kind", WITH_GENERATION, ids=str)
def test_generation_counts_changes_of_spec(kind: Kind) -> None:
    old = born(kind, {"metadata": metadata(), "spec": {"a": 1}})
    assert old["metadata"]["generation"] == 1
    same = updated(kind, {"metadata": metadata(generation=77), "spec": {"a": 1}}, old)
    assert same["metadata"]["generation"] == 1
    other = updated(kind, {"metadata": metadata(), "spec": {"a": 2}}, old)
    assert other["metadata"]["generation"] == 2


def test_generation_of_the_exceptions() -> None:
    old = born(kinds.DEPLOYMENT, deployment())
    annotated = copy_of(old)
    annotated["metadata"]["annotations"] = {"a": "b"}
    assert updated(kinds.DEPLOYMENT, annotated, old)["metadata"]["generation"] == 2
    slice_ = born(kinds.ENDPOINT_SLICE, {"metadata": metadata(), "endpoints": []})
    more = {"metadata": metadata(), "endpoints": [{"addresses": ["127.0.0.1"]}]}
    assert updated(kinds.ENDPOINT_SLICE, more, slice_)["metadata"]["generation"] == 2
    config = born(kinds.CONFIG_MAP, {"metadata": metadata(), "data": {}})
    assert (
        "generation" not in updated(kinds.CONFIG_MAP, {"metadata": metadata(), "data": {"a": "b"}}, config)["metadata"]
    )


def test_a_new_pod_is_pending_with_its_class() -> None:
    sure = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    assert born(kinds.POD, pod(pod_spec(containers=[sure])))["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}
    gated = born(kinds.POD, pod(pod_spec(schedulingGates=[{"name": "x"}])))
    (condition,) = gated["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


def test_nodes_are_created_with_their_status() -> None:
    node = born(kinds.NODE, {"metadata": metadata(namespace=""), "status": {"capacity": {"cpu": "1"}}})
    assert node["status"] == {"capacity": {"cpu": "1"}}


def test_namespaces_get_their_finalizer_and_keep_it() -> None:
    old = born(kinds.NAMESPACE, {"metadata": metadata(namespace="")})
    assert old["spec"] == {"finalizers": ["kubernetes"]}
    assert old["status"] == {"phase": "Active"}
    assert updated(kinds.NAMESPACE, {"metadata": metadata(namespace=""), "spec": {}}, old)["spec"] == old["spec"]


def test_a_job_owns_the_pods_that_carry_its_uid() -> None:
    made = born(kinds.JOB, job())
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert made["spec"]["template"]["metadata"]["labels"] == {
        "controller-uid": "u-1", "batch.kubernetes.io/controller-uid": "u-1",
        "job-name": "a", "batch.kubernetes.io/job-name": "a",
    }  # fmt: skip
    manual = born(kinds.JOB, job(manualSelector=True, selector={"matchLabels": {"x": "y"}}))
    assert manual["spec"]["selector"] == {"matchLabels": {"x": "y"}}
    assert "metadata" not in manual["spec"]["template"]


def test_a_status_write_changes_nothing_but_status_and_descriptions() -> None:
    old = {**pod(ownerReferences=[{"uid": "1"}], generation=2), "status": {"phase": "Pending"}}
    new: Object = {
        "metadata": metadata(labels={"a": "b"}, generation=9),
        "spec": {"x": 1},
        "status": {"phase": "Running"},
    }
    STRATEGIES[kinds.POD].prepare_status_update(new, old)
    assert new["spec"] == old["spec"]
    assert new["status"] == {"phase": "Running"}
    assert new["metadata"] == metadata(labels={"a": "b"}, generation=2, ownerReferences=[{"uid": "1"}])


def test_deployments_keep_their_labels_in_status_writes() -> None:
    old = deployment()
    new = {"metadata": metadata(labels={"a": "b"}), "spec": {}, "status": {"replicas": 1}}
    STRATEGIES[kinds.DEPLOYMENT].prepare_status_update(new, old)
    assert "labels" not in new["metadata"]


def test_who_is_created_by_put_and_who_needs_a_version() -> None:
    creators = {kind for kind, strategy in STRATEGIES.items() if strategy.allows_create_on_update}
    assert creators == {kinds.LEASE, kinds.EVENT, kinds.EVENTS_EVENT, kinds.ENDPOINTS, kinds.SERVICE}
    careful = {kind for kind, strategy in STRATEGIES.items() if not strategy.allows_unconditional_update}
    assert careful == {kinds.LEASE, kinds.POD_DISRUPTION_BUDGET}


SPECS = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(KINDS), SPECS, SPECS)
def test_preparing_twice_is_preparing_once(kind: Kind, before: Object, after: Object) -> None:
    old = born(kind, {"metadata": metadata(uid="u"), "spec": dict(before)})
    new = updated(kind, {"metadata": metadata(uid="u"), "spec": dict(after)}, old)
    assert updated(kind, copy_of(new), old) == new
    assert new["metadata"].get("generation", 0) - old["metadata"].get("generation", 0) in (0, 1)
