"""What ties claims, volumes and classes together: the words that admission, controllers, scheduler and kubelet share.

A claim and its volume point at each other (`spec.volumeName`, `spec.claimRef` with the claim's UID), and the claim says
`bind-completed` once it has seen both. Who made the half of a binding is in the annotations: what a controller bound it
may unbind, what a user bound stays. The names and meanings are Kubernetes' (component-helpers/storage/volume).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from control.api import quantity
from control.api.objects import Object, annotations_of, meta, name_of, namespace_of, spec_of, uid_of

PROVISIONER = "loopkube.io/directory"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
STANDARD = "standard"

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
IS_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"

CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"
DIRECTORY_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
"""Keeps a volume's object until its directory is gone (KEP-2644), whoever deletes first."""

ONCE_POD = "ReadWriteOncePod"


def class_of(obj: Object) -> str:
    """The class that a claim or a volume names; "" is none."""
    beta = annotations_of(obj).get(BETA_CLASS)
    return beta if beta is not None else str(spec_of(obj).get("storageClassName") or "")


def names_a_class(claim: Object) -> bool:
    """Whether the user has decided: a class, or none by the empty name."""
    return BETA_CLASS in annotations_of(claim) or spec_of(claim).get("storageClassName") is not None


def default_class(classes: Iterable[Object]) -> Object | None:
    """Of several default classes the newest wins, then the first name (Kubernetes' rule since 1.26)."""
    marked = [
        one for one in classes if "true" in (annotations_of(one).get(key) for key in (IS_DEFAULT, IS_DEFAULT_BETA))
    ]
    marked.sort(key=name_of)
    return max(marked, key=lambda one: meta(one).get("creationTimestamp") or "", default=None)


def amount(quantities: Any) -> int:
    """The storage of a map of quantities, in billionths of a byte; 0 where none is named."""
    return quantity.parse(str((quantities or {}).get("storage") or "0")).nano


def requested(claim: Object) -> int:
    return amount((spec_of(claim).get("resources") or {}).get("requests"))


def capacity(volume: Object) -> int:
    return amount(spec_of(volume).get("capacity"))


def mode_of(obj: Object) -> str:
    return str(spec_of(obj).get("volumeMode") or "Filesystem")


def refers_to(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound or promised to this claim: by name, and by UID where it has one."""
    ref = spec_of(volume).get("claimRef") or {}
    if (ref.get("namespace"), ref.get("name")) != (namespace_of(claim), name_of(claim)):
        return False
    return not ref.get("uid") or ref["uid"] == uid_of(claim)


def ephemeral_claim(pod: Object, volume: Object) -> str:
    """The name of the claim of a generic ephemeral volume."""
    return f"{name_of(pod)}-{volume.get('name')}"


def is_made_for(claim: Object, pod: Object) -> bool:
    """Whether an ephemeral volume's claim is the pod's own, rather than another of the same name."""
    owners = meta(claim).get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == uid_of(pod) for owner in owners)


def claims_of(pod: Object) -> list[tuple[Object, str]]:
    """(volume of the pod, name of its claim) of every volume that has a claim."""
    found: list[tuple[Object, str]] = []
    for volume in spec_of(pod).get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.append((volume, str(volume["persistentVolumeClaim"].get("claimName") or "")))
        elif "ephemeral" in volume:
            found.append((volume, ephemeral_claim(pod, volume)))
    return found
