"""The provisioner `loopkube.io/directory`: makes a volume for each claim that the binder has passed to it.

A volume is a directory `<volumes>/pvc-<uid of the claim>` on this machine. Only its object is made here; the directory
comes into being when a pod first mounts it, and goes with the volume, both by the node process, which alone touches
disks for pods. The name follows from the claim, so a repeat makes nothing twice.

All virtual nodes share the machine's disk, so every one of them reaches every volume, as if the disk were a network's:
pods may move between nodes, and all access modes hold. The class parameter `reach: node` makes volumes as local disks
are, each on the node that the scheduler chose, to which it then ties its pods. Kubernetes' size is a promise that
nobody enforces here. What cannot be had (a selector, a data source, block devices, mount options) is refused with an
event on the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    uid_of,
)
from control.api.storage import (
    DIRECTORY_FINALIZER,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    class_of,
    mode_of,
)
from control.controllers.action import SETTLED, Action, Create, Emit, Outcome
from control.controllers.controller import Wakes
from control.controllers.volumematch import class_object, waits_for_consumer
from control.mirror.world import World

HOSTNAME = "kubernetes.io/hostname"
REACH = "reach"


class Unprovidable(Exception):
    """Why no volume can be made for a claim."""


class Provisioner:
    name = PROVISIONER
    kind = PERSISTENT_VOLUME_CLAIM

    def __init__(self, volumes_dir: str) -> None:
        self._volumes_dir = volumes_dir

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            PERSISTENT_VOLUME_CLAIM: lambda world, claim: (key_of(claim),) if _is_ours(claim) else (),
            STORAGE_CLASS: lambda world, obj: [
                key_of(claim)
                for claim in world.by_field(PERSISTENT_VOLUME_CLAIM, "spec.volumeName", "")
                if _is_ours(claim) and class_of(claim) == name_of(obj)
            ],
            PERSISTENT_VOLUME: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        claim = world.get(PERSISTENT_VOLUME_CLAIM, *key)
        if claim is None or not _is_ours(claim) or is_deleting(claim):
            return SETTLED
        found = class_object(world, claim)
        if found is None or found.get("provisioner") != PROVISIONER:
            return SETTLED
        node = annotations_of(claim).get(SELECTED_NODE, "")
        if waits_for_consumer(world, claim) and not node:
            return SETTLED
        name = f"pvc-{uid_of(claim)}"
        if world.get(PERSISTENT_VOLUME, "", name) is not None:
            return SETTLED
        begins = f'External provisioner is provisioning volume for claim "{key}"'
        try:
            volume = self._volume(name, claim, found, node)
        except Unprovidable as error:
            message = f'failed to provision volume with StorageClass "{name_of(found)}": {error}'
            return Outcome((Emit(claim, "Warning", "ProvisioningFailed", message),))

        def refused(message: str) -> tuple[Action, ...]:
            return (Emit(claim, "Warning", "ProvisioningFailed", f"Error saving volume: {message}"),)

        done = f"Successfully provisioned volume {name}"
        return Outcome(
            (
                Emit(claim, "Normal", "Provisioning", begins),
                Create(PERSISTENT_VOLUME, volume, refused),
                Emit(claim, "Normal", "ProvisioningSucceeded", done),
            )
        )

    def _volume(self, name: str, claim: Object, storage_class: Object, node: str) -> Object:
        spec = spec_of(claim)
        made: Object = {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": list(spec.get("accessModes") or ()),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": name_of(storage_class),
            "volumeMode": mode_of(claim),
            "claimRef": {
                "kind": PERSISTENT_VOLUME_CLAIM.kind,
                "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
                "resourceVersion": resource_version_of(claim),
            },
            "hostPath": {"path": f"{self._volumes_dir}/{name}", "type": "DirectoryOrCreate"},
        }
        terms = _terms(claim, storage_class, node)
        if terms:
            made["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
        return {
            "apiVersion": PERSISTENT_VOLUME.api_version,
            "kind": PERSISTENT_VOLUME.kind,
            "metadata": {
                "name": name,
                "annotations": {PROVISIONED_BY: PROVISIONER},
                "finalizers": [DIRECTORY_FINALIZER],
            },
            "spec": made,
        }


def _is_ours(claim: Object) -> bool:
    return annotations_of(claim).get(STORAGE_PROVISIONER) == PROVISIONER and not spec_of(claim).get("volumeName")


def _terms(claim: Object, storage_class: Object, node: str) -> list[Object]:
    """The node selector terms of where the volume can be reached; raises Unprovidable."""
    if spec_of(claim).get("selector") is not None:
        raise Unprovidable("claim Selector is not supported")
    if spec_of(claim).get("dataSource") or spec_of(claim).get("dataSourceRef"):
        raise Unprovidable("claim dataSource is not supported")
    if mode_of(claim) == "Block":
        raise Unprovidable("block volume provisioning is not supported")
    if storage_class.get("mountOptions"):
        raise Unprovidable("mount options are not supported")
    parameters = storage_class.get("parameters") or {}
    unknown = sorted(parameters.keys() - {REACH})
    if unknown:
        raise Unprovidable(f'unknown parameter "{unknown[0]}"; there is one: reach, cluster or node')
    match parameters.get(REACH, "cluster"):
        case "node" if node:
            return [_term([(HOSTNAME, [node])])]
        case "node":
            raise Unprovidable("reach: node needs volumeBindingMode WaitForFirstConsumer")
        case "cluster":
            topologies = storage_class.get("allowedTopologies") or ()
            expressions = [topology.get("matchLabelExpressions") or () for topology in topologies]
            return [_term([(each["key"], each["values"]) for each in some]) for some in expressions if some]
        case other:
            raise Unprovidable(f'parameter reach must be cluster or node, not "{other}"')


def _term(labels: list[tuple[str, list[str]]]) -> Object:
    return {"matchExpressions": [{"key": key, "operator": "In", "values": values} for key, values in labels]}
