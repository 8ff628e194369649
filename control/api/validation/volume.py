"""Volumes of a pod: a unique name and exactly one source, each with its required fields.

The sources that loopkube can provide (files from ConfigMaps, Secrets, the downward API; empty folders, the machine's
own, and those of claims) are checked in full. The others are real Kubernetes volumes that no node here can mount: of
them only the required fields are checked, which are known from the published schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from control.api import faults, names, quantity
from control.api.objects import Object
from control.api.schema import schema_of
from control.api.status import FieldError
from control.api.validation.claim import validate_template as validate_claim_template
from control.api.validation.container import descending_path
from control.api.validation.environment import VOLUME_FIELDS, validate_field_ref, validate_resource_ref

MODE_MAX = 0o777
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def validate_volumes(volumes: Sequence[Object], path: str) -> tuple[dict[str, Object], list[FieldError]]:
    """The volumes by name, and the faults."""
    found: list[FieldError] = []
    named: dict[str, Object] = {}
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        found += _source(volume, at)
        name = volume.get("name") or ""
        if not name:
            found.append(faults.required(f"{at}.name"))
            continue
        found += faults.each_invalid(f"{at}.name", name, names.dns_label(name))
        if name in named:
            found.append(faults.duplicate(f"{at}.name", name))
        named[name] = volume
    return named, found


def _source(volume: Object, path: str) -> list[FieldError]:
    kinds = [kind for kind in volume if kind != "name"]
    if not kinds:
        return [faults.required(path, "must specify a volume type")]
    found = [faults.forbidden(f"{path}.{kind}", "may not specify more than 1 volume type") for kind in kinds[1:]]
    kind = kinds[0]
    check = _SOURCES.get(kind)
    if check is not None:
        return check(volume[kind], f"{path}.{kind}") + found
    schema = schema_of("io.k8s.api.core.v1.Volume").properties.get(kind)
    missing = [field for field in sorted(schema.required) if not volume[kind].get(field)] if schema else []
    return [faults.required(f"{path}.{kind}.{field}") for field in missing] + found


def _empty_dir(source: Object, path: str) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit).nano < 0:
        return [faults.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def validate_host_path(source: Object, path: str) -> list[FieldError]:
    place = source.get("path") or ""
    found = [] if place else [faults.required(f"{path}.path")]
    if ".." in place.split("/"):
        found.append(faults.invalid(f"{path}.path", place, "must not contain '..'"))
    kind = source.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        found.append(faults.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return found


def _mode(source: Object, field: str, path: str) -> list[FieldError]:
    mode = source.get(field)
    return [faults.invalid(f"{path}.{field}", mode, _MODE)] if mode is not None and not 0 <= mode <= MODE_MAX else []


def _items(items: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if not item.get("key"):
            found.append(faults.required(f"{at}.key"))
        found += _file(item, at) + _mode(item, "mode", at)
    return found


def _file(item: Object, path: str) -> list[FieldError]:
    place = item.get("path") or ""
    if not place:
        return [faults.required(f"{path}.path")]
    found = descending_path(place, f"{path}.path")
    if place.startswith("..") and not place.startswith("../"):
        found.append(faults.invalid(f"{path}.path", place, "must not start with '..'"))
    return found


def _secret(source: Object, path: str) -> list[FieldError]:
    found = [] if source.get("secretName") else [faults.required(f"{path}.secretName")]
    return found + _mode(source, "defaultMode", path) + _items(source.get("items") or (), f"{path}.items")


def _config_map(source: Object, path: str) -> list[FieldError]:
    found = [] if source.get("name") else [faults.required(f"{path}.name")]
    return found + _mode(source, "defaultMode", path) + _items(source.get("items") or (), f"{path}.items")


def _claim(source: Object, path: str) -> list[FieldError]:
    return [] if source.get("claimName") else [faults.required(f"{path}.claimName")]


def _ephemeral(source: Object, path: str) -> list[FieldError]:
    template = source.get("volumeClaimTemplate")
    if not template:
        return [faults.required(f"{path}.volumeClaimTemplate")]
    return validate_claim_template(template, f"{path}.volumeClaimTemplate")


def _downward(source: Object, path: str) -> list[FieldError]:
    return _mode(source, "defaultMode", path) + _downward_items(source, path)


def _downward_items(source: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, item in enumerate(source.get("items") or ()):
        at = f"{path}.items[{index}]" if "items" in source else path
        found += _file(item, at) + _mode(item, "mode", at)
        if "fieldRef" in item:
            found += validate_field_ref(item["fieldRef"], f"{at}.fieldRef", VOLUME_FIELDS)
            if "resourceFieldRef" in item:
                found.append(
                    faults.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
                )
        elif "resourceFieldRef" in item:
            found += validate_resource_ref(item["resourceFieldRef"], f"{at}.resourceFieldRef", in_volume=True)
        else:
            found.append(faults.required(f"{at}.fieldRef", "one of fieldRef and resourceFieldRef is required"))
    return found


def _projected(source: Object, path: str) -> list[FieldError]:
    found = _mode(source, "defaultMode", path)
    for index, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        kinds = list(part)
        if not kinds:
            found.append(faults.required(at, "must specify one of secret, downwardAPI, configMap, serviceAccountToken"))
            continue
        extra = "may not specify more than 1 volume type per source"
        found += [faults.forbidden(f"{at}.{kind}", extra) for kind in kinds[1:]]
        kind = kinds[0]
        if kind in ("secret", "configMap"):
            if not part[kind].get("name"):
                found.append(faults.required(f"{at}.{kind}.name"))
            found += _items(part[kind].get("items") or (), f"{at}.{kind}.items")
        elif kind == "downwardAPI":
            found += _downward_items(part[kind], f"{at}.{kind}")
        elif kind == "serviceAccountToken":
            found += _token(part[kind], f"{at}.{kind}")
    return found


def _token(token: Object, path: str) -> list[FieldError]:
    seconds = token.get("expirationSeconds")
    found: list[FieldError] = []
    if seconds is not None and seconds < 600:
        why = "may not specify a duration less than 10 minutes"
        found.append(faults.invalid(f"{path}.expirationSeconds", seconds, why))
    elif seconds is not None and seconds > 1 << 32:
        why = "may not specify a duration larger than 2^32 seconds"
        found.append(faults.invalid(f"{path}.expirationSeconds", seconds, why))
    return found + _file(token, path)


_SOURCES: dict[str, Callable[[Object, str], list[FieldError]]] = {
    "emptyDir": _empty_dir, "hostPath": validate_host_path, "secret": _secret, "configMap": _config_map,
    "persistentVolumeClaim": _claim, "downwardAPI": _downward, "projected": _projected,
    "ephemeral": _ephemeral,
}  # fmt: skip
