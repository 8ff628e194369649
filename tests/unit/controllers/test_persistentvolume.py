"""The binder, the provisioner, growth, protection and ephemeral volumes, together."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from control.api.objects import Key, Object, annotations_of, is_deleting, meta, name_of, spec_of, status_of, uid_of
from control.controllers.action import NoneOf
from control.controllers.garbage import GarbageController
from control.controllers.persistentvolume.controller import PersistentVolumeController
from control.controllers.persistentvolume.ephemeral import EphemeralController
from control.controllers.persistentvolume.protection import ClaimProtection, VolumeProtection
from control.controllers.persistentvolume.provisioner import Provisioner
from control.controllers.persistentvolume.resizer import Resizer
from control.controllers.scheduler import Scheduler
from tests.fakes.objects import namespace, node, pod
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.volumes import claim, node_affinity, storage_class, volume


class Stage:
    """Everything about volumes at work on these objects."""

    def __init__(self, *objects: Object) -> None:
        self.cluster = Cluster()
        for obj in (namespace(), node("n0"), node("n1"), *objects):
            self.cluster.add(obj)
        controllers = (
            EphemeralController(), Scheduler(), PersistentVolumeController(), Provisioner("/volumes"), Resizer(),
            ClaimProtection(), VolumeProtection(), GarbageController(),
        )  # fmt: skip
        self.simulation = Simulation(self.cluster, controllers)
        self.settle()

    def settle(self) -> None:
        self.simulation.settle()
        assert self.simulation.writes_at_rest() == []

    def add(self, *objects: Object) -> None:
        for obj in objects:
            self.cluster.add(obj)
        self.settle()

    def delete(self, kind: Any, name: str) -> None:
        self.cluster.delete(kind, self.cluster.get(kind, name))
        self.settle()

    def claim(self, name: str = "data") -> Object:
        return self.cluster.get(PERSISTENT_VOLUME_CLAIM, name)

    def volume(self, name: str = "disk") -> Object:
        return self.cluster.get(PERSISTENT_VOLUME, name)

    def phases(self, claim_name: str = "data", volume_name: str = "disk") -> tuple[str, str]:
        return status_of(self.claim(claim_name))["phase"], status_of(self.volume(volume_name))["phase"]

    def said(self, reason: str) -> str:
        found = [event for event in self.cluster.events if f" {reason} " in event]
        return found[-1].partition(": ")[2] if found else ""


def user(name: str = "a", claim_name: str = "data", **more: Any) -> Object:
    return pod(name, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}], **more)


def test_both_halves_of_a_binding() -> None:
    stage = Stage(claim(storage_class=""), volume(size="2Gi"))
    assert stage.phases() == ("Bound", "Bound")
    bound, disk = stage.claim(), stage.volume()
    assert spec_of(bound)["volumeName"] == "disk"
    assert status_of(bound)["capacity"] == {"storage": "2Gi"}
    assert spec_of(disk)["claimRef"]["uid"] == uid_of(bound)
    assert annotations_of(bound) == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }
    assert annotations_of(disk) == {"pv.kubernetes.io/bound-by-controller": "yes"}


def test_a_volume_has_one_claim() -> None:
    stage = Stage(claim("a", storage_class=""), claim("b", storage_class=""), volume())
    assert sorted(status_of(stage.claim(name))["phase"] for name in "ab") == ["Bound", "Pending"]
    assert stage.said("FailedBinding") == "no persistent volumes available for this claim and no storage class is set"
    stage.add(volume("late"))
    assert {status_of(stage.claim(name))["phase"] for name in "ab"} == {"Bound"}


def test_a_claim_that_names_its_volume_gets_that_one_or_none() -> None:
    stage = Stage(claim(storage_class="", volumeName="disk"), volume("other"))
    assert status_of(stage.claim())["phase"] == "Pending"
    stage.add(volume(size="1Mi"))
    assert stage.said("VolumeMismatch") == 'Cannot bind to requested volume "disk": requested PV is too small'
    stage.cluster.edit(PERSISTENT_VOLUME, "disk", lambda obj: obj["spec"].update(capacity={"storage": "1Gi"}))
    stage.settle()
    assert stage.phases() == ("Bound", "Bound")
    stage.add(claim("late", storage_class="", volumeName="disk"))
    assert stage.said("FailedBinding") == 'volume "disk" already bound to a different claim.'


def test_a_promised_volume_is_kept_for_its_claim() -> None:
    promise = {"namespace": "default", "name": "data"}
    stage = Stage(claim("first", storage_class=""), volume(claimRef=promise))
    assert status_of(stage.claim("first"))["phase"] == "Pending"
    assert status_of(stage.volume())["phase"] == "Available"
    stage.add(claim(storage_class=""))
    assert stage.phases() == ("Bound", "Bound")
    assert "pv.kubernetes.io/bound-by-controller" not in annotations_of(stage.volume())


def test_a_default_class_that_comes_later_is_given_to_claims_without_one() -> None:
    stage = Stage(claim("open", storage_class=None), claim("decided", storage_class=""))
    stage.add(storage_class(binding="Immediate"))
    assert spec_of(stage.claim("open"))["storageClassName"] == "standard"
    assert status_of(stage.claim("open"))["phase"] == "Bound"
    assert status_of(stage.claim("decided"))["phase"] == "Pending"


def test_an_immediate_class_provisions_at_once() -> None:
    stage = Stage(storage_class(binding="Immediate"), claim())
    name = f"pvc-{uid_of(stage.claim())}"
    made = stage.volume(name)
    assert stage.phases(volume_name=name) == ("Bound", "Bound")
    assert spec_of(made)["hostPath"] == {"path": f"/volumes/{name}", "type": "DirectoryOrCreate"}
    assert spec_of(made)["persistentVolumeReclaimPolicy"] == "Delete"
    assert annotations_of(made)["pv.kubernetes.io/provisioned-by"] == "loopkube.io/directory"
    assert "external-provisioner.volume.kubernetes.io/finalizer" in meta(made)["finalizers"]
    assert "nodeAffinity" not in spec_of(made)
    assert "external provisioner 'loopkube.io/directory'" in stage.said("ExternalProvisioning")
    assert stage.said("Provisioning") == 'External provisioner is provisioning volume for claim "default/data"'
    assert stage.said("ProvisioningSucceeded") == f"Successfully provisioned volume {name}"


def test_a_claim_waits_for_its_first_consumer() -> None:
    stage = Stage(storage_class(), claim())
    assert stage.said("WaitForFirstConsumer") == "waiting for first consumer to be created before binding"
    assert stage.cluster.all(PERSISTENT_VOLUME) == []
    stage.add(user())
    node_name = spec_of(stage.cluster.get(POD, "a"))["nodeName"]
    assert annotations_of(stage.claim())["volume.kubernetes.io/selected-node"] == node_name
    assert status_of(stage.claim())["phase"] == "Bound"


def test_a_local_reach_ties_the_pod_to_its_node() -> None:
    stage = Stage(storage_class(parameters={"reach": "node"}), claim(), user())
    node_name = spec_of(stage.cluster.get(POD, "a"))["nodeName"]
    (made,) = stage.cluster.all(PERSISTENT_VOLUME)
    assert spec_of(made)["nodeAffinity"] == node_affinity(node_name)


@pytest.mark.parametrize(
    ("spec", "fields", "why"),
    [
        ({"selector": {"matchLabels": {"a": "b"}}}, {}, "claim Selector is not supported"),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, {}, "claim dataSource is not supported"),
        ({"volumeMode": "Block"}, {}, "block volume provisioning is not supported"),
        ({}, {"mountOptions": ["ro"]}, "mount options are not supported"),
        ({}, {"parameters": {"type": "ssd"}}, 'unknown parameter "type"; there is one: reach, cluster or node'),
        ({}, {"parameters": {"reach": "node"}}, "reach: node needs volumeBindingMode WaitForFirstConsumer"),
        ({}, {"parameters": {"reach": "far"}}, 'parameter reach must be cluster or node, not "far"'),
    ],
)
def test_what_no_directory_can_be_is_refused(spec: Object, fields: Object, why: str) -> None:
    stage = Stage(storage_class(binding="Immediate", **fields), claim(**spec))
    assert stage.said("ProvisioningFailed") == f'failed to provision volume with StorageClass "standard": {why}'
    assert stage.cluster.all(PERSISTENT_VOLUME) == []


def test_nobody_provisions_for_classes_that_are_not_there_or_have_no_provisioner() -> None:
    stage = Stage(claim(storage_class="nowhere"))
    assert stage.said("ProvisioningFailed") == 'storageclass.storage.k8s.io "nowhere" not found'
    by_hand = storage_class("by-hand", binding="Immediate", provisioner="kubernetes.io/no-provisioner")
    stage.add(by_hand, claim("other", storage_class="by-hand"))
    assert stage.said("ProvisioningFailed") == "no volume plugin matched name: kubernetes.io/no-provisioner"


@pytest.mark.parametrize(
    ("policy", "phase", "reason"),
    [
        ("Retain", "Released", ""),
        ("Delete", "Failed", "VolumeFailedDelete"),
        ("Recycle", "Failed", "VolumeFailedRecycle"),
    ],
)
def test_what_becomes_of_a_volume_whose_claim_is_gone(policy: str, phase: str, reason: str) -> None:
    stage = Stage(claim(storage_class=""), volume(persistentVolumeReclaimPolicy=policy))
    stage.delete(PERSISTENT_VOLUME_CLAIM, "data")
    assert status_of(stage.volume())["phase"] == phase
    assert spec_of(stage.volume())["claimRef"]["name"] == "data"
    assert bool(stage.said(reason)) == bool(reason)


def test_a_released_volume_is_not_given_to_a_claim_of_the_same_name() -> None:
    stage = Stage(claim(storage_class=""), volume())
    stage.delete(PERSISTENT_VOLUME_CLAIM, "data")
    stage.add(claim(storage_class=""))
    assert stage.phases() == ("Pending", "Released")
    stage.cluster.edit(PERSISTENT_VOLUME, "disk", lambda obj: obj["spec"].pop("claimRef"))
    stage.settle()
    assert stage.phases() == ("Bound", "Bound")


def test_a_claim_is_lost_with_its_volume() -> None:
    stage = Stage(claim(storage_class=""), volume())
    stage.cluster.edit(PERSISTENT_VOLUME, "disk", lambda obj: obj["metadata"].update(finalizers=[]))
    stage.cluster.delete(PERSISTENT_VOLUME, stage.volume())
    stage.settle()
    assert status_of(stage.claim())["phase"] == "Lost"
    assert stage.said("ClaimLost") == "Bound claim has lost its PersistentVolume. Data on the volume is lost!"


def test_of_two_claims_on_one_volume_the_second_is_misbound() -> None:
    stage = Stage(claim(storage_class=""), volume())
    usurper = claim("usurper", storage_class="", volumeName="disk")
    usurper["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    stage.add(usurper)
    assert status_of(stage.claim("usurper"))["phase"] == "Lost"
    assert stage.said("ClaimMisbound") == "Two claims are bound to the same volume, this one is bound incorrectly"
    assert stage.phases() == ("Bound", "Bound")


def test_a_claim_grows_and_its_volume_with_it() -> None:
    stage = Stage(storage_class(binding="Immediate"), claim())
    larger = {"requests": {"storage": "5Gi"}}
    stage.cluster.edit(PERSISTENT_VOLUME_CLAIM, "data", lambda obj: obj["spec"].update(resources=larger))
    stage.settle()
    (made,) = stage.cluster.all(PERSISTENT_VOLUME)
    assert spec_of(made)["capacity"] == {"storage": "5Gi"}
    assert status_of(stage.claim())["capacity"] == {"storage": "5Gi"}
    assert stage.said("VolumeResizeSuccessful") == "Resize volume succeeded"


def test_what_others_made_is_not_ours_to_grow() -> None:
    stage = Stage(claim(storage_class=""), volume())
    larger = {"requests": {"storage": "5Gi"}}
    stage.cluster.edit(PERSISTENT_VOLUME_CLAIM, "data", lambda obj: obj["spec"].update(resources=larger))
    stage.settle()
    assert status_of(stage.claim())["capacity"] == {"storage": "1Gi"}
    assert "waiting for an external controller" in stage.said("ExternalExpanding")


def test_a_claim_in_use_outlives_its_deletion() -> None:
    stage = Stage(claim(storage_class=""), volume(), user())
    stage.delete(PERSISTENT_VOLUME_CLAIM, "data")
    assert is_deleting(stage.claim())
    stage.delete(PERSISTENT_VOLUME, "disk")
    assert is_deleting(stage.volume())
    stage.delete(POD, "a")
    assert stage.cluster.all(PERSISTENT_VOLUME_CLAIM) == []
    assert stage.cluster.all(PERSISTENT_VOLUME) == []


def test_a_finished_pod_still_holds_its_claim_and_one_without_a_node_does_not() -> None:
    stage = Stage(claim(storage_class=""), volume(), user())
    stage.cluster.edit(POD, "a", lambda obj: obj.update(status={"phase": "Succeeded"}))
    stage.delete(PERSISTENT_VOLUME_CLAIM, "data")
    assert is_deleting(stage.claim())
    stage.delete(POD, "a")
    assert stage.cluster.all(PERSISTENT_VOLUME_CLAIM) == []
    stage.add(claim(storage_class="nowhere"), user("b"))
    stage.delete(PERSISTENT_VOLUME_CLAIM, "data")
    assert stage.cluster.all(PERSISTENT_VOLUME_CLAIM) == []


def test_the_server_is_asked_before_a_claim_goes() -> None:
    """A pod that the mirror does not show yet keeps the claim."""
    stage = Stage(claim(storage_class=""), volume())
    stage.cluster.delete(PERSISTENT_VOLUME_CLAIM, stage.claim())
    outcome = ClaimProtection().reconcile(stage.cluster.world, Key("default", "data"), stage.cluster.now)
    question = outcome.actions[0]
    assert isinstance(question, NoneOf)
    assert question.matches({**user(), "spec": {**user()["spec"], "nodeName": "n0"}})
    assert not question.matches(user("c", "other"))


def test_what_came_without_its_finalizer_gets_it() -> None:
    bare = claim(storage_class="")
    bare["metadata"]["finalizers"] = []
    stage = Stage(bare)
    assert meta(stage.claim())["finalizers"] == ["kubernetes.io/pvc-protection"]


def scratch(**more: Any) -> Object:
    template = {"metadata": {"labels": {"of": "a"}}, "spec": claim()["spec"]}
    return pod("a", volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}], **more)


def test_an_ephemeral_volume_is_a_claim_of_the_pods_own() -> None:
    stage = Stage(storage_class(), scratch())
    made = stage.claim("a-v")
    assert meta(made)["labels"] == {"of": "a"}
    assert [ref["name"] for ref in meta(made)["ownerReferences"]] == ["a"]
    assert status_of(made)["phase"] == "Bound"
    assert spec_of(stage.cluster.get(POD, "a")).get("nodeName")
    stage.delete(POD, "a")
    assert stage.cluster.all(PERSISTENT_VOLUME_CLAIM) == []


def test_a_strangers_claim_is_not_used() -> None:
    stage = Stage(storage_class(), claim("a-v"), scratch())
    why = "PVC default/a-v was not created for pod default/a (pod is not owner)"
    assert stage.said("FailedBinding") == f"ephemeral volume v: {why}"
    assert stage.said("FailedScheduling") == f"0/2 nodes are available: {why}."
    assert [name_of(one) for one in stage.cluster.all(STORAGE_CLASS)] == ["standard"]
