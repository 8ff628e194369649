"""Storage: the default class of a claim, what keeps claims and volumes in use alive, and who may grow.

A claim that names no class (an empty name is a decision too) gets the default one; where there is none yet, the binder
gives it one later. StorageObjectInUseProtection is a finalizer from birth, which its controller takes away when nothing
uses the object any more. A claim may ask for more than it has only when it is bound and its class allows that.
"""

from __future__ import annotations

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from control.api.objects import Object, meta, name_of, status_of
from control.api.status import forbidden
from control.api.storage import (
    CLAIM_PROTECTION,
    VOLUME_PROTECTION,
    class_of,
    default_class,
    names_a_class,
    requested,
)
from control.apiserver.admission.lookup import Lookup


def assign_default_class(claim: Object, lookup: Lookup) -> None:
    if names_a_class(claim):
        return
    found = default_class(lookup.list(STORAGE_CLASS.resource))
    if found is not None:
        claim.setdefault("spec", {})["storageClassName"] = name_of(found)


def protect_claim(claim: Object, lookup: Lookup) -> None:
    _protect(claim, CLAIM_PROTECTION)


def protect_volume(volume: Object, lookup: Lookup) -> None:
    _protect(volume, VOLUME_PROTECTION)


def _protect(obj: Object, finalizer: str) -> None:
    finalizers = meta(obj).get("finalizers") or []
    if finalizer not in finalizers:
        obj.setdefault("metadata", {})["finalizers"] = [*finalizers, finalizer]


def check_growth(new: Object, old: Object, lookup: Lookup) -> None:
    if requested(new) <= requested(old):
        return
    if status_of(old).get("phase") != "Bound":
        raise forbidden(PERSISTENT_VOLUME_CLAIM, name_of(old), "Only bound persistent volume claims can be expanded")
    storage_class = lookup.get(STORAGE_CLASS.resource, "", class_of(old)) if class_of(old) == class_of(new) else None
    if storage_class is None or not storage_class.get("allowVolumeExpansion"):
        why = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        raise forbidden(PERSISTENT_VOLUME_CLAIM, name_of(old), why)
