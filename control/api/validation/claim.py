"""PersistentVolumeClaims: what may be asked for, and how little of it may change.

A claim's spec is fixed once it is made, for a volume was found or made to fit it. Three things are excepted: the binder
names the volume (once), a class may be given to a claim that had none, and the size of a bound claim may grow; it may
shrink again as long as the volume has not grown yet. Claims inside pods (generic ephemeral volumes) obey these rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.api import faults, names, quantity
from control.api.objects import Object, annotations_of, spec_of, status_of
from control.api.status import FieldError
from control.api.storage import BETA_CLASS, amount
from control.api.validation.meta import validate_annotations, validate_label_selector, validate_labels

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
NO_ATTRIBUTES = "loopkube does not serve VolumeAttributesClasses"
_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def validate_claim(claim: Object) -> list[FieldError]:
    beta = annotations_of(claim).get(BETA_CLASS)
    path = f"metadata.annotations[{BETA_CLASS}]"
    found = faults.each_invalid(path, beta, names.dns_subdomain(beta)) if beta else []
    return found + validate_claim_spec(spec_of(claim), "spec")


def validate_claim_spec(spec: Any, path: str) -> list[FieldError]:
    found = validate_access_modes(spec.get("accessModes") or (), path, "at least 1 access mode is required")
    if spec.get("selector") is not None:
        found += validate_label_selector(spec["selector"], f"{path}.selector")
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        found.append(faults.required(f"{path}.resources[storage]"))
    else:
        found += positive(f"{path}.resources[storage]", wanted)
    storage_class = spec.get("storageClassName")
    if storage_class:
        found += faults.each_invalid(f"{path}.storageClassName", storage_class, names.dns_subdomain(storage_class))
    found += faults.one_of(f"{path}.volumeMode", spec.get("volumeMode"), VOLUME_MODES, optional=True)
    if spec.get("volumeAttributesClassName"):
        found.append(faults.forbidden(f"{path}.volumeAttributesClassName", NO_ATTRIBUTES))
    return found + _data_sources(spec, path)


def validate_access_modes(modes: Sequence[str], path: str, none: str = "") -> list[FieldError]:
    at = f"{path}.accessModes"
    if not modes:
        return [faults.required(at, none)]
    found = [faults.not_supported(at, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        found.append(faults.forbidden(at, "may not use ReadWriteOncePod with other access modes"))
    return found


def positive(path: str, value: str) -> list[FieldError]:
    text = quantity.parse(str(value))
    if text.nano <= 0:
        return [faults.invalid(path, str(text), "must be greater than zero")]
    if text.nano % quantity.NANO:
        return [faults.invalid(path, str(text), "must be an integer")]
    return []


def _data_sources(spec: Any, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("dataSource", "dataSourceRef"):
        source = spec.get(field)
        if not source:
            continue
        at = f"{path}.{field}"
        found += [faults.required(f"{at}.{part}") for part in ("name", "kind") if not source.get(part)]
        if not source.get("apiGroup") and source.get("kind") and source["kind"] != "PersistentVolumeClaim":
            found.append(
                faults.invalid(
                    at, source["kind"], "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
                )
            )
    if spec.get("dataSource") and spec.get("dataSourceRef"):
        reference = {key: value for key, value in spec["dataSourceRef"].items() if key != "namespace"}
        if reference != spec["dataSource"]:
            found.append(faults.invalid(path, spec["dataSource"], "must match dataSourceRef"))
    return found


def validate_template(template: Object, path: str) -> list[FieldError]:
    """The claim inside a generic ephemeral volume: of its metadata only labels and annotations mean something."""
    own = template.get("metadata") or {}
    found = validate_labels(own.get("labels") or {}, f"{path}.metadata.labels")
    found += validate_annotations(own.get("annotations") or {}, f"{path}.metadata.annotations")
    for field in sorted(own.keys() - {"labels", "annotations", "creationTimestamp"}):
        found.append(faults.forbidden(f"{path}.metadata", f"may not be set for an ephemeral volume: {field}"))
    return found + validate_claim_spec(template.get("spec") or {}, f"{path}.spec")


def validate_claim_update(new: Object, old: Object) -> list[FieldError]:
    after, before = dict(spec_of(new)), dict(spec_of(old))
    found: list[FieldError] = []
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    found += faults.immutable(
        "metadata." + BETA_CLASS, annotations_of(new).get(BETA_CLASS), annotations_of(old).get(BETA_CLASS)
    )
    if before.get("storageClassName") is None and BETA_CLASS not in annotations_of(old):
        after.pop("storageClassName", None)  # the default class came later (KEP-3333)
    if status_of(old).get("phase") == "Bound":
        after["resources"] = before.get("resources")
    if after != before:
        found.append(faults.forbidden("spec", _FIXED))
    return found + _shrinking(new, old)


def _shrinking(new: Object, old: Object) -> list[FieldError]:
    """A request may go back only as far as the volume has not followed it (KEP-1790)."""
    wanted, before = (amount((spec_of(one).get("resources") or {}).get("requests")) for one in (new, old))
    if wanted < before and wanted <= amount(status_of(old).get("capacity")):
        return [faults.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    return []


def validate_claim_status(new: Object, old: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("capacity", "allocatedResources"):
        for name, value in (status_of(new).get(field) or {}).items():
            at = f"status.{field}[{name}]"
            found += faults.each_invalid(at, name, names.qualified_name(name))
            if quantity.parse(str(value)).nano < 0:
                found.append(faults.invalid(at, str(value), faults.NEGATIVE))
    return found
