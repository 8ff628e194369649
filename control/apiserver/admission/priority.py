"""Priority: a pod's class becomes a number when the pod is created, and stays that number.

Without a class the global default's value counts (0 without one). The number is the plugin's to set: a client that
sends its own is refused unless it is the same. The two classes of the `system-` prefix are made at start-up
(`control.apiserver.bootstrap`). At most one class is the global default.
"""

from __future__ import annotations

from control.api.kinds import POD, PRIORITY_CLASS
from control.api.objects import Object, name_of, spec_of
from control.api.status import forbidden
from control.apiserver.admission.lookup import Lookup

DEFAULT_VALUE = 0  # scheduling.DefaultPriorityWhenNoDefaultClassExists


def resolve(pod: Object, lookup: Lookup) -> None:
    spec = pod.setdefault("spec", {})
    class_name = spec.get("priorityClassName") or ""
    if class_name:
        found = lookup.get(PRIORITY_CLASS.resource, "", class_name)
        if found is None:
            raise forbidden(POD, name_of(pod), f"no PriorityClass with name {class_name} was found")
    else:
        found = _global_default(lookup)
        if found is not None:
            spec["priorityClassName"] = class_name = name_of(found)
    value = found.get("value", DEFAULT_VALUE) if found else DEFAULT_VALUE
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    if spec.get("priority") is not None and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
        raise forbidden(POD, name_of(pod), why)
    if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
        why = (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name"
        )
        raise forbidden(POD, name_of(pod), why)
    spec["priority"] = value
    spec["preemptionPolicy"] = policy


def keep(new: Object, old: Object, _lookup: Lookup) -> None:
    """An update that leaves the number out keeps it: it was computed once for all."""
    for key in ("priority", "preemptionPolicy"):
        if key in spec_of(old):
            new.setdefault("spec", {}).setdefault(key, spec_of(old)[key])


def check_one_default(priority_class: Object, lookup: Lookup) -> None:
    if not priority_class.get("globalDefault"):
        return
    found = _global_default(lookup)
    if found is not None and name_of(found) != name_of(priority_class):
        why = f"PriorityClass {name_of(found)} is already marked as default. Only one default can exist"
        raise forbidden(PRIORITY_CLASS, name_of(priority_class), why)


def check_one_default_update(new: Object, _old: Object, lookup: Lookup) -> None:
    check_one_default(new, lookup)


def _global_default(lookup: Lookup) -> Object | None:
    """The class marked globalDefault; of several (which only a race can make) the one of the lowest value."""
    marked = [one for one in lookup.list(PRIORITY_CLASS.resource) if one.get("globalDefault")]
    return min(marked, key=lambda one: one.get("value", 0), default=None)
