"""Quotas: what of an object counts against which name of a ResourceQuota, and which quotas an object meets.

A quota limits the sum, over the objects of its namespace, of what each of them *uses* under a name: `pods` 1 for a pod
that has not ended, `requests.cpu` what it requests, `count/jobs.batch` 1 for a Job, whatever it does. Every name
belongs to one resource, so an object's usage is computed by one evaluator, and only for quotas that limit a name of
its resource.

Scopes narrow a quota to some pods (all of its scopes must hold); a quota with scopes meets no other kind, except that
`VolumeAttributesClass` is not served and never holds. A pod that has ended (Succeeded, Failed), and one that outlived
twice its grace period while being deleted, uses nothing but `count/pods`: what a lost node holds on to must not block
its replacement. The rules are Kubernetes' (pkg/quota/v1/evaluator/core); Events are never counted, as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from control.api import podresources
from control.api.kinds import EVENT, EVENTS_EVENT, KINDS, PERSISTENT_VOLUME_CLAIM, POD, SERVICE, Kind
from control.api.objects import Object, annotations_of, is_deleting, meta, parse_time, spec_of, status_of
from control.api.podresources import ONE, ZERO, Amounts, amounts_of
from control.api.qos import qos_class
from control.api.quantity import NANO, Quantity

BEST_EFFORT, NOT_BEST_EFFORT = "BestEffort", "NotBestEffort"
TERMINATING, NOT_TERMINATING = "Terminating", "NotTerminating"
PRIORITY_CLASS, CROSS_NAMESPACE = "PriorityClass", "CrossNamespacePodAffinity"
VOLUME_CLASS = "VolumeAttributesClass"
SCOPES = (
    BEST_EFFORT, NOT_BEST_EFFORT, TERMINATING, NOT_TERMINATING, PRIORITY_CLASS, CROSS_NAMESPACE, VOLUME_CLASS,
)  # fmt: skip

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_OF_PODS = frozenset(
    {"pods", *_COMPUTE, *(f"requests.{name}" for name in _COMPUTE), *(f"limits.{name}" for name in _COMPUTE)}
)
_SCOPED = frozenset({"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_OF_SERVICES = frozenset({"services", "services.nodeports", "services.loadbalancers"})
_OF_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
_BY_PLURAL = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
STANDARD = _OF_PODS | _OF_SERVICES | _OF_CLAIMS | _BY_PLURAL
EXPLICIT = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
"""What every container must say itself where a quota limits it (`validationSet` of the pod evaluator)."""

CLAIMS = PERSISTENT_VOLUME_CLAIM.resource
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_HUGE_PAGES = ("hugepages-", "requests.hugepages-")

COUNTED: dict[str, Kind] = {
    kind.resource: kind for kind in KINDS if kind.namespaced and kind not in (EVENT, EVENTS_EVENT)
}
"""The kinds of which a quota may limit the number, by group-qualified resource."""


def is_standard(name: str) -> bool:
    return name in STANDARD or name.startswith(_HUGE_PAGES)


def scope_allows(scope: str, name: str) -> bool:
    """Whether a quota of this scope may limit a standard name."""
    if scope == BEST_EFFORT:
        return name == "pods"
    if scope == VOLUME_CLASS:
        return name in _OF_CLAIMS
    return name in _SCOPED if scope in SCOPES else True


def resource_of(name: str) -> str:
    """The group-qualified resource whose objects use `name`; "" where no served kind does."""
    if name.startswith("count/"):
        resource = name.removeprefix("count/")
        return resource if resource in COUNTED else ""
    if name in _OF_SERVICES:
        return SERVICE.resource
    if name in _BY_PLURAL:
        return name
    if name in _OF_CLAIMS or _CLASS_SUFFIX in name:
        return CLAIMS
    if name in _OF_PODS or name.startswith((*_HUGE_PAGES, "requests.")):
        return POD.resource
    return ""


def hard_of(quota: Mapping[str, Any]) -> Amounts:
    return amounts_of(spec_of(quota).get("hard"))


def resources_of(quota: Mapping[str, Any]) -> frozenset[str]:
    """The resources of which the quota limits something."""
    return frozenset(resource for name in spec_of(quota).get("hard") or () if (resource := resource_of(name)))


# --- usage --------------------------------------------------------------------------------------------------------


def usage(kind: Kind, obj: Mapping[str, Any], now: datetime) -> Amounts:
    """What an object uses, by every name that a quota might limit."""
    used = {f"count/{kind.resource}": ONE}
    if kind == POD:
        if not _has_ended(obj, now):
            used |= _of_pod(spec_of(obj))
    elif kind == SERVICE:
        used |= _of_service(spec_of(obj))
    elif kind == PERSISTENT_VOLUME_CLAIM:
        used |= _of_claim(obj)
    elif kind.resource in _BY_PLURAL:
        used[kind.resource] = ONE
    return used


def explicit(container: Mapping[str, Any]) -> frozenset[str]:
    """The names of `EXPLICIT` that a container speaks of."""
    resources = container.get("resources") or {}
    return frozenset(_by_name(amounts_of(resources.get("requests")), amounts_of(resources.get("limits"))))


def _of_pod(spec: Mapping[str, Any]) -> Amounts:
    return {"pods": ONE, **_by_name(podresources.total(spec, "requests"), podresources.total(spec, "limits"))}


def _by_name(requests: Amounts, limits: Amounts) -> Amounts:
    found: Amounts = {}
    for name, amount in requests.items():
        found[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = amount
    for name, amount in limits.items():
        if name in _COMPUTE:
            found[f"limits.{name}"] = amount
    return found


def _has_ended(pod: Mapping[str, Any], now: datetime) -> bool:
    if status_of(pod).get("phase") in ("Succeeded", "Failed"):
        return True
    forgotten = forgotten_at(pod)
    return forgotten is not None and now >= forgotten


def forgotten_at(pod: Mapping[str, Any]) -> datetime | None:
    """When a pod that is being deleted stops to use anything, even if it is still there."""
    grace_s = meta(pod).get("deletionGracePeriodSeconds")
    if not is_deleting(pod) or grace_s is None:
        return None
    return parse_time(meta(pod)["deletionTimestamp"]) + timedelta(seconds=grace_s)


def _of_service(spec: Mapping[str, Any]) -> Amounts:
    ports = spec.get("ports") or ()
    used = {"services": ONE, "services.nodeports": ZERO, "services.loadbalancers": ZERO}
    if spec.get("type") == "NodePort":
        used["services.nodeports"] = Quantity(len(ports) * NANO, "decimal")
    elif spec.get("type") == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
        used["services.nodeports"] = Quantity(len(ports) * NANO, "decimal")
        used["services.loadbalancers"] = ONE
    return used


def _of_claim(claim: Mapping[str, Any]) -> Amounts:
    used = {CLAIMS: ONE}
    storage = amounts_of((spec_of(claim).get("resources") or {}).get("requests")).get("storage")
    allocated = amounts_of(status_of(claim).get("allocatedResources")).get("storage")
    if storage and allocated and allocated.nano > storage.nano:
        storage = allocated  # a claim that was shrunk again while it grows holds what it grew to
    class_name = annotations_of(claim).get(_CLASS_ANNOTATION) or spec_of(claim).get("storageClassName") or ""
    if storage:
        used["requests.storage"] = storage
    if class_name:
        used[f"{class_name}{_CLASS_SUFFIX}{CLAIMS}"] = ONE
        if storage:
            used[f"{class_name}{_CLASS_SUFFIX}requests.storage"] = storage
    return used


# --- scopes -------------------------------------------------------------------------------------------------------


def scopes_of(spec: Mapping[str, Any]) -> list[Object]:
    """All scopes of a quota as requirements; a plain scope asks that it exists."""
    plain = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return [*plain, *((spec.get("scopeSelector") or {}).get("matchExpressions") or ())]


def meets(quota: Mapping[str, Any], kind: Kind, obj: Mapping[str, Any]) -> bool:
    """Whether the object counts against the quota: it limits the kind, and all its scopes hold."""
    if kind.resource not in resources_of(quota):
        return False
    scopes = scopes_of(spec_of(quota))
    return not scopes or (kind == POD and all(_holds(scope, spec_of(obj)) for scope in scopes))


def _holds(requirement: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    match requirement.get("scopeName"):
        case "BestEffort":
            return qos_class(spec) == BEST_EFFORT
        case "NotBestEffort":
            return qos_class(spec) != BEST_EFFORT
        case "Terminating":
            return _has_deadline(spec)
        case "NotTerminating":
            return not _has_deadline(spec)
        case "PriorityClass":
            return _class_matches(requirement, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(spec)
    return False


def _has_deadline(spec: Mapping[str, Any]) -> bool:
    return spec.get("activeDeadlineSeconds") is not None


def _class_matches(requirement: Mapping[str, Any], name: str) -> bool:
    values = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return bool(name) and name in values
        case "NotIn":
            return not name or name not in values
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
    return False


def _looks_elsewhere(spec: Mapping[str, Any]) -> bool:
    """Whether any pod affinity term names other namespaces."""
    affinity = spec.get("affinity") or {}
    return any(
        term.get("namespaces") or term.get("namespaceSelector") is not None
        for side in ("podAffinity", "podAntiAffinity")
        for term in _terms(affinity.get(side) or {})
    )


def _terms(affinity: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield weighted.get("podAffinityTerm") or {}


# --- wording ------------------------------------------------------------------------------------------------------


def shown(amounts: Mapping[str, Quantity]) -> str:
    """`pods=1,requests.cpu=500m`, sorted."""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))
