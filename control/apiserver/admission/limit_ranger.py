"""LimitRanger: what one container, one pod, one claim may ask for, and what it gets where it does not say.

A new pod first gets, from each LimitRange of its namespace, the default limits and requests of its containers (what was
set is told in an annotation), and is then measured against all of them: each container against the items of type
Container, the sum against those of type Pod. A claim is measured against the items of type PersistentVolumeClaim
whenever it is written; a pod's resources cannot change later. All faults are listed at once, in the words of
plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from control.api.kinds import LIMIT_RANGE, PERSISTENT_VOLUME_CLAIM, POD, Kind
from control.api.objects import Object, is_deleting, meta, name_of, namespace_of, spec_of
from control.api.podresources import Amounts, amounts_of, total
from control.api.quantity import NANO, Quantity
from control.api.status import StatusError, forbidden
from control.apiserver.admission.lookup import Lookup

ANNOTATION = "kubernetes.io/limit-ranger"
MILLI_MAX = (2**63 - 1) // 1000  # resource.MaxMilliValue: above it, ratios are compared in whole units


def apply(pod: Object, lookup: Lookup) -> None:
    """Fills in what the pod leaves open, then refuses it if it asks for too little or too much."""
    ranges = list(lookup.list(LIMIT_RANGE.resource, namespace_of(pod)))
    for each in ranges:
        _fill(pod, each)
    _refuse(POD, pod, [fault for each in ranges for fault in _pod_faults(pod, each)])


def check_claim(claim: Object, lookup: Lookup) -> None:
    requests = amounts_of((spec_of(claim).get("resources") or {}).get("requests"))
    faults = []
    for item in _items(lookup, namespace_of(claim), "PersistentVolumeClaim"):
        faults += [
            _least(item["type"], name, least, requests, {}) for name, least in amounts_of(item.get("min")).items()
        ]
        faults += [
            _most_requested(item["type"], name, most, requests) for name, most in amounts_of(item.get("max")).items()
        ]
    _refuse(PERSISTENT_VOLUME_CLAIM, claim, [fault for fault in faults if fault])


def check_claim_update(new: Object, old: Object, lookup: Lookup) -> None:
    if not is_deleting(old):  # what goes must be able to lose its finalizers
        check_claim(new, lookup)


def _items(lookup: Lookup, namespace: str, type_: str) -> Iterator[Mapping[str, Any]]:
    for each in lookup.list(LIMIT_RANGE.resource, namespace):
        yield from _of_type(each, type_)


def _of_type(limit_range: Object, type_: str) -> Iterator[Mapping[str, Any]]:
    return (item for item in spec_of(limit_range).get("limits") or () if item.get("type") == type_)


def _refuse(kind: Kind, obj: Object, faults: list[str]) -> None:
    if faults:
        faults = list(dict.fromkeys(faults))
        raise _forbidden(kind, obj, faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")


def _forbidden(kind: Kind, obj: Object, why: str) -> StatusError:
    return forbidden(kind, name_of(obj) or meta(obj).get("generateName") or "", why)


# --- defaults -----------------------------------------------------------------------------------------------------


def _fill(pod: Object, limit_range: Object) -> None:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in _of_type(limit_range, "Container"):
        limits |= item.get("default") or {}
        requests |= item.get("defaultRequest") or {}
    if not limits and not requests:
        return
    spec, told = pod.setdefault("spec", {}), []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            for part, defaults in (("requests", requests), ("limits", limits)):
                new = _merge(container, part, defaults)
                if new:
                    told.append(f"{', '.join(new)} {part[:-1]} for {what} {container.get('name') or ''}")
    if told:
        metadata = pod["metadata"]
        annotation = {ANNOTATION: "LimitRanger plugin set: " + "; ".join(told)}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotation}


def _merge(container: Object, part: str, defaults: Mapping[str, str]) -> list[str]:
    own = (container.get("resources") or {}).get(part) or {}
    new = sorted(name for name in defaults if name not in own)
    if new:
        resources = container.setdefault("resources", {})
        resources[part] = {**own, **{name: defaults[name] for name in new}}
    return new


# --- bounds -------------------------------------------------------------------------------------------------------


def _pod_faults(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = spec_of(pod)
    for item in _of_type(limit_range, "Container"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            yield from _faults(item, amounts_of(resources.get("requests")), amounts_of(resources.get("limits")))
    for item in _of_type(limit_range, "Pod"):
        yield from _faults(item, total(spec, "requests"), total(spec, "limits"))


def _faults(item: Mapping[str, Any], requests: Amounts, limits: Amounts) -> Iterator[str]:
    type_ = item["type"]
    found = [_least(type_, name, bound, requests, limits) for name, bound in amounts_of(item.get("min")).items()]
    found += [_most(type_, name, bound, requests, limits) for name, bound in amounts_of(item.get("max")).items()]
    for name, bound in amounts_of(item.get("maxLimitRequestRatio")).items():
        found.append(_ratio(type_, name, bound, requests, limits))
    return (fault for fault in found if fault)


def _least(type_: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"minimum {name} usage per {type_} is {bound}"
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        return f"{start}.  No request is specified"
    if request.nano < bound.nano:
        return f"{start}, but request is {request}"
    if limit is not None and limit.nano < bound.nano:
        return f"{start}, but limit is {limit}"
    return ""


def _most(type_: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"maximum {name} usage per {type_} is {bound}"
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        return f"{start}.  No limit is specified"
    if limit.nano > bound.nano:
        return f"{start}, but limit is {limit}"
    if request is not None and request.nano > bound.nano:
        return f"{start}, but request is {request}"
    return ""


def _most_requested(type_: str, name: str, bound: Quantity, requests: Amounts) -> str:
    start = f"maximum {name} usage per {type_} is {bound}"
    request = requests.get(name)
    if request is None:
        return f"{start}.  No request is specified"
    return f"{start}, but request is {request}" if request.nano > bound.nano else ""


def _ratio(type_: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"{name} max limit to request ratio per {type_} is {bound}"
    request, limit = requests.get(name), limits.get(name)
    if request is None or request.nano == 0:
        return f"{start}, but no request is specified or request is 0"
    if limit is None or limit.nano == 0:
        return f"{start}, but no limit is specified or limit is 0"
    most = bound.nano / NANO if bound.value <= MILLI_MAX else float(bound.value)
    ratio = limit.nano / request.nano
    return f"{start}, but provided ratio is {ratio:f}" if ratio > most else ""
