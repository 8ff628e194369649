"""Environment variables of containers: names, and one source each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from control.api import faults, names, quantity
from control.api.objects import Object
from control.api.status import FieldError

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_LARGE = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
_SUBSCRIPTED = re.compile(r"(metadata\.(?:labels|annotations))\['([^']*)'\]")
_CONVERTIBLE = frozenset({*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "status.phase"})


def validate_env(variables: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, variable in enumerate(variables):
        name = variable.get("name") or ""
        if not name:
            found.append(faults.required(f"{path}[{index}].name"))
        else:
            complaints = names.env_name(name)
            if complaints:
                found += faults.each_invalid(f"{path}[{index}].name", name, complaints)
        source = variable.get("valueFrom")
        if source is not None:
            found += _source(source, bool(variable.get("value")), f"{path}[{index}].valueFrom")
    return found


def _source(source: Object, has_value: bool, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if "fieldRef" in source:
        found += validate_field_ref(source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS)
    if "resourceFieldRef" in source:
        found += validate_resource_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", in_volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            found += _key(source[kind], f"{path}.{kind}")
    count = len(source.keys() & {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"})
    if "fileKeyRef" in source:
        count += 1
        found += _file_key(source["fileKeyRef"], f"{path}.fileKeyRef")
    if count == 0:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        found.append(faults.invalid(path, "", why))
    elif has_value:
        found.append(faults.invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        found.append(faults.invalid(path, "", "may not have more than one field specified at a time"))
    return found


def _file_key(reference: Object, path: str) -> list[FieldError]:
    return [faults.required(f"{path}.{field}") for field in ("volumeName", "path", "key") if not reference.get(field)]


def validate_field_ref(reference: Object, path: str, allowed: Sequence[str]) -> list[FieldError]:
    """`fieldRef` of a variable or a downward API file."""
    if not reference.get("apiVersion"):
        return [faults.required(f"{path}.apiVersion")]
    field = reference.get("fieldPath") or ""
    if not field:
        return [faults.required(f"{path}.fieldPath")]
    subscripted = _SUBSCRIPTED.fullmatch(field)
    if subscripted:
        key = subscripted[2].lower() if subscripted[1].endswith("annotations") else subscripted[2]
        return faults.each_invalid(path, key, names.qualified_name(key))
    if field not in _CONVERTIBLE:
        why = f"error converting fieldPath: field label not supported: {field}"
        return [faults.invalid(f"{path}.fieldPath", field, why)]
    if field not in allowed:
        return [faults.not_supported(f"{path}.fieldPath", field, sorted(allowed))]
    return []


def validate_resource_ref(reference: Object, path: str, *, in_volume: bool) -> list[FieldError]:
    resource = reference.get("resource") or ""
    found: list[FieldError] = []
    huge = resource.startswith(("requests.hugepages-", "limits.hugepages-"))
    if in_volume and not reference.get("containerName"):
        found.append(faults.required(f"{path}.containerName"))
    elif not resource:
        found.append(faults.required(f"{path}.resource"))
    elif resource not in RESOURCES and not huge:
        found.append(faults.not_supported(f"{path}.resource", resource, RESOURCES))
    divisor = quantity.canonical(str(reference.get("divisor") or "0"))
    if divisor == "0":
        return found
    kind = resource.partition(".")[2]
    if kind == "cpu":
        if divisor not in ("1m", "1"):
            why = "only divisor's values 1m and 1 are supported with the cpu resource"
            found.append(faults.invalid(f"{path}.divisor", resource, why))
    elif divisor not in _LARGE.split(", "):
        noun = {"ephemeral-storage": "local ephemeral storage", "memory": "memory"}.get(kind, "hugepages")
        why = f"only divisor's values {_LARGE} are supported with the {noun} resource"
        found.append(faults.invalid(f"{path}.divisor", resource, why))
    return found


def _key(reference: Object, path: str) -> list[FieldError]:
    name, key = reference.get("name") or "", reference.get("key") or ""
    found = faults.each_invalid(f"{path}.name", name, names.dns_subdomain(name))
    if not key:
        found.append(faults.required(f"{path}.key"))
    else:
        found += faults.each_invalid(f"{path}.key", key, names.config_key(key))
    return found


def validate_env_from(sources: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        prefix = source.get("prefix")
        if prefix:
            found += faults.each_invalid(f"{at}.prefix", prefix, names.env_name(prefix))
        given = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in given:
            name = source[kind].get("name") or ""
            if not name:
                found.append(faults.required(f"{at}.{kind}.name"))
            else:
                found += faults.each_invalid(f"{at}.{kind}.name", name, names.dns_subdomain(name))
        if not given:
            found.append(faults.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(faults.invalid(path, "", "may not have more than one field specified at a time"))
    return found
