"""Safety on a stale world, sharper: single controllers, exact bounds, and a world that is old most of the time."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import DEPLOYMENT, POD, REPLICA_SET, REPLICATION_CONTROLLER
from control.api.objects import Object, name_of, spec_of, status_of
from control.controllers.controller import Controller
from control.controllers.deployment.controller import DeploymentController
from control.controllers.deployment.rollout import Bounds
from control.controllers.replicaset import ReplicaSetController, replication_controller
from tests.fakes.objects import deployment, namespace, replica_set, template
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import Cluster, service_account_exists

LAW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def on_a_node(version: str = "v1") -> Object:
    """A pod template that needs no scheduler."""
    body = template(version)
    body["spec"]["nodeName"] = "n0"
    return body


def counted(cluster: Cluster) -> list[Object]:
    return [obj for obj in cluster.all(POD) if is_counted(obj)]


def respecified(obj: Object, **change: Any) -> None:
    obj["spec"].update(change)


@LAW
@given(st.integers(1, 4), st.integers(0, 2**32))
def test_a_replica_set_never_has_a_pod_too_many(replicas: int, seed: int) -> None:
    """Whatever pods die in between, and although four of five decisions are made on an old world."""
    rng = Random(seed)
    cluster = Cluster()
    cluster.add(replica_set(replicas=replicas, template=on_a_node()))
    simulation = Simulation(cluster, [ReplicaSetController()], rng.choice)

    def bounded() -> None:
        assert len(counted(cluster)) <= replicas

    simulation.on_step = bounded
    simulation.staleness = lambda: rng.choice((0, *(rng.randint(1, 60) for _ in range(4))))
    names = set()
    for _ in range(12):
        simulation.run(rng.randint(0, 12))
        names |= {name_of(obj) for obj in cluster.all(POD)}
        if cluster.all(POD):
            cluster.delete(POD, rng.choice(cluster.all(POD)), grace_s=rng.choice((0, 30)))
    simulation.staleness = lambda: 0
    simulation.settle()
    assert len(counted(cluster)) == replicas
    assert simulation.writes_at_rest() == []


@LAW
@given(st.integers(0, 2**32))
def test_a_replica_set_never_has_a_pod_too_few(seed: int) -> None:
    """Scaling down on old worlds: what is deleted twice is not two pods."""
    rng = Random(seed)
    cluster = Cluster()
    cluster.add(replica_set(replicas=6, template=on_a_node()))
    simulation = Simulation(cluster, [ReplicaSetController()], rng.choice)
    simulation.settle()
    least = 6

    def enough() -> None:
        assert len(counted(cluster)) >= least

    simulation.on_step = enough
    simulation.staleness = lambda: rng.choice((0, *(rng.randint(1, 60) for _ in range(4))))
    for replicas in (5, 3, 4, 2):
        least = min(least, replicas)
        cluster.edit(REPLICA_SET, "web", partial(respecified, replicas=replicas))
        simulation.run(rng.randint(0, 25))
    simulation.staleness = lambda: 0
    simulation.settle()
    assert len(counted(cluster)) == 2


@LAW
@given(st.integers(2, 6), st.integers(0, 2**32))
def test_a_deployment_keeps_its_bounds_though_its_world_is_old(replicas: int, seed: int) -> None:
    """Templates go back and forth, so that the same sets grow and shrink: an old decision would fit one of them."""
    rng = Random(seed)
    cluster = Cluster()
    cluster.add(deployment(replicas=replicas, template=on_a_node()))
    controllers: list[Controller] = [DeploymentController(), ReplicaSetController()]
    simulation = Simulation(cluster, controllers, rng.choice)
    simulation.settle()
    bounds = Bounds.of(cluster.get(DEPLOYMENT, "web"))

    def kept() -> None:
        pods = counted(cluster)
        assert len(pods) <= bounds.maximum
        assert sum(spec_of(rs)["replicas"] for rs in cluster.all(REPLICA_SET)) <= bounds.maximum
        assert len([obj for obj in pods if status_of(obj).get("conditions")]) >= bounds.minimum

    simulation.on_step = kept
    simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, 30), rng.randint(1, 150)))
    for _ in range(8):
        version = rng.choice(("v1", "v2"))
        cluster.edit(DEPLOYMENT, "web", partial(respecified, template=on_a_node(version)))
        simulation.run(rng.randint(0, 60))
    simulation.staleness = lambda: 0
    simulation.settle()
    assert status_of(cluster.get(DEPLOYMENT, "web"))["availableReplicas"] == replicas


@pytest.mark.parametrize("controller", [ReplicaSetController(), replication_controller()], ids=lambda each: each.name)
def test_a_refused_pod_is_told_once_and_made_later(controller: ReplicaSetController) -> None:
    """The service account comes after the set: no hot loop in between, and no trace afterwards."""
    cluster = Cluster()
    cluster.add(namespace())
    cluster.refuses = service_account_exists(cluster)
    owner = replica_set(replicas=2, template=on_a_node())
    if controller.kind == REPLICATION_CONTROLLER:
        owner = {**owner, "apiVersion": "v1", "kind": "ReplicationController"}
        owner["spec"] = {**owner["spec"], "selector": {"app": "web"}}
    cluster.add(owner)
    simulation = Simulation(cluster, [controller])
    simulation.run(12)
    failing = status_of(cluster.get(controller.kind, "web"))
    assert [(c["type"], c["reason"]) for c in failing["conditions"]] == [("ReplicaFailure", "FailedCreate")]
    assert failing["replicas"] == 0
    version = cluster.revision
    simulation.run(12)
    assert cluster.revision == version, "retries write nothing new"
    cluster.add({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
    simulation.settle()
    assert len(counted(cluster)) == 2
    assert "conditions" not in status_of(cluster.get(controller.kind, "web"))
    assert any(event.startswith("Warning FailedCreate web: Error creating: pods") for event in cluster.events)
