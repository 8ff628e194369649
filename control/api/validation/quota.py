"""ResourceQuotas and LimitRanges: names that can be limited, scopes that fit them, bounds in order.

What a quota may limit is any name with a domain, and of the plain ones those that Kubernetes counts. A scope says which
pods are meant, so it goes with names of pods only; two scopes that exclude each other can never both hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.api import faults, names
from control.api.objects import Object, spec_of, status_of
from control.api.podresources import Amounts, amounts_of
from control.api.quantity import NANO
from control.api.quota import (
    BEST_EFFORT,
    NOT_BEST_EFFORT,
    NOT_TERMINATING,
    SCOPES,
    TERMINATING,
    is_standard,
    scope_allows,
)
from control.api.quota import CROSS_NAMESPACE as CROSS
from control.api.status import FieldError
from control.api.validation.resources import HUGE_PAGES, container_resource_name, is_extended, validate_amount

_OPPOSITES = ({BEST_EFFORT, NOT_BEST_EFFORT}, {TERMINATING, NOT_TERMINATING})
_EXISTING = frozenset({BEST_EFFORT, NOT_BEST_EFFORT, TERMINATING, NOT_TERMINATING, CROSS})
_EXIST = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_STANDARD = "must be a standard resource type or fully qualified"
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def validate_quota(quota: Object) -> list[FieldError]:
    spec = spec_of(quota)
    return _hard(spec.get("hard"), "spec.hard") + _scopes(spec) + _scope_selector(spec)


def validate_quota_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new).get("scopes") or [], spec_of(old).get("scopes") or []
    if set(after) == set(before):
        return []
    return [faults.invalid("spec.scopes", after, faults.IMMUTABLE)]


def validate_quota_status(new: Object, old: Object) -> list[FieldError]:
    status = status_of(new)
    return _hard(status.get("hard"), "status.hard") + _hard(status.get("used"), "status.used")


def _hard(amounts: Mapping[str, str] | None, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for name, amount in (amounts or {}).items():
        at = f"{path}[{name}]"
        complaints = names.qualified_name(name)
        found += faults.each_invalid(at, name, complaints)
        if not complaints and "/" not in name and not is_standard(name):
            found.append(faults.invalid(at, name, "must be a standard resource for quota"))
        found += validate_amount(name, amount, at)
    return found


def _standard_names(spec: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in spec.get("hard") or () if is_standard(name))


def _scopes(spec: Mapping[str, Any]) -> list[FieldError]:
    scopes, path = spec.get("scopes") or [], "spec.scopes"
    found: list[FieldError] = []
    for scope in scopes:
        if scope not in SCOPES:
            found.append(faults.invalid(path, scopes, "unsupported scope"))
        if any(not scope_allows(scope, name) for name in _standard_names(spec)):
            found.append(faults.invalid(path, scopes, "unsupported scope applied to resource"))
    if any(pair <= set(scopes) for pair in _OPPOSITES):
        found.append(faults.invalid(path, scopes, "conflicting scopes"))
    return found


def _scope_selector(spec: Mapping[str, Any]) -> list[FieldError]:
    selector, path = spec.get("scopeSelector"), "spec.scopeSelector.matchExpressions"
    if selector is None:
        return []
    found: list[FieldError] = []
    seen = set()
    for requirement in selector.get("matchExpressions") or ():
        scope = requirement.get("scopeName") or ""
        seen.add(scope)
        if scope not in SCOPES:
            found.append(faults.invalid(f"{path}.scopeName", scope, "unsupported scope"))
        if any(not scope_allows(scope, name) for name in _standard_names(spec)):
            found.append(faults.invalid(path, selector, "unsupported scope applied to resource"))
        found += _operator(scope, requirement, path)
    if any(pair <= seen for pair in _OPPOSITES):
        found.append(faults.invalid(path, spec.get("scopes"), "conflicting scopes"))
    return found


def _operator(scope: str, requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, values = requirement.get("operator") or "", requirement.get("values") or []
    found: list[FieldError] = []
    if scope in _EXISTING and operator != "Exists":
        found.append(faults.invalid(f"{path}.operator", operator, _EXIST))
    if operator in ("In", "NotIn"):
        if not values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(faults.required(f"{path}.values", why))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(faults.invalid(f"{path}.values", values, why))
    else:
        found.append(faults.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return found


# --- limit ranges -------------------------------------------------------------------------------------------------


def validate_limit_range(limit_range: Object) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(spec_of(limit_range).get("limits") or ()):
        path, type_ = f"spec.limits[{index}]", item.get("type") or ""
        found += _limit_type(type_, f"{path}.type")
        if type_ in seen:
            found.append(faults.duplicate(f"{path}.type", type_))
        seen.add(type_)
        found += _limit_names(item, type_, path)
        bounds = {bound: amounts_of(item.get(bound)) for bound in _BOUNDS}
        for name in sorted({name for amounts in bounds.values() for name in amounts}):
            found += _order(name, bounds, path)
    return found


def _limit_type(type_: str, path: str) -> list[FieldError]:
    complaints = names.qualified_name(type_)
    if not complaints and "/" not in type_ and type_ not in _LIMIT_TYPES:
        complaints = ["must be a standard limit type or fully qualified"]
    return faults.each_invalid(path, type_, complaints)


def _limit_names(item: Mapping[str, Any], type_: str, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for bound in _BOUNDS:
        if type_ == "Pod" and bound.startswith("default"):
            if item.get(bound):
                found.append(faults.forbidden(f"{path}.{bound}", "may not be specified when `type` is 'Pod'"))
            continue
        for name in item.get(bound) or ():
            at = f"{path}.{bound}[{name}]"
            found += container_resource_name(name, at) if type_ in ("Pod", "Container") else _any_name(name, at)
    bounded = (item.get("min") or {}).keys() | (item.get("max") or {}).keys()
    if type_ == "PersistentVolumeClaim" and "storage" not in bounded:
        why = "either minimum or maximum storage value is required, but neither was provided"
        found.append(faults.required(f"{path}.limits", why))
    return found


def _any_name(name: str, path: str) -> list[FieldError]:
    complaints = names.qualified_name(name)
    plain = "/" not in name and name != "storage" and not is_standard(name)
    return faults.each_invalid(path, name, complaints or ([_STANDARD] if plain else []))


def _order(name: str, bounds: Mapping[str, Amounts], path: str) -> list[FieldError]:
    """min <= default request <= default <= max, and ratios that can be met."""
    least, most, limit = bounds["min"].get(name), bounds["max"].get(name), bounds["default"].get(name)
    request, ratio = bounds["defaultRequest"].get(name), bounds["maxLimitRequestRatio"].get(name)
    found: list[FieldError] = []

    def wrong(field: str, value: object, why: str) -> None:
        found.append(faults.invalid(f"{path}.{field}[{name}]", str(value), why))

    if least and most and least.nano > most.nano:
        wrong("min", least, f"min value {least} is greater than max value {most}")
    if request and least and least.nano > request.nano:
        wrong("defaultRequest", request, f"min value {least} is greater than default request value {request}")
    if request and most and request.nano > most.nano:
        wrong("defaultRequest", request, f"default request value {request} is greater than max value {most}")
    if request and limit and request.nano > limit.nano:
        wrong("defaultRequest", request, f"default request value {request} is greater than default limit value {limit}")
    if limit and least and least.nano > limit.nano:
        wrong("default", least, f"min value {least} is greater than default value {limit}")
    if limit and most and limit.nano > most.nano:
        wrong("default", most, f"default value {limit} is greater than max value {most}")
    if ratio and ratio.nano < NANO:
        wrong("maxLimitRequestRatio", ratio, f"ratio {ratio} is less than 1")
    if ratio and least and most and least.nano and ratio.nano * least.nano > most.nano * NANO:
        wrong("maxLimitRequestRatio", ratio, f"ratio {ratio} is greater than max/min = {most.nano / least.nano:f}")
    exact = is_extended(name) or name.startswith(HUGE_PAGES)
    if exact and limit and request and limit.nano != request.nano:
        why = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        wrong("defaultRequest", request, why)
    return found
