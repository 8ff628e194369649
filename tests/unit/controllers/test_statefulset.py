"""StatefulSets: identity, order, the revision book and the status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import CONTROLLER_REVISION, POD, STATEFUL_SET
from control.api.objects import Key, Object, labels_of, name_of, spec_of, status_of
from control.controllers.action import Create, Delete, Emit, Patch, Update
from control.controllers.revisions import data_of
from control.controllers.scheduler import Scheduler
from control.controllers.statefulset.controller import StatefulSetController
from tests.fakes.objects import namespace, node, template
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import stateful_set


class Stage:
    """A set on one node; pods become ready unless their image is broken."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = Cluster()
        self.cluster.add(namespace())
        self.cluster.add(node("n0"))
        self.cluster.add(stateful_set(**spec))
        self.simulation = Simulation(self.cluster, [StatefulSetController(), Scheduler()])
        self.simulation.healthy = lambda pod: "broken" not in spec_of(pod)["containers"][0]["image"]
        self.simulation.settle()

    def edit(self, **spec: Any) -> None:
        self.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(spec))
        self.simulation.settle()

    def reconcile(self) -> tuple[Any, ...]:
        return StatefulSetController().reconcile(self.cluster.world, Key("default", "web"), self.cluster.now).actions

    @property
    def status(self) -> Object:
        return dict(status_of(self.cluster.get(STATEFUL_SET, "web")))

    @property
    def pods(self) -> dict[str, str]:
        """Versions by pod."""
        pods = self.cluster.all(POD)
        return {name_of(pod): spec_of(pod)["containers"][0]["image"].partition(":")[2] for pod in pods}

    @property
    def revisions(self) -> dict[str, int]:
        """Numbers by version."""
        found = self.cluster.all(CONTROLLER_REVISION)
        image = "spec", "template", "spec", "containers"
        return {_at(one["data"], image)[0]["image"].partition(":")[2]: one["revision"] for one in found}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def test_a_pod_has_the_identity_of_its_ordinal() -> None:
    stage = Stage(replicas=1, ordinals={"start": 7}, serviceName="headless")
    pod = stage.cluster.get(POD, "web-7")
    assert labels_of(pod) == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-7",
        "apps.kubernetes.io/pod-index": "7",
        "controller-revision-hash": stage.status["updateRevision"],
    }
    assert (spec_of(pod)["hostname"], spec_of(pod)["subdomain"]) == ("web-7", "headless")
    assert pod["metadata"]["generateName"] == "web-"


def test_claim_templates_become_volumes_of_the_pods_own_claims() -> None:
    stage = Stage(replicas=1)
    body = template()
    body["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}, {"name": "other", "emptyDir": {}}]
    claims = [{"metadata": {"name": "data"}}]
    stage.edit(volumeClaimTemplates=claims, template=body)
    assert spec_of(stage.cluster.get(POD, "web-0"))["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}},
        {"name": "other", "emptyDir": {}},
    ]


def test_labels_of_identity_that_were_taken_away_come_back() -> None:
    stage = Stage(replicas=1)
    stage.cluster.edit(POD, "web-0", lambda pod: pod["metadata"]["labels"].pop("apps.kubernetes.io/pod-index"))
    assert any(isinstance(action, Patch) for action in stage.reconcile())
    stage.simulation.settle()
    assert labels_of(stage.cluster.get(POD, "web-0"))["apps.kubernetes.io/pod-index"] == "0"


def test_moving_the_start_moves_the_pods() -> None:
    stage = Stage(replicas=2)
    stage.edit(ordinals={"start": 1})
    assert list(stage.pods) == ["web-1", "web-2"]


def test_a_finished_pod_is_made_again() -> None:
    stage = Stage(replicas=2)
    stage.cluster.edit(POD, "web-0", lambda pod: pod.update(status={"phase": "Failed"}))
    deletes = [action for action in stage.reconcile() if isinstance(action, Delete)]
    assert [action.name for action in deletes] == ["web-0"]
    stage.simulation.settle()
    assert stage.status["readyReplicas"] == 2


def test_events_speak_of_the_pod_and_the_set() -> None:
    stage = Stage(replicas=1)
    stage.edit(replicas=0)
    mine = [event for event in stage.cluster.events if " web: " in event]
    assert mine == [
        "Normal SuccessfulCreate web: create Pod web-0 in StatefulSet web successful",
        "Normal SuccessfulDelete web: delete Pod web-0 in StatefulSet web successful",
    ]
    stage.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(replicas=1))
    create = next(action for action in stage.reconcile() if isinstance(action, Create))
    (refusal,) = create.refused("no quota")  # type: ignore[misc]
    assert isinstance(refusal, Emit)
    assert (refusal.type, refusal.reason) == ("Warning", "FailedCreate")
    assert refusal.message == "create Pod web-0 in StatefulSet web failed error: no quota"


def test_one_by_one_waits_for_a_broken_pod_and_parallel_does_not() -> None:
    ordered = Stage(replicas=3, template=template("broken"))
    assert list(ordered.pods) == ["web-0"]
    parallel = Stage(replicas=3, template=template("broken"), podManagementPolicy="Parallel")
    assert list(parallel.pods) == ["web-0", "web-1", "web-2"]


def test_a_broken_rollout_stops_and_going_back_does_not_mend_it() -> None:
    stage = Stage(replicas=3)
    stage.edit(template=template("broken"))
    assert stage.pods == {"web-0": "v1", "web-1": "v1", "web-2": "broken"}
    stage.edit(template=template("v1"))
    assert stage.pods["web-2"] == "broken", "Kubernetes asks for a forced rollback here"
    stage.cluster.delete(POD, stage.cluster.get(POD, "web-2"))
    stage.simulation.settle()
    assert set(stage.pods.values()) == {"v1"}
    assert stage.revisions == {"v1": 3, "broken": 2}


def test_parallel_mends_a_broken_rollout() -> None:
    stage = Stage(replicas=3, podManagementPolicy="Parallel")
    stage.edit(template=template("broken"))
    assert stage.pods == {"web-0": "v1", "web-1": "v1", "web-2": "broken"}
    stage.edit(template=template("v1"))
    assert set(stage.pods.values()) == {"v1"}


def test_below_the_partition_pods_come_back_as_they_were() -> None:
    stage = Stage(replicas=3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    stage.edit(template=template("v2"))
    assert stage.pods == {"web-0": "v1", "web-1": "v1", "web-2": "v2"}
    assert (stage.status["currentReplicas"], stage.status["updatedReplicas"]) == (2, 1)
    assert stage.status["currentRevision"] != stage.status["updateRevision"]
    stage.cluster.delete(POD, stage.cluster.get(POD, "web-0"))
    stage.simulation.settle()
    assert stage.pods["web-0"] == "v1"
    stage.edit(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    assert set(stage.pods.values()) == {"v2"}
    assert stage.status["currentRevision"] == stage.status["updateRevision"]


def test_on_delete_leaves_it_to_the_user() -> None:
    stage = Stage(replicas=2, updateStrategy={"type": "OnDelete"})
    stage.edit(template=template("v2"))
    assert set(stage.pods.values()) == {"v1"}
    stage.cluster.delete(POD, stage.cluster.get(POD, "web-0"))
    stage.simulation.settle()
    assert stage.pods == {"web-0": "v2", "web-1": "v1"}


@pytest.mark.parametrize(("unavailable", "at_once"), [(None, 1), (2, 2), ("50%", 2), ("10%", 1), ("100%", 5)])
def test_max_unavailable_says_how_many_go_at_once(unavailable: Any, at_once: int) -> None:
    rolling = {"partition": 0} if unavailable is None else {"partition": 0, "maxUnavailable": unavailable}
    stage = Stage(replicas=5, updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    stage.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(template=template("v2")))
    while not any(isinstance(action, Delete) for action in stage.reconcile()):
        stage.simulation.step()
    deletes = [action.name for action in stage.reconcile() if isinstance(action, Delete)]
    assert deletes == [f"web-{index}" for index in range(4, 4 - at_once, -1)]


def test_min_ready_seconds_hold_back_the_next_pod() -> None:
    stage = Stage(replicas=1)
    start = stage.cluster.now
    stage.edit(replicas=3, minReadySeconds=30)
    assert stage.cluster.now - start == timedelta(seconds=90), "half a minute each"
    assert stage.status["availableReplicas"] == 3


def test_old_revisions_go_beyond_the_limit() -> None:
    stage = Stage(replicas=1, revisionHistoryLimit=1)
    for version in ("v2", "v3", "v4"):
        stage.edit(template=template(version))
    assert stage.revisions == {"v3": 3, "v4": 4}


def test_a_revision_is_the_patch_that_kubectl_applies() -> None:
    stage = Stage(replicas=1)
    (revision,) = stage.cluster.all(CONTROLLER_REVISION)
    assert revision["data"] == data_of(spec_of(stage.cluster.get(STATEFUL_SET, "web"))["template"])
    assert revision["data"]["spec"]["template"]["$patch"] == "replace"
    assert labels_of(revision)["controller.kubernetes.io/hash"] == name_of(revision).removeprefix("web-")


def test_a_name_that_is_taken_makes_another_hash() -> None:
    first = Stage(replicas=1)
    name = first.status["updateRevision"]
    cluster = Cluster()
    cluster.add({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name, "namespace": "default"},
        "data": {}, "revision": 1,
    })  # fmt: skip
    cluster.add(stateful_set(replicas=0))
    Simulation(cluster, [StatefulSetController()]).settle()
    status = status_of(cluster.get(STATEFUL_SET, "web"))
    assert status["collisionCount"] == 1
    assert status["updateRevision"] != name


def test_others_conditions_stay_and_a_set_that_is_deleted_is_left_alone() -> None:
    stage = Stage(replicas=1)
    mine = [{"type": "Mine", "status": "True"}]
    stage.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["status"].update(conditions=mine))
    stage.edit(replicas=2)
    assert stage.status["conditions"] == mine
    stage.cluster.delete(STATEFUL_SET, stage.cluster.get(STATEFUL_SET, "web"), "Foreground")
    stage.cluster.delete(POD, stage.cluster.get(POD, "web-1"), grace_s=0)
    assert not [action for action in stage.reconcile() if not isinstance(action, Update)]


def test_orphans_of_its_name_are_adopted_and_strangers_are_not() -> None:
    cluster = Cluster()
    for name in ("web-0", "other-1", "web-x"):
        meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        cluster.add({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template()["spec"]})
    cluster.add(stateful_set(replicas=1))
    Simulation(cluster, [StatefulSetController()]).settle()
    owned = [name_of(pod) for pod in cluster.all(POD) if pod["metadata"].get("ownerReferences")]
    assert owned == ["web-0"]


def test_the_counts_are_those_of_its_pods() -> None:
    stage = Stage(replicas=3)
    first = stage.status["updateRevision"]
    assert stage.status == {
        "replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3,
        "currentRevision": first, "updateRevision": first, "observedGeneration": 1, "collisionCount": 0,
    }  # fmt: skip
    stage.edit(template=template("broken"))
    second = stage.status["updateRevision"]
    assert second != first
    assert stage.status == {
        "replicas": 3, "readyReplicas": 2, "availableReplicas": 2, "currentReplicas": 2, "updatedReplicas": 1,
        "currentRevision": first, "updateRevision": second, "observedGeneration": 2, "collisionCount": 0,
    }  # fmt: skip
