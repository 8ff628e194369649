"""Deployments: revisions, conditions, history, collisions. How a rollout moves is told in tests/golden."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    condition_of,
    controller_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
)
from control.controllers.action import Outcome, Update
from control.controllers.deployment.controller import DeploymentController
from control.controllers.deployment.replicasets import DESIRED, HISTORY, MAXIMUM, REVISION
from control.controllers.replicaset import ReplicaSetController
from tests.fakes.objects import deployment, pod, replica_set, template
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import START, Cluster, Rejected, Stopped

KEY = Key("default", "web")


def played(obj: Object) -> Simulation:
    """A Deployment that has come to rest; its pods need no scheduler."""
    obj["spec"]["template"]["spec"]["nodeName"] = "n0"
    cluster = Cluster()
    cluster.add(obj)
    simulation = Simulation(cluster, [DeploymentController(), ReplicaSetController()])
    simulation.settle()
    return simulation


def roll(simulation: Simulation, version: str, **spec: Any) -> None:
    body = template(version)
    body["spec"]["nodeName"] = "n0"
    simulation.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["spec"].update(template=body, **spec))


def decide(cluster: Cluster) -> Outcome:
    return DeploymentController().reconcile(cluster.world, KEY, cluster.now)


def the(simulation: Simulation) -> Object:
    return simulation.cluster.get(DEPLOYMENT, "web")


def progressing(simulation: Simulation) -> Object:
    return condition_of(the(simulation), "Progressing") or {}


def test_the_new_set_carries_hash_owner_and_notes() -> None:
    obj = deployment(minReadySeconds=1)
    obj["metadata"]["annotations"] = {"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    simulation = played(obj)
    (rs,) = simulation.cluster.all(REPLICA_SET)
    hash_ = labels_of(rs)["pod-template-hash"]
    assert name_of(rs) == f"web-{hash_}"
    assert labels_of(rs) == {"app": "web", "pod-template-hash": hash_}
    assert spec_of(rs)["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": hash_}}
    assert labels_of(spec_of(rs)["template"]) == {"app": "web", "pod-template-hash": hash_}
    assert spec_of(rs)["minReadySeconds"] == 1
    assert annotations_of(rs) == {"team": "a", REVISION: "1", DESIRED: "3", MAXIMUM: "4"}
    assert (controller_of(rs) or {})["name"] == "web"
    assert annotations_of(the(simulation))[REVISION] == "1"


def test_going_back_gives_the_old_set_a_new_revision_and_a_history() -> None:
    simulation = played(deployment())
    for version in ("v2", "v1", "v2", "v1"):
        roll(simulation, version)
        simulation.settle()
    sets = simulation.cluster.all(REPLICA_SET)
    notes = sorted((annotations_of(rs)[REVISION], annotations_of(rs).get(HISTORY, "")) for rs in sets)
    assert notes == [("4", "2"), ("5", "1,3")]
    assert annotations_of(the(simulation))[REVISION] == "5"


def test_changed_annotations_and_min_ready_seconds_reach_the_new_set() -> None:
    simulation = played(deployment())
    simulation.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["metadata"]["annotations"].update(note="x"))
    simulation.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["spec"].update(minReadySeconds=7))
    simulation.settle()
    (rs,) = simulation.cluster.all(REPLICA_SET)
    assert annotations_of(rs)["note"] == "x"
    assert HISTORY not in annotations_of(rs)
    assert spec_of(rs)["minReadySeconds"] == 7


@pytest.mark.parametrize(("limit", "kept"), [(0, "5"), (2, "345"), (10, "12345")])
def test_history_is_limited(limit: int, kept: str) -> None:
    simulation = played(deployment(revisionHistoryLimit=limit))
    for version in ("v2", "v3", "v4", "v5"):
        roll(simulation, version)
        simulation.settle()
    images = [spec_of(rs)["template"]["spec"]["containers"][0]["image"] for rs in simulation.cluster.all(REPLICA_SET)]
    assert sorted(images) == [f"loopkube/echo:v{version}" for version in kept]


def test_a_taken_name_makes_another_hash() -> None:
    first = played(deployment())
    (rs,) = first.cluster.all(REPLICA_SET)
    cluster = Cluster()
    cluster.add(replica_set(name_of(rs), 0, selector={"matchLabels": {"x": "y"}}))
    obj = deployment()
    obj["spec"]["template"]["spec"]["nodeName"] = "n0"
    cluster.add(obj)
    Simulation(cluster, [DeploymentController(), ReplicaSetController()]).settle()
    status = status_of(cluster.get(DEPLOYMENT, "web"))
    assert (status["collisionCount"], status["availableReplicas"]) == (1, 3)


def test_no_progress_is_reported_at_the_deadline_and_made_good_later() -> None:
    simulation = played(deployment(replicas=2, progressDeadlineSeconds=60))
    simulation.healthy = lambda pod: "bad" not in spec_of(pod)["containers"][0]["image"]
    roll(simulation, "bad")
    simulation.settle()
    said = progressing(simulation)
    assert (said["status"], said["reason"]) == ("False", "ProgressDeadlineExceeded")
    (rs,) = [each for each in simulation.cluster.all(REPLICA_SET) if annotations_of(each)[REVISION] == "2"]
    assert said["message"] == f'ReplicaSet "{name_of(rs)}" has timed out progressing.'
    assert simulation.cluster.now == START + timedelta(seconds=61)
    simulation.healthy = lambda pod: True
    simulation.settle()
    assert progressing(simulation)["reason"] == "NewReplicaSetAvailable"


@pytest.mark.parametrize("deadline", [None, 2**31 - 1])
def test_without_a_deadline_there_is_no_progress_condition(deadline: int | None) -> None:
    simulation = played(deployment(progressDeadlineSeconds=deadline))
    assert progressing(simulation) == {}
    assert condition_of(the(simulation), "Available") is not None


def test_available_follows_the_minimum() -> None:
    simulation = played(deployment(replicas=4))
    assert (condition_of(the(simulation), "Available") or {})["reason"] == "MinimumReplicasAvailable"
    simulation.kubelet = False
    for each in simulation.cluster.all(POD)[:2]:
        simulation.cluster.delete(POD, each, grace_s=0)
    simulation.run(8)
    said = condition_of(the(simulation), "Available") or {}
    assert (said["status"], said["reason"]) == ("False", "MinimumReplicasUnavailable")
    assert said["message"] == "Deployment does not have minimum availability."
    assert status_of(the(simulation))["unavailableReplicas"] == 2


def test_a_paused_deployment_makes_no_set_and_says_so() -> None:
    simulation = played(deployment(paused=True))
    assert simulation.cluster.all(REPLICA_SET) == []
    assert progressing(simulation)["reason"] == "DeploymentPaused"
    simulation.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["spec"].update(paused=False))
    simulation.step()
    assert progressing(simulation)["reason"] in ("DeploymentResumed", "NewReplicaSetCreated")
    simulation.settle()
    assert status_of(the(simulation))["availableReplicas"] == 3


def test_the_failure_of_a_set_is_the_deployments() -> None:
    simulation = played(deployment(replicas=1))
    simulation.cluster.refuses = lambda kind, obj: "quota" if kind == POD else ""
    simulation.cluster.edit(DEPLOYMENT, "web", lambda obj: obj["spec"].update(replicas=2))
    simulation.run(20)
    failure = condition_of(the(simulation), "ReplicaFailure") or {}
    assert (failure["reason"], failure["message"]) == ("FailedCreate", "quota")
    simulation.cluster.refuses = lambda kind, obj: ""
    simulation.settle()
    assert condition_of(the(simulation), "ReplicaFailure") is None


def test_a_refused_set_is_told() -> None:
    cluster = Cluster()
    cluster.add(deployment())
    cluster.refuses = lambda kind, obj: "no more sets"
    for _ in range(3):
        with pytest.raises(Rejected):
            cluster.perform(decide(cluster).actions)
    said = condition_of(cluster.get(DEPLOYMENT, "web"), "Progressing") or {}
    assert (said["status"], said["reason"]) == ("False", "ReplicaSetCreateError")
    assert said["message"].endswith(": no more sets")


def test_a_decision_on_an_older_spec_scales_nothing() -> None:
    """Nothing of it happens, though the sets themselves have not changed."""
    simulation = played(deployment())
    roll(simulation, "v2")
    outcome = decide(simulation.cluster)
    assert len(outcome.actions) > 1
    roll(simulation, "v3")
    before = simulation.cluster.objects
    with pytest.raises(Stopped):
        simulation.cluster.perform(outcome.actions)
    assert simulation.cluster.objects == before


def test_recreate_waits_for_the_last_old_pod() -> None:
    simulation = played(deployment(replicas=1, strategy={"type": "Recreate"}))
    roll(simulation, "v2")
    simulation.kubelet = False
    simulation.settle()
    assert len(simulation.cluster.all(REPLICA_SET)) == 1, "the old pod is still terminating"
    simulation.kubelet = True
    simulation.settle()
    (made,) = simulation.cluster.all(POD)
    assert spec_of(made)["containers"][0]["image"] == "loopkube/echo:v2"


def test_sets_are_adopted_by_selector_and_template() -> None:
    cluster = Cluster()
    found = replica_set("handmade", 3, template=template("v1"))
    found["metadata"]["labels"] = {"app": "web"}
    cluster.add(found)
    cluster.add(pod("stranger"))
    cluster.add(deployment())
    Simulation(cluster, [DeploymentController()]).run(4)
    (rs,) = cluster.all(REPLICA_SET)
    assert name_of(rs) == name_of(found)
    assert (controller_of(rs) or {})["name"] == "web"
    assert (condition_of(cluster.get(DEPLOYMENT, "web"), "Progressing") or {})["reason"] == "FoundNewReplicaSet"


def test_an_empty_selector_selects_nothing_and_says_so_once() -> None:
    cluster = Cluster()
    cluster.add(deployment(selector={}))
    cluster.perform(decide(cluster).actions)
    assert cluster.events[0].startswith("Warning SelectingAll web")
    assert decide(cluster) == Outcome()


def test_a_deployment_that_is_being_deleted_scales_nothing() -> None:
    simulation = played(deployment())
    roll(simulation, "v2")
    simulation.cluster.edit(
        DEPLOYMENT, "web", lambda obj: obj["metadata"].update(deletionTimestamp="now", finalizers=["x"])
    )
    actions = decide(simulation.cluster).actions
    assert [(type(action), getattr(action, "subresource", "")) for action in actions] == [(Update, "status")]


def test_a_pod_wakes_only_a_recreate_deployment() -> None:
    for strategy, woken in (({"type": "Recreate"}, [KEY]), ({"type": "RollingUpdate"}, [])):
        simulation = played(deployment(replicas=1, strategy=strategy))
        (made,) = simulation.cluster.all(POD)
        assert list(DeploymentController().watches[POD](simulation.cluster.world, made)) == woken


def test_the_counts_are_those_of_the_sets() -> None:
    """In the middle of a rollout whose new pods never become ready, and with a pod on its way out."""
    simulation = played(deployment(replicas=4))
    simulation.healthy = lambda pod: "v2" not in spec_of(pod)["containers"][0]["image"]
    roll(simulation, "v2")
    simulation.settle()
    cluster = simulation.cluster
    sets = {annotations_of(rs)[REVISION]: rs for rs in cluster.all(REPLICA_SET)}
    sizes = {revision: spec_of(rs)["replicas"] for revision, rs in sets.items()}
    assert sizes == {"1": 3, "2": 2}
    assert {name: count for name, count in status_of(the(simulation)).items() if name != "conditions"} == {
        "observedGeneration": 2,
        "replicas": 5,
        "updatedReplicas": 2,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 2,
        "terminatingReplicas": 0,
    }
    cluster.edit(REPLICA_SET, name_of(sets["1"]), lambda rs: rs["status"].update(terminatingReplicas=1))
    cluster.perform(decide(cluster).actions)
    assert status_of(the(simulation))["terminatingReplicas"] == 1
