"""What volumes say to the scheduler, in its own words."""

from __future__ import annotations

from typing import Any

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, POD
from control.api.objects import Object, annotations_of, condition_of, is_deleting, spec_of, status_of
from control.controllers.persistentvolume.controller import PersistentVolumeController
from control.controllers.persistentvolume.provisioner import Provisioner
from control.controllers.scheduler import Scheduler
from tests.fakes.objects import node, pod
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.volumes import claim, node_affinity, storage_class, volume


def scheduled(*objects: Object, provisions: bool = True) -> Cluster:
    cluster = Cluster()
    for obj in (node("n0"), node("n1"), *objects):
        cluster.add(obj)
    controllers = (Scheduler(), PersistentVolumeController(), *((Provisioner("/volumes"),) if provisions else ()))
    Simulation(cluster, controllers, kubelet=False).settle()
    return cluster


def user(name: str = "a", *claims: str, **more: Any) -> Object:
    named = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims or ("data",)]
    return pod(name, volumes=named, **more)


def refusal(cluster: Cluster, name: str = "a") -> str:
    obj = cluster.get(POD, name)
    assert "nodeName" not in spec_of(obj)
    return str((condition_of(obj, "PodScheduled") or {})["message"]).removeprefix("0/2 nodes are available: ")


def node_of(cluster: Cluster, name: str = "a") -> str:
    return str(spec_of(cluster.get(POD, name))["nodeName"])


def test_faults_of_the_pod_stand_for_all_nodes() -> None:
    assert refusal(scheduled(user())) == 'persistentvolumeclaim "data" not found.'
    unbound = "pod has unbound immediate PersistentVolumeClaims."
    assert refusal(scheduled(user(), claim(storage_class=""))) == unbound
    assert refusal(scheduled(user(), claim(storage_class="nowhere"))) == unbound
    lost = {**claim(volumeName="disk"), "status": {"phase": "Lost"}}
    lost["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    said = 'persistentvolumeclaim "data" bound to non-existent persistentvolume "disk".'
    assert refusal(scheduled(user(), lost)) == said
    leaving = claim()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert is_deleting(leaving)
    assert refusal(scheduled(user(), leaving)) == 'persistentvolumeclaim "data" is being deleted.'


def test_a_missing_claim_that_comes_frees_the_pod() -> None:
    cluster = scheduled(user())
    cluster.add(claim(storage_class=""))
    cluster.add(volume())
    Simulation(cluster, (Scheduler(), PersistentVolumeController()), kubelet=False).settle()
    assert node_of(cluster)


def test_a_bound_volume_is_somewhere() -> None:
    disk = volume(nodeAffinity=node_affinity("n1"))
    assert node_of(scheduled(user(), claim(storage_class=""), disk)) == "n1"
    far = volume(nodeAffinity=node_affinity("elsewhere"))
    said = "2 node(s) didn't match PersistentVolume's node affinity."
    assert refusal(scheduled(user(), claim(storage_class=""), far)) == said


def test_static_volumes_are_bound_for_the_node_that_has_them_all() -> None:
    by_hand = storage_class("local", default=False, provisioner="kubernetes.io/no-provisioner")
    disks = [
        volume("a0", storage_class="local", nodeAffinity=node_affinity("n0")),
        volume("b0", storage_class="local", nodeAffinity=node_affinity("n1")),
        volume("b1", storage_class="local", nodeAffinity=node_affinity("n1")),
    ]
    claims = [claim(name, storage_class="local") for name in ("x", "y")]
    cluster = scheduled(by_hand, *disks, *claims, user("a", "x", "y"))
    assert node_of(cluster) == "n1"
    assert {spec_of(cluster.get(PERSISTENT_VOLUME_CLAIM, name))["volumeName"] for name in ("x", "y")} == {"b0", "b1"}
    cluster = scheduled(by_hand, disks[0], *claims, user("a", "x", "y"))
    assert refusal(cluster) == "2 node(s) didn't find available persistent volumes to bind."


def test_allowed_topologies_are_kept() -> None:
    only = [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["n1"]}]}]
    cluster = scheduled(storage_class(allowedTopologies=only), claim(), user())
    assert node_of(cluster) == "n1"
    nowhere = [{"matchLabelExpressions": [{"key": "zone", "values": ["z"]}]}]
    cluster = scheduled(storage_class(allowedTopologies=nowhere), claim(), user())
    assert refusal(cluster) == "2 node(s) didn't find available persistent volumes to bind."


def test_a_pod_waits_until_its_volumes_are_bound() -> None:
    cluster = scheduled(storage_class(), claim(), user(), provisions=False)
    assert "nodeName" not in spec_of(cluster.get(POD, "a"))
    selected = annotations_of(cluster.get(PERSISTENT_VOLUME_CLAIM, "data"))["volume.kubernetes.io/selected-node"]
    controllers = (Scheduler(), PersistentVolumeController(), Provisioner("/volumes"))
    Simulation(cluster, controllers, kubelet=False).settle()
    assert status_of(cluster.get(PERSISTENT_VOLUME_CLAIM, "data"))["phase"] == "Bound"
    assert selected in ("n0", "n1")
    assert node_of(cluster)


def test_one_pod_at_a_time_means_it() -> None:
    once = claim(storage_class="", accessModes=["ReadWriteOncePod"])
    disk = volume(accessModes=["ReadWriteOncePod"])
    cluster = scheduled(once, disk, user("a"))
    cluster.add(user("b"))
    simulation = Simulation(cluster, (Scheduler(), PersistentVolumeController()), kubelet=False)
    simulation.settle()
    said = "2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."
    assert refusal(cluster, "b") == said
    cluster.delete(POD, cluster.get(POD, "a"), grace_s=0)
    simulation.settle()
    assert node_of(cluster, "b")
