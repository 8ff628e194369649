"""Taints of nodes and tolerations of pods: who may be where, and for how long.

A toleration matches a taint if its effect is the taint's or empty, its key is the taint's or empty (only with operator
Exists), and its operator holds: Exists always, Equal (the default) for an equal value, Lt and Gt for integers. Taints
of effect NoSchedule and NoExecute keep new pods away, PreferNoSchedule only where there is a choice. Two states of a
node count as taints even where nobody has set them: `spec.unschedulable`, and a condition Ready that is not True.
"""

from __future__ import annotations

from collections.abc import Iterable

from control.api.objects import Object, condition_of, spec_of

UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}


def tolerates(toleration: Object, taint: Object) -> bool:
    key = toleration.get("key") or ""
    operator = toleration.get("operator") or "Equal"
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if key and key != taint.get("key"):
        return False
    if not key and operator != "Exists":
        return False
    wanted, value = toleration.get("value") or "", taint.get("value") or ""
    if operator == "Exists":
        return True
    if operator == "Equal":
        return wanted == value
    try:
        return int(value) < int(wanted) if operator == "Lt" else int(value) > int(wanted)
    except ValueError:
        return False


def is_tolerated(pod: Object, taint: Object) -> bool:
    return any(tolerates(toleration, taint) for toleration in spec_of(pod).get("tolerations") or ())


def taints_of(node: Object) -> list[Object]:
    return list(spec_of(node).get("taints") or ())


def effective_taints(node: Object) -> list[Object]:
    """The node's taints and those that its state amounts to."""
    taints = taints_of(node)
    keys = {taint.get("key") for taint in taints}
    ready = condition_of(node, "Ready")
    if ready is not None and ready.get("status") != "True":
        implied = NOT_READY if ready.get("status") == "False" else UNREACHABLE
        if implied["key"] not in keys:
            taints.append(implied)
    return taints


def first_untolerated(pod: Object, taints: Iterable[Object], effects: tuple[str, ...]) -> Object | None:
    return next((t for t in taints if t.get("effect") in effects and not is_tolerated(pod, t)), None)
