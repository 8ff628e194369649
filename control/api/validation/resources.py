"""Requests and limits: known names, amounts that are not negative, requests within limits.

Huge pages and extended resources (`example.com/gpu`) cannot be overcommitted: whoever requests one limits it to the
same amount, and the amount is whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from control.api import faults, names, quantity
from control.api.objects import Object
from control.api.status import FieldError

CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE_PAGES = "hugepages-"
_WHOLE = frozenset({
    "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
    "services.nodeports", "services.loadbalancers",
})  # fmt: skip


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.")


def validate_amount(name: str, amount: str, path: str) -> list[FieldError]:
    value = quantity.parse(str(amount))
    if value.nano < 0:
        return [faults.invalid(path, str(value), faults.NEGATIVE)]
    if (name in _WHOLE or is_extended(name)) and value.nano % quantity.NANO:
        return [faults.invalid(path, str(value), "must be an integer")]
    return []


def validate_resources(resources: Object, path: str, claims: frozenset[str] = frozenset()) -> list[FieldError]:
    found: list[FieldError] = []
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    for name, amount in limits.items():
        at = f"{path}.limits[{name}]"
        found += container_resource_name(name, f"{path}.limits") + validate_amount(name, amount, at)
    for name, amount in requests.items():
        found += container_resource_name(name, f"{path}.requests") + validate_amount(
            name, amount, f"{path}.requests[{name}]"
        )
        found += _within_limit(name, amount, limits.get(name), path)
    for index, claim in enumerate(resources.get("claims") or ()):
        name = claim.get("name") or ""
        if not name:
            found.append(faults.required(f"{path}.claims[{index}]"))
        elif name not in claims:
            found.append(faults.not_found(f"{path}.claims[{index}]", name))
    return found


def _within_limit(name: str, amount: str, limit: str | None, path: str) -> list[FieldError]:
    exact = is_extended(name) or name.startswith(HUGE_PAGES)
    if limit is None:
        why = "Limit must be set for non overcommitable resources"
        return [faults.required(f"{path}.limits", why)] if exact else []
    requested, most = quantity.parse(str(amount)), quantity.parse(str(limit))
    if exact and requested.nano != most.nano:
        return [faults.invalid(f"{path}.requests", str(requested), f"must be equal to {name} limit of {most}")]
    if requested.nano > most.nano:
        why = f"must be less than or equal to {name} limit of {most}"
        return [faults.invalid(f"{path}.requests", str(requested), why)]
    return []


def container_resource_name(name: str, path: str) -> list[FieldError]:
    if name in CONTAINER_RESOURCES or name.startswith(HUGE_PAGES):
        return []
    complaints = names.qualified_name(name)
    if complaints:
        return faults.each_invalid(path, name, complaints)
    if "/" not in name:
        why = "must be a standard resource type or fully qualified"
        return [
            faults.invalid(path, name, why),
            faults.invalid(path, name, "must be a standard resource for containers"),
        ]
    if is_native(name):
        return [faults.invalid(path, name, "must be a standard resource for containers")]
    return []
