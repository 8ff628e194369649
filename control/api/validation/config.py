"""ConfigMaps and Secrets: keys that work as file names, a size that fits, and immutability once it is asked for.

Secrets of a well-known type must have the keys that consumers of the type read.
"""

from __future__ import annotations

import base64

import orjson

from control.api import faults, names
from control.api.objects import Object, annotations_of
from control.api.status import FieldError

SIZE_MAX = 1024 * 1024
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
_FROZEN = "field is immutable when `immutable` is set"
_NEEDED: dict[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
"""Keys that a type must have."""


def _keys(obj: Object, *fields: str) -> tuple[list[FieldError], int]:
    """Faults of the keys, and the size of all values as they are written."""
    found: list[FieldError] = []
    size = 0
    for field in fields:
        for key, value in (obj.get(field) or {}).items():
            complaints = names.config_key(key)
            if complaints:
                found += faults.each_invalid(f"{field}[{key}]", key, complaints)
            size += len(value)
    return found, size


def validate_config_map(config_map: Object) -> list[FieldError]:
    found, size = _keys(config_map, "data", "binaryData")
    for key in (config_map.get("data") or {}).keys() & (config_map.get("binaryData") or {}).keys():
        found.append(faults.invalid(f"binaryData[{key}]", key, "duplicate of key present in data"))
    if size > SIZE_MAX // 4 and _exact_size(config_map) > SIZE_MAX:
        found.append(faults.too_long("", SIZE_MAX))
    return found


def _exact_size(config_map: Object) -> int:
    texts = sum(len(value.encode()) for value in (config_map.get("data") or {}).values())
    return texts + sum(_decoded_size(value) for value in (config_map.get("binaryData") or {}).values())


def _decoded_size(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded.count("=")


def validate_config_map_update(new: Object, old: Object) -> list[FieldError]:
    return _frozen(new, old, "data", "binaryData")


def _frozen(new: Object, old: Object, *fields: str) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    found = [] if new.get("immutable") else [faults.forbidden("immutable", _FROZEN)]
    changed = [field for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    return found + [faults.forbidden(field, _FROZEN) for field in changed]


def validate_secret(secret: Object) -> list[FieldError]:
    found, _ = _keys(secret, "data")
    data: dict[str, str] = secret.get("data") or {}
    if sum(_decoded_size(value) for value in data.values()) > SIZE_MAX:
        found.append(faults.too_long("data", SIZE_MAX))
    kind = secret.get("type") or ""
    found += [faults.required(f"data[{key}]") for key in _NEEDED.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/service-account-token" and not annotations_of(secret).get(ACCOUNT_ANNOTATION):
        found.append(faults.required(f"metadata.annotations[{ACCOUNT_ANNOTATION}]"))
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        found += [faults.required(f"data[{key}]") for key in ("username", "password")]
    if kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"):
        key = _NEEDED[kind][0]
        if key in data and not _is_json(data[key]):
            found.append(faults.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character"))
    return found


def _is_json(encoded: str) -> bool:
    try:
        orjson.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


def validate_secret_update(new: Object, old: Object) -> list[FieldError]:
    return faults.immutable("type", new.get("type") or "", old.get("type") or "") + _frozen(new, old, "data")
