"""Rows of volumes, claims and classes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from control.api.columns.cells import AGE, NAME, Cell, path
from control.api.objects import Object, annotations_of, is_deleting, meta, name_of, spec_of, status_of
from control.api.scheme import Column
from control.api.storage import IS_DEFAULT, IS_DEFAULT_BETA, class_of

UNSET = "<unset>"
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def short_modes(modes: Iterable[str]) -> str:
    """Each mode once, in kubectl's order."""
    found = set(modes)
    return ",".join(short for mode, short in _SHORT.items() if mode in found)


def _phase(obj: Object, now: datetime) -> Any:
    return "Terminating" if is_deleting(obj) else status_of(obj).get("phase") or ""


def _class(obj: Object, now: datetime) -> Any:
    return class_of(obj)


def _volume_modes(volume: Object, now: datetime) -> Any:
    return short_modes(spec_of(volume).get("accessModes") or ())


def _claim_ref(volume: Object, now: datetime) -> Any:
    ref = spec_of(volume).get("claimRef")
    return f"{ref.get('namespace') or ''}/{ref.get('name') or ''}" if ref else ""


def _claim_modes(claim: Object, now: datetime) -> Any:
    """What it got; nothing until it names a volume."""
    return short_modes(status_of(claim).get("accessModes") or ()) if spec_of(claim).get("volumeName") else ""


def _claim_capacity(claim: Object, now: datetime) -> Any:
    if not spec_of(claim).get("volumeName"):
        return ""
    return (status_of(claim).get("capacity") or {}).get("storage") or "0"


def _or_unset(field: str) -> Cell:
    return path("spec", field, absent=UNSET)


_CLASS = Column("StorageClass", _class, description="The class that it is of.")
_ATTRIBUTES = Column(
    "VolumeAttributesClass", _or_unset("volumeAttributesClassName"), description="The class of its attributes."
)
_STATUS = Column("Status", _phase, description="Where it is in its life.")
_MODE = Column("VolumeMode", _or_unset("volumeMode"), description="Filesystem or Block.", priority=1)

VOLUME_COLUMNS = (
    NAME,
    Column("Capacity", path("spec", "capacity", "storage", absent="0"), description="How large it is."),
    Column("Access Modes", _volume_modes, description="How it can be mounted."),
    Column(
        "Reclaim Policy", path("spec", "persistentVolumeReclaimPolicy", absent=""),
        description="What becomes of it when its claim is gone.",
    ),
    _STATUS,
    Column("Claim", _claim_ref, description="The claim that it is bound or promised to."),
    _CLASS,
    _ATTRIBUTES,
    Column("Reason", path("status", "reason", absent=""), description="Why it failed."),
    AGE,
    _MODE,
)  # fmt: skip

CLAIM_COLUMNS = (
    NAME,
    _STATUS,
    Column("Volume", path("spec", "volumeName", absent=""), description="The volume that it is bound to."),
    Column("Capacity", _claim_capacity, description="How large that is."),
    Column("Access Modes", _claim_modes, description="How that can be mounted."),
    _CLASS,
    _ATTRIBUTES,
    AGE,
    _MODE,
)


def _class_name(storage_class: Object, now: datetime) -> Any:
    marked = any(annotations_of(storage_class).get(key) == "true" for key in (IS_DEFAULT, IS_DEFAULT_BETA))
    name = name_of(storage_class) or meta(storage_class).get("generateName") or ""
    return f"{name} (default)" if marked else name


STORAGE_CLASS_COLUMNS = (
    Column("Name", _class_name, format="name", description=NAME.description),
    Column("Provisioner", path("provisioner", absent=""), description="Who makes its volumes."),
    Column("ReclaimPolicy", path("reclaimPolicy", absent="Delete"), description="What its volumes are made with."),
    Column(
        "VolumeBindingMode", path("volumeBindingMode", absent="Immediate"), description="When its claims are bound."
    ),
    Column(
        "AllowVolumeExpansion", path("allowVolumeExpansion", absent=False),
        description="Whether its volumes can grow.",
    ),
    AGE,
)  # fmt: skip
