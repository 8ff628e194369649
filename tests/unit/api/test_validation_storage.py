"""Validation of volumes, claims and classes, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object, copy_of
from tests.fakes import manifests
from tests.fakes.validated import complaints, update_complaints
from tests.fakes.volumes import claim, node_affinity, storage_class, volume

MODES = 'supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
FIXED = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        ({"accessModes": []}, ["spec.accessModes: Required value: at least 1 access mode is required"]),
        ({"accessModes": ["RWO"]}, [f'spec.accessModes: Unsupported value: "RWO": {MODES}']),
        ({"accessModes": ["ReadWriteOncePod", "ReadWriteMany"]},
         ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"]),
        ({"resources": {}}, ["spec.resources[storage]: Required value"]),
        ({"resources": {"requests": {"storage": "0"}}},
         ['spec.resources[storage]: Invalid value: "0": must be greater than zero']),
        ({"resources": {"requests": {"storage": "500m"}}},
         ['spec.resources[storage]: Invalid value: "500m": must be an integer']),
        ({"volumeMode": "File"},
         ['spec.volumeMode: Unsupported value: "File": supported values: "Block", "Filesystem"']),
        ({"volumeAttributesClassName": "gold"},
         ["spec.volumeAttributesClassName: Forbidden: loopkube does not serve VolumeAttributesClasses"]),
        ({"storageClassName": ""}, []),
        ({"dataSource": {"kind": "Pod", "name": "p"}},
         ['spec.dataSource: Invalid value: "Pod": must be \'PersistentVolumeClaim\' when referencing the default '
          "apiGroup"]),
    ],
)  # fmt: skip
def test_claims(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.PERSISTENT_VOLUME_CLAIM, claim(**spec)) == faults


def updated(before: Object, phase: str = "Pending", capacity: str = "", **spec: Any) -> list[str]:
    old = copy_of(before)
    old["status"] = {"phase": phase, **({"capacity": {"storage": capacity}} if capacity else {})}
    new = copy_of(old)
    new["spec"].update(spec)
    return update_complaints(kinds.PERSISTENT_VOLUME_CLAIM, new, old)


def asking(size: str) -> Object:
    return {"requests": {"storage": size}}


def test_a_claim_is_bound_once() -> None:
    assert updated(claim(), volumeName="disk") == []
    assert updated(claim(volumeName="disk"), volumeName="other") == [FIXED]
    assert updated(claim(), accessModes=["ReadWriteMany"]) == [FIXED]


def test_a_class_can_come_later_but_not_another() -> None:
    assert updated(claim(storage_class=None), storageClassName="standard") == []
    assert updated(claim(storage_class=""), storageClassName="standard") == [FIXED]
    assert updated(claim(), storageClassName="fast") == [FIXED]


def test_a_bound_claim_may_grow_and_go_back_to_what_it_has() -> None:
    less = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    assert updated(claim(size="1Gi"), "Bound", "1Gi", resources=asking("2Gi")) == []
    assert updated(claim(size="1Gi"), "Pending", resources=asking("2Gi")) == [FIXED]
    assert updated(claim(size="4Gi"), "Bound", "1Gi", resources=asking("2Gi")) == []
    assert updated(claim(size="4Gi"), "Bound", "2Gi", resources=asking("1Gi")) == [less]


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        ({"capacity": {}}, ["spec.capacity: Required value"]),
        ({"capacity": {"storage": "1Gi", "iops": "3"}},
         ['spec.capacity: Unsupported value: {"iops":"3","storage":"1Gi"}: supported values: "storage"']),
        ({"capacity": {"storage": "-1"}}, ['spec.capacity[storage]: Invalid value: "-1": must be greater than zero']),
        ({"accessModes": []}, ["spec.accessModes: Required value"]),
        ({"persistentVolumeReclaimPolicy": "Keep"},
         ['spec.persistentVolumeReclaimPolicy: Unsupported value: "Keep": supported values: "Delete", "Recycle", '
          '"Retain"']),
        ({"local": {"path": "/x"}, "nodeAffinity": node_affinity("n0")},
         ["spec.local: Forbidden: may not specify more than 1 volume type"]),
        ({"hostPath": {"path": "/a/../b"}}, ['spec.hostPath.path: Invalid value: "/a/../b": must not contain \'..\'']),
        ({"nodeAffinity": {}}, ["spec.nodeAffinity.required: Required value: must specify required node constraints"]),
        ({"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"},
         ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"]),
    ],
)  # fmt: skip
def test_volumes(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.PERSISTENT_VOLUME, volume(**spec)) == faults


def test_a_volume_has_a_source_and_a_local_one_a_node() -> None:
    bare = volume()
    del bare["spec"]["hostPath"]
    assert complaints(kinds.PERSISTENT_VOLUME, bare) == ["spec: Required value: must specify a volume type"]
    bare["spec"]["local"] = {"path": "/srv"}
    assert complaints(kinds.PERSISTENT_VOLUME, bare) == [
        "metadata.annotations: Required value: Local volume requires node affinity"
    ]
    bare["spec"]["nodeAffinity"] = node_affinity("n0")
    assert complaints(kinds.PERSISTENT_VOLUME, bare) == []


def test_where_a_volumes_data_lie_stays() -> None:
    assert update_complaints(kinds.PERSISTENT_VOLUME, volume(hostPath={"path": "/b"}), volume()) == [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
    ]
    pinned, moved = volume(nodeAffinity=node_affinity("n0")), volume(nodeAffinity=node_affinity("n1"))
    assert update_complaints(kinds.PERSISTENT_VOLUME, pinned, volume()) == []
    (text,) = update_complaints(kinds.PERSISTENT_VOLUME, moved, pinned)
    assert text.endswith("field is immutable")
    assert update_complaints(kinds.PERSISTENT_VOLUME, volume(size="2Gi"), volume()) == []


def test_classes() -> None:
    kind = kinds.STORAGE_CLASS
    assert complaints(kind, storage_class()) == []
    assert complaints(kind, storage_class(provisioner="")) == ["provisioner: Required value"]
    assert complaints(kind, storage_class(reclaimPolicy="Recycle")) == [
        'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'
    ]
    assert complaints(kind, storage_class(binding="Later")) == [
        'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"'
    ]
    assert complaints(kind, storage_class(parameters={"": "x"})) == [
        'parameters: Invalid value: "": field can not be empty.'
    ]
    nowhere = [{"matchLabelExpressions": [{"key": "zone", "values": []}]}]
    assert complaints(kind, storage_class(allowedTopologies=nowhere)) == [
        "allowedTopologies[0].matchLabelExpressions[0].values: Required value"
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"parameters": {"a": "b"}}, "parameters: Forbidden: updates to parameters are forbidden."),
        ({"provisioner": "x.io/y"}, "provisioner: Forbidden: updates to provisioner are forbidden."),
        ({"reclaimPolicy": "Retain"}, "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
        ({"volumeBindingMode": "Immediate"}, 'volumeBindingMode: Invalid value: "Immediate": field is immutable'),
    ],
)
def test_a_recipe_stays(change: Object, fault: str) -> None:
    assert update_complaints(kinds.STORAGE_CLASS, {**storage_class(), **change}, storage_class()) == [fault]
    grown = {**storage_class(), "allowVolumeExpansion": False}
    assert update_complaints(kinds.STORAGE_CLASS, grown, storage_class()) == []


def test_the_claim_inside_a_pod_obeys_the_same_rules() -> None:
    def said(template: Object | None) -> list[str]:
        volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template} if template else {}}]
        return complaints(kinds.POD, manifests.pod(manifests.pod_spec(volumes=volumes)))

    at = "spec.volumes[0].ephemeral.volumeClaimTemplate"
    spec = claim()["spec"]
    assert said({"spec": spec}) == []
    assert said(None) == [f"{at}: Required value"]
    assert said({"spec": {**spec, "resources": {}}}) == [f"{at}.spec.resources[storage]: Required value"]
    assert said({"metadata": {"name": "x"}, "spec": spec}) == [
        f"{at}.metadata: Forbidden: may not be set for an ephemeral volume: name"
    ]
