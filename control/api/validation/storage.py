"""PersistentVolumes and StorageClasses.

A volume has exactly one source, a size, and access modes; where its data lie does not change after it was made. A class
is a recipe: volumes were made from it, so nothing of the recipe may change but whether they may grow and what the class
is called by (labels, annotations). All sources are accepted; which of them a node can mount is the kubelet's to say,
and the API warns about the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.api import faults, names
from control.api.objects import Object, spec_of
from control.api.schema import schema_of
from control.api.status import FieldError
from control.api.validation.affinity import validate_node_selector
from control.api.validation.claim import NO_ATTRIBUTES, VOLUME_MODES, positive, validate_access_modes
from control.api.validation.volume import validate_host_path

_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = frozenset({
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeAttributesClassName", "volumeMode",
})  # fmt: skip
PARAMETERS_MAX = 512
PARAMETER_BYTES_MAX = 256 * 1024  # both of the storage API's validation


def validate_volume(volume: Object) -> list[FieldError]:
    spec = spec_of(volume)
    found = validate_access_modes(spec.get("accessModes") or (), "spec") + _capacity(spec.get("capacity") or {})
    found += faults.one_of(
        "spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy"), _RECLAIM_POLICIES,
        optional=True,
    )  # fmt: skip
    required = (spec.get("nodeAffinity") or {}).get("required")
    if spec.get("nodeAffinity") is not None:
        if required is None:
            found.append(faults.required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            found += validate_node_selector(required, "spec.nodeAffinity.required")
    found += _source(spec)
    if "local" in spec and required is None:
        found.append(faults.required("metadata.annotations", "Local volume requires node affinity"))
    if (spec.get("hostPath") or {}).get("path") == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        found.append(faults.forbidden("spec.persistentVolumeReclaimPolicy", why))
    storage_class = spec.get("storageClassName")
    if storage_class:
        found += faults.each_invalid("spec.storageClassName", storage_class, names.dns_subdomain(storage_class))
    found += faults.one_of("spec.volumeMode", spec.get("volumeMode"), VOLUME_MODES, optional=True)
    if spec.get("volumeAttributesClassName"):
        found.append(faults.forbidden("spec.volumeAttributesClassName", NO_ATTRIBUTES))
    return found


def _capacity(capacity: Mapping[str, Any]) -> list[FieldError]:
    if not capacity:
        return [faults.required("spec.capacity")]
    found: list[FieldError] = []
    if set(capacity) != {"storage"}:
        found.append(faults.not_supported("spec.capacity", dict(capacity), ("storage",)))
    for name, value in sorted(capacity.items()):
        found += positive(f"spec.capacity[{name}]", value)
    return found


def _source(spec: Mapping[str, Any]) -> list[FieldError]:
    kinds = [kind for kind in spec if kind not in _NOT_SOURCES]
    if not kinds:
        return [faults.required("spec", "must specify a volume type")]
    found = [faults.forbidden(f"spec.{kind}", "may not specify more than 1 volume type") for kind in kinds[1:]]
    kind, source = kinds[0], spec[kinds[0]] or {}
    if kind == "hostPath":
        return validate_host_path(source, "spec.hostPath") + found
    if kind == "local":
        place = source.get("path") or ""
        if not place:
            found.append(faults.required("spec.local.path"))
        elif ".." in place.split("/"):
            found.append(faults.invalid("spec.local.path", place, "must not contain '..'"))
        return found
    schema = schema_of("io.k8s.api.core.v1.PersistentVolumeSpec").properties.get(kind)
    missing = [field for field in sorted(schema.required) if not source.get(field)] if schema else []
    return [faults.required(f"spec.{kind}.{field}") for field in missing] + found


def validate_volume_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new), spec_of(old)
    found: list[FieldError] = []
    sources = [{kind: spec[kind] for kind in spec if kind not in _NOT_SOURCES} for spec in (after, before)]
    if sources[0] != sources[1]:
        why = "spec.persistentvolumesource is immutable after creation"
        found.append(faults.forbidden("spec.persistentvolumesource", why))
    found += faults.immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        found += faults.immutable("spec.nodeAffinity", after.get("nodeAffinity"), before["nodeAffinity"])
    return found


def validate_storage_class(storage_class: Object) -> list[FieldError]:
    provisioner = storage_class.get("provisioner") or ""
    if provisioner:
        found = faults.each_invalid("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    else:
        found = [faults.required("provisioner")]
    parameters = storage_class.get("parameters") or {}
    if len(parameters) > PARAMETERS_MAX:
        found.append(faults.too_long("parameters", PARAMETERS_MAX))
    if "" in parameters:
        found.append(faults.invalid("parameters", "", "field can not be empty."))
    if sum(len(key) + len(value) for key, value in parameters.items()) > PARAMETER_BYTES_MAX:
        found.append(faults.too_long("parameters", PARAMETER_BYTES_MAX))
    found += faults.one_of("reclaimPolicy", storage_class.get("reclaimPolicy"), ("Delete", "Retain"), optional=True)
    modes = ("Immediate", "WaitForFirstConsumer")
    found += faults.one_of("volumeBindingMode", storage_class.get("volumeBindingMode"), modes)
    return found + _topologies(storage_class)


def _topologies(storage_class: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for index, term in enumerate(storage_class.get("allowedTopologies") or ()):
        for number, expression in enumerate(term.get("matchLabelExpressions") or ()):
            at = f"allowedTopologies[{index}].matchLabelExpressions[{number}]"
            key = expression.get("key") or ""
            if not expression.get("values"):
                found.append(faults.required(f"{at}.values"))
            found += faults.each_invalid(f"{at}.key", key, names.qualified_name(key))
    return found


def validate_storage_class_update(new: Object, old: Object) -> list[FieldError]:
    changed = [
        field
        for field in ("parameters", "provisioner", "reclaimPolicy")
        if (new.get(field) or None) != (old.get(field) or None)
    ]
    found = [faults.forbidden(field, f"updates to {field} are forbidden.") for field in changed]
    return found + faults.immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))
