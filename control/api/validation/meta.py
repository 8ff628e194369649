"""Metadata: what every object's `metadata` must be, at birth and across updates (apimachinery's ObjectMeta rules).

The rules across updates protect what other parts rely on: an identity never changes, deletion is never taken back, and
who is being deleted gets no new finalizers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from control.api import faults, names
from control.api.objects import Object, meta
from control.api.status import FieldError

ANNOTATIONS_MAX = 256 * 1024
SUBRESOURCE_MAX = 256
MANAGER_MAX = 128

_IDENTITY = frozenset({"name", "namespace", "uid", "creationTimestamp"})

NameRule = Callable[[str, bool], Sequence[str]]
"""(name, is a generateName prefix) -> complaints."""


def without_suffix(name: str, prefix: bool) -> str:
    """A generateName prefix may end in a dash, since something follows; for the check it becomes an `a`."""
    return name[:-1] + "a" if prefix and name.endswith("-") else name


def subdomain_name(name: str, prefix: bool) -> Sequence[str]:
    return names.dns_subdomain(without_suffix(name, prefix))


def label_name(name: str, prefix: bool) -> Sequence[str]:
    return names.dns_label(without_suffix(name, prefix))


def label_1035_name(name: str, prefix: bool) -> Sequence[str]:
    return names.dns_1035_label(without_suffix(name, prefix))


def segment_name(name: str, prefix: bool) -> Sequence[str]:
    return names.path_segment(name, prefix=prefix)


def validate_meta(obj: Object, namespaced: bool, name_rule: NameRule) -> list[FieldError]:
    own = meta(obj)
    found: list[FieldError] = []
    prefix = own.get("generateName")
    if prefix:
        found += faults.each_invalid("metadata.generateName", prefix, name_rule(prefix, True))
    name = own.get("name")
    if not name:
        found.append(faults.required("metadata.name", "name or generateName is required"))
    else:
        found += faults.each_invalid("metadata.name", name, name_rule(name, False))
    namespace = own.get("namespace")
    if not namespaced:
        if namespace:
            found.append(faults.forbidden("metadata.namespace", "not allowed on this type"))
    elif not namespace:
        found.append(faults.required("metadata.namespace"))
    else:
        found += faults.each_invalid("metadata.namespace", namespace, names.dns_label(namespace))
    if own.keys() - _IDENTITY:
        found += _generation(own) + _descriptions(own) + _finalizers(own.get("finalizers") or ())
    return found


def validate_meta_update(new: Object, old: Object) -> list[FieldError]:
    own, before = meta(new), meta(old)
    found: list[FieldError] = []
    if before.get("deletionTimestamp"):
        added = sorted(set(own.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{each}"' for each in added)
            why = "no new finalizers can be added if the object is being deleted, found new finalizers "
            found.append(faults.forbidden("metadata.finalizers", why + "[]string{" + listed + "}"))
    if not own.get("resourceVersion"):
        found.append(faults.invalid("metadata.resourceVersion", "", "must be specified for an update"))
    if (own.get("generation") or 0) < (before.get("generation") or 0):
        wrong = own.get("generation") or 0
        found.append(faults.invalid("metadata.generation", wrong, "must not be decremented"))
    for field in ("name", "namespace", "uid"):
        found += faults.immutable(f"metadata.{field}", own.get(field) or "", before.get(field) or "")
    for field in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        found += faults.immutable(f"metadata.{field}", own.get(field), before.get(field))
    return found


def _generation(own: Mapping[str, Any]) -> list[FieldError]:
    generation = own.get("generation") or 0
    if generation < 0:
        return [faults.invalid("metadata.generation", generation, "must be greater than or equal to 0")]
    return []


def _descriptions(own: Mapping[str, Any]) -> list[FieldError]:
    found: list[FieldError] = []
    labels = own.get("labels")
    if labels:
        found += validate_labels(labels, "metadata.labels")
    annotations = own.get("annotations")
    if annotations:
        found += validate_annotations(annotations, "metadata.annotations")
    owners = own.get("ownerReferences")
    if owners:
        found += _owners(owners, "metadata.ownerReferences")
    for index, entry in enumerate(own.get("managedFields") or ()):
        found += _managed(entry, f"metadata.managedFields[{index}]")
    return found


def validate_labels(labels: Mapping[str, str], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for key, value in labels.items():
        complaints = names.qualified_name(key)
        if complaints:
            found += faults.each_invalid(path, key, complaints)
        complaints = names.label_value(value)
        if complaints:
            found += faults.each_invalid(path, value, complaints)
    return found


def validate_annotations(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        complaints = names.qualified_name(key.lower())
        if complaints:
            found += faults.each_invalid(path, key, complaints)
        size += len(key) + len(value)
    if size > ANNOTATIONS_MAX // 4:  # characters are at most four bytes: count exactly only when it may matter
        size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        if size > ANNOTATIONS_MAX:
            found.append(faults.too_long(path, ANNOTATIONS_MAX))
    return found


def _owners(owners: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    controller = ""
    for index, owner in enumerate(owners):
        at = f"{path}[{index}]"
        version = owner.get("apiVersion") or ""
        if not version:
            found.append(faults.required(f"{at}.apiVersion", "must not be empty"))
        elif version.count("/") > 1 or version.endswith("/"):
            found.append(faults.invalid(f"{at}.apiVersion", version, "must be <group>/<version> or <version>"))
        missing = [field for field in ("kind", "name", "uid") if not owner.get(field)]
        found += [faults.required(f"{at}.{field}", "must not be empty") for field in missing]
        if version == "v1" and owner.get("kind") == "Event":
            found.append(faults.invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                why = 'Only one reference can have Controller set to true. Found "true" in references for'
                found.append(faults.invalid(path, owners, f"{why} {controller} and {this}"))
            else:
                controller = this
    return found


def _finalizers(finalizers: Sequence[str]) -> list[FieldError]:
    found: list[FieldError] = []
    for finalizer in finalizers:
        found += faults.each_invalid("metadata.finalizers", finalizer, names.qualified_name(finalizer))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(faults.invalid("metadata.finalizers", list(finalizers), why))
    return found


def _managed(entry: Object, at: str) -> list[FieldError]:
    found: list[FieldError] = []
    operation = entry.get("operation")
    if not operation:
        found.append(faults.required(f"{at}.operation", "must not be empty"))
    elif operation not in ("Apply", "Update"):
        found.append(faults.not_supported(f"{at}.operation", operation, ("Apply", "Update")))
    if entry.get("fieldsType", "FieldsV1") not in ("", "FieldsV1"):
        found.append(faults.invalid(f"{at}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
    if len(entry.get("manager") or "") > MANAGER_MAX:
        found.append(faults.too_long(f"{at}.manager", MANAGER_MAX))
    if len(entry.get("subresource") or "") > SUBRESOURCE_MAX:
        found.append(faults.too_long(f"{at}.subresource", SUBRESOURCE_MAX))
    return found


def validate_label_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """A LabelSelector object."""
    if selector is None:
        return []
    found = validate_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator") or "", expression.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                why = "must be specified when `operator` is 'In' or 'NotIn'"
                found.append(faults.required(f"{at}.values", why))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                found.append(faults.forbidden(f"{at}.values", why))
        else:
            found.append(faults.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        key = expression.get("key") or ""
        found += faults.each_invalid(f"{at}.key", key, names.qualified_name(key))
        for number, value in enumerate(values):
            found += faults.each_invalid(f"{at}.values[{number}]", value, names.label_value(value))
    return found
