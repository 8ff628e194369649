"""The claims of a StatefulSet: made before their pods, kept by default, and let go as the policy says (KEP-1847).

Of [sig-apps]: `StatefulSet Non-retain StatefulSetPersistentVolumeClaimPolicy` (should delete PVCs with a WhenDeleted
policy; with a OnScaledown policy; after adopting pod (WhenDeleted), (WhenScaled)).
"""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from control.api.objects import Key, Object, is_deleting, labels_of, name_of, owner_references, spec_of, uid_of
from control.controllers.action import Action, Create, Update
from control.controllers.garbage import GarbageController
from control.controllers.persistentvolume.controller import PersistentVolumeController
from control.controllers.persistentvolume.protection import ClaimProtection
from control.controllers.persistentvolume.provisioner import Provisioner
from control.controllers.scheduler import Scheduler
from control.controllers.statefulset.controller import StatefulSetController
from tests.fakes.objects import namespace, node
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.volumes import claim, storage_class
from tests.fakes.workloads import stateful_set

TEMPLATE = {"metadata": {"name": "data", "labels": {"tier": "disk"}}, "spec": claim()["spec"]}
RETAIN, DELETE = "Retain", "Delete"


def policy(scaled: str, deleted: str) -> Object:
    return {"whenScaled": scaled, "whenDeleted": deleted}


class Stage:
    def __init__(self, scaled: str = RETAIN, deleted: str = RETAIN, replicas: int = 2) -> None:
        self.cluster = Cluster()
        own: Object = {
            "volumeClaimTemplates": [TEMPLATE],
            "persistentVolumeClaimRetentionPolicy": policy(scaled, deleted),
        }
        for obj in (namespace(), node("n0"), storage_class(), stateful_set(replicas=replicas, **own)):
            self.cluster.add(obj)
        controllers = (
            StatefulSetController(), Scheduler(), PersistentVolumeController(), Provisioner("/volumes"),
            ClaimProtection(), GarbageController(),
        )  # fmt: skip
        self.simulation = Simulation(self.cluster, controllers)
        self.simulation.settle()

    def edit(self, **spec: Any) -> None:
        self.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(spec))
        self.simulation.settle()
        assert self.simulation.writes_at_rest() == []

    def owners(self) -> dict[str, str]:
        """The owner's kind by claim, "" none."""
        found = {}
        for one in self.cluster.all(PERSISTENT_VOLUME_CLAIM):
            refs = owner_references(one)
            assert all(ref["controller"] for ref in refs)
            found[name_of(one)] = ",".join(ref["kind"] for ref in refs)
        return found

    def reconcile(self) -> tuple[Action, ...]:
        return StatefulSetController().reconcile(self.cluster.world, Key("default", "web"), self.cluster.now).actions


def test_a_claim_comes_before_its_pod() -> None:
    stage = Stage(replicas=1)
    created = [action.obj["metadata"]["name"] for _, action in stage.simulation.performed if isinstance(action, Create)]
    assert created.index("data-web-0") < created.index("web-0")
    made = stage.cluster.get(PERSISTENT_VOLUME_CLAIM, "data-web-0")
    assert labels_of(made) == {"tier": "disk", "app": "web"}
    assert spec_of(made)["storageClassName"] == "standard"
    assert spec_of(stage.cluster.get(POD, "web-0"))["nodeName"] == "n0"
    said = "Normal SuccessfulCreate web: create Claim data-web-0 Pod web-0 in StatefulSet web success"
    assert said in stage.cluster.events


def test_nobody_deletes_claims_by_default() -> None:
    stage = Stage()
    before = {name_of(one): uid_of(one) for one in stage.cluster.all(PERSISTENT_VOLUME_CLAIM)}
    assert sorted(before) == ["data-web-0", "data-web-1"]
    stage.edit(replicas=0)
    stage.edit(replicas=2)
    stage.cluster.delete(STATEFUL_SET, stage.cluster.get(STATEFUL_SET, "web"), "Foreground")
    stage.simulation.settle()
    assert stage.cluster.all(POD) == []
    assert {name_of(one): uid_of(one) for one in stage.cluster.all(PERSISTENT_VOLUME_CLAIM)} == before


@pytest.mark.parametrize(
    ("scaled", "deleted", "owner"),
    [(RETAIN, RETAIN, ""), (RETAIN, DELETE, "StatefulSet"), (DELETE, RETAIN, ""), (DELETE, DELETE, "StatefulSet")],
)
def test_the_policy_says_who_owns_a_wanted_pods_claim(scaled: str, deleted: str, owner: str) -> None:
    fresh = Stage(scaled, deleted)
    assert set(fresh.owners().values()) == {owner}
    changed = Stage()
    changed.edit(persistentVolumeClaimRetentionPolicy=policy(scaled, deleted))
    assert set(changed.owners().values()) == {owner}
    changed.edit(persistentVolumeClaimRetentionPolicy=policy(RETAIN, RETAIN))
    assert set(changed.owners().values()) == {""}


@pytest.mark.parametrize("deleted", [RETAIN, DELETE])
def test_scaled_down_means_deleted_after_the_pod(deleted: str) -> None:
    stage = Stage(DELETE, deleted)
    stage.cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(replicas=1))
    owned = [action for action in stage.reconcile() if isinstance(action, Update) and action.subresource == ""]
    assert [ref["kind"] for ref in owner_references(owned[0].obj)] == ["Pod"], "before the pod is deleted"
    stage.simulation.settle()
    assert sorted(stage.owners()) == ["data-web-0"]
    stage.edit(replicas=2)
    assert sorted(stage.owners()) == ["data-web-0", "data-web-1"]


@pytest.mark.parametrize("scaled", [RETAIN, DELETE])
def test_with_the_set_go_its_claims(scaled: str) -> None:
    stage = Stage(scaled, DELETE)
    stage.cluster.delete(STATEFUL_SET, stage.cluster.get(STATEFUL_SET, "web"), "Background")
    stage.simulation.settle()
    assert stage.owners() == {}
    assert stage.cluster.all(POD) == []


def test_a_claim_of_somebody_else_is_left_to_them() -> None:
    stage = Stage()
    other = {"apiVersion": "v1", "kind": "Node", "name": "n0", "uid": "x", "controller": True}
    stage.cluster.edit(
        PERSISTENT_VOLUME_CLAIM, "data-web-0", lambda obj: obj["metadata"].update(ownerReferences=[other])
    )
    stage.cluster.edit(
        STATEFUL_SET, "web", lambda obj: obj["spec"].update(persistentVolumeClaimRetentionPolicy=policy(DELETE, DELETE))
    )
    written = [name_of(action.obj) for action in stage.reconcile() if isinstance(action, Update)]
    assert "data-web-0" not in written
    assert "data-web-1" in written


def test_no_pod_is_made_on_a_claim_that_is_on_its_way_out() -> None:
    stage = Stage(replicas=1)
    stage.cluster.delete(PERSISTENT_VOLUME_CLAIM, stage.cluster.get(PERSISTENT_VOLUME_CLAIM, "data-web-0"))
    assert is_deleting(stage.cluster.get(PERSISTENT_VOLUME_CLAIM, "data-web-0"))
    stage.cluster.delete(POD, stage.cluster.get(POD, "web-0"), grace_s=0)
    stage.simulation.reconcile(stage.simulation.controllers[0], Key("default", "web"))
    assert stage.cluster.all(POD) == []
    said = "create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted"
    assert f"Warning FailedCreate web: {said}" in stage.cluster.events
    stage.simulation.settle()
    assert [name_of(one) for one in stage.cluster.all(POD)] == ["web-0"]
    assert not is_deleting(stage.cluster.get(PERSISTENT_VOLUME_CLAIM, "data-web-0"))


def test_a_pending_pod_gets_the_claim_that_it_lacks() -> None:
    stage = Stage(replicas=1)
    lost = stage.cluster.get(PERSISTENT_VOLUME_CLAIM, "data-web-0")
    stage.cluster._remove(PERSISTENT_VOLUME_CLAIM, lost)
    assert not [action for action in stage.reconcile() if isinstance(action, Create)], "a running one does not"
    stage.cluster.edit(POD, "web-0", lambda obj: obj.update(status={"phase": "Pending"}))
    assert [name_of(action.obj) for action in stage.reconcile() if isinstance(action, Create)] == ["data-web-0"]
