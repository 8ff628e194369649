"""The cluster's own objects: Nodes, Namespaces, Leases, PriorityClasses, disruption budgets, revisions, Events."""

from __future__ import annotations

from control.api import faults, names
from control.api.objects import Object, name_of, namespace_of, spec_of, status_of
from control.api.status import FieldError
from control.api.validation.affinity import validate_taints
from control.api.validation.meta import validate_label_selector
from control.api.validation.resources import validate_amount
from control.api.validation.service import validate_cidr
from control.api.validation.workload import at_most_all, int_or_percent

USER_PRIORITY_MAX = 1_000_000_000
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
SYSTEM_PREFIX = "system-"


def validate_node(node: Object) -> list[FieldError]:
    spec = spec_of(node)
    found = validate_taints(spec.get("taints") or (), "metadata.taints")
    found += _node_resources(node)
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        found += validate_cidr(cidr, f"spec.podCIDRs[{index}]")
    return found


def _node_resources(node: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("capacity", "allocatable"):
        for name, amount in (status_of(node).get(field) or {}).items():
            found += validate_amount(name, amount, f"status.{field}.{name}")
    return found


def validate_node_update(new: Object, old: Object) -> list[FieldError]:
    after, before = spec_of(new), spec_of(old)
    found: list[FieldError] = []
    seen: list[Object] = []
    for index, address in enumerate(status_of(new).get("addresses") or ()):
        if address in seen:
            found.append(faults.duplicate(f"status.addresses[{index}]", address))
        seen.append(address)
    if before.get("podCIDRs") and after.get("podCIDRs") != before["podCIDRs"]:
        why = 'node updates may not change podCIDR except from "" to valid'
        found.append(faults.forbidden("spec.podCIDRs", why))
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        why = 'node updates may not change providerID except from "" to valid'
        found.append(faults.forbidden("spec.providerID", why))
    return found


def validate_node_status(new: Object, old: Object) -> list[FieldError]:
    return _node_resources(new) + validate_node_update(new, old)


def validate_namespace(namespace: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for index, finalizer in enumerate(spec_of(namespace).get("finalizers") or ()):
        path = f"spec.finalizers[{index}]"
        complaints = names.qualified_name(finalizer)
        found += faults.each_invalid(path, finalizer, complaints)
        if not complaints and "/" not in finalizer and finalizer != "kubernetes":
            why = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(faults.invalid(path, finalizer, why))
    return found


def validate_namespace_status(new: Object, old: Object) -> list[FieldError]:
    """Terminating exactly while it is being deleted."""
    phase = status_of(new).get("phase") or ""
    path = "status.Phase"
    if (new.get("metadata") or {}).get("deletionTimestamp"):
        why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        return [] if phase == "Terminating" else [faults.invalid(path, phase, why)]
    why = "may only be 'Active' if `deletionTimestamp` is empty"
    return [] if phase == "Active" else [faults.invalid(path, phase, why)]


def validate_lease(lease: Object) -> list[FieldError]:
    spec = spec_of(lease)
    found: list[FieldError] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        found.append(faults.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    return found + faults.nonnegative("spec.leaseTransitions", spec.get("leaseTransitions"))


def validate_priority_class(priority_class: Object) -> list[FieldError]:
    name, value = name_of(priority_class), priority_class.get("value") or 0
    found: list[FieldError] = []
    if name.startswith(SYSTEM_PREFIX):
        if SYSTEM_CLASSES.get(name) != value:
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            detail = f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}" if name in SYSTEM_CLASSES else ""
            detail = detail or f"{name} is not a known system priority class"
            found.append(faults.forbidden("metadata.name", why + detail))
    elif value > USER_PRIORITY_MAX:
        why = f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        found.append(faults.forbidden("value", why))
    policy = priority_class.get("preemptionPolicy")
    return found + faults.one_of("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"), optional=True)


def validate_priority_class_update(new: Object, old: Object) -> list[FieldError]:
    found: list[FieldError] = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        found.append(faults.forbidden("value", "may not be changed in an update."))
    return found + faults.immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def validate_disruption_budget(budget: Object) -> list[FieldError]:
    spec = spec_of(budget)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    found: list[FieldError] = []
    if least is not None and most is not None:
        found.append(faults.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            found += int_or_percent(value, f"spec.{field}") + at_most_all(value, f"spec.{field}")
    found += validate_label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    return found + faults.one_of("spec.unhealthyPodEvictionPolicy", policy, policies, optional=True)


def validate_disruption_status(new: Object, old: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        found += faults.nonnegative(f"status.{field}", status_of(new).get(field))
    return found


def validate_revision(revision: Object) -> list[FieldError]:
    found = [] if revision.get("data") is not None else [faults.required("data", "data is mandatory")]
    return found + faults.nonnegative("revision", revision.get("revision"))


def validate_revision_update(new: Object, old: Object) -> list[FieldError]:
    return faults.immutable("data", new.get("data"), old.get("data"))


def validate_event(event: Object) -> list[FieldError]:
    """Events of cluster-scoped objects live in `default`; all others beside what they are about."""
    involved = (event.get("involvedObject") or {}).get("namespace") or ""
    namespace = namespace_of(event)
    if involved == namespace or (not involved and namespace in ("default", "kube-system")):
        return []
    return [faults.invalid("involvedObject.namespace", involved, "does not match event.namespace")]


def validate_new_event(event: Object) -> list[FieldError]:
    """events.k8s.io/v1 asks for more: who reports what happened, when, and in which words."""
    regarding = (event.get("regarding") or {}).get("namespace") or ""
    namespace = namespace_of(event)
    found: list[FieldError] = []
    if regarding != namespace and (regarding or namespace not in ("default", "kube-system")):
        found.append(faults.invalid("regarding.namespace", regarding, "does not match event.namespace"))
    needed = ("eventTime", "reportingController", "reportingInstance", "action", "reason")
    found += [faults.required(field) for field in needed if not event.get(field)]
    controller = event.get("reportingController")
    if controller:
        found += faults.each_invalid("reportingController", controller, names.qualified_name(controller))
    for field in ("reportingInstance", "action", "reason"):
        if len(event.get(field) or "") > 128:
            found.append(faults.invalid(field, "", "can have at most 128 characters"))
    if len(event.get("note") or "") > 1024:
        found.append(faults.invalid("note", "", "can have at most 1024 characters"))
    if event.get("type") not in ("Normal", "Warning"):
        found.append(faults.invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    return found
