"""Where a pod wants to run: node affinity, pod affinity, spread constraints, tolerations; and the taints of nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from control.api import faults, names
from control.api.objects import Object
from control.api.status import FieldError
from control.api.validation.meta import validate_label_selector

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NODE_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_INTEGER = re.compile("[+-]?[0-9]+")


def validate_affinity(affinity: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    node = affinity.get("nodeAffinity") or {}
    if _REQUIRED in node:
        found += validate_node_selector(node[_REQUIRED], f"{path}.nodeAffinity.{_REQUIRED}")
    for index, term in enumerate(node.get(_PREFERRED) or ()):
        at = f"{path}.nodeAffinity.{_PREFERRED}[{index}]"
        found += _weight(term, at) + _node_term(term.get("preference") or {}, f"{at}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(kind) or {}
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            found += _pod_term(term, f"{path}.{kind}.{_REQUIRED}[{index}]")
        for index, term in enumerate(pods.get(_PREFERRED) or ()):
            at = f"{path}.{kind}.{_PREFERRED}[{index}]"
            found += _weight(term, at) + _pod_term(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return found


def _weight(term: Object, path: str) -> list[FieldError]:
    weight = term.get("weight") or 0
    return [] if 1 <= weight <= 100 else [faults.invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def validate_node_selector(selector: Object, path: str) -> list[FieldError]:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        return [faults.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    found: list[FieldError] = []
    for index, term in enumerate(terms):
        found += _node_term(term, f"{path}.nodeSelectorTerms[{index}]")
    return found


def _node_term(term: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        found += _node_values(expression, at)
        key = expression.get("key") or ""
        found += faults.each_invalid(f"{at}.key", key, names.qualified_name(key))
        for number, value in enumerate(expression.get("values") or ()):
            found += faults.each_invalid(f"{at}.values[{number}]", value, names.label_value(value))
    for index, expression in enumerate(term.get("matchFields") or ()):
        at = f"{path}.matchFields[{index}]"
        operator, values = expression.get("operator") or "", expression.get("values") or ()
        if operator not in ("In", "NotIn"):
            found.append(faults.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        elif len(values) != 1:
            why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            found.append(faults.required(f"{at}.values", why))
        if expression.get("key") != "metadata.name":
            found.append(faults.invalid(f"{at}.key", expression.get("key") or "", "not a valid field selector key"))
    return found


def _node_values(expression: Object, path: str) -> list[FieldError]:
    operator: str = expression.get("operator") or ""
    values: Sequence[str] = expression.get("values") or ()
    if operator not in _NODE_OPERATORS:
        return [faults.invalid(f"{path}.operator", operator, "not a valid selector operator")]
    if operator in ("In", "NotIn"):
        if not values:
            return [faults.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            return [faults.required(f"{path}.values", why)]
        if not _INTEGER.fullmatch(values[0]):
            return [
                faults.invalid(f"{path}.values[0]", values[0], "for 'Gt', 'Lt' operators, the value must be an integer")
            ]
    elif values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        return [faults.forbidden(f"{path}.values", why)]
    return []


def _pod_term(term: Object, path: str) -> list[FieldError]:
    found = validate_label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    found += validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        found += faults.each_invalid(f"{path}.namespace", namespace, names.dns_label(namespace))
    topology = term.get("topologyKey") or ""
    if not topology:
        return [*found, faults.required(f"{path}.topologyKey", "can not be empty")]
    return found + faults.each_invalid(f"{path}.topologyKey", topology, names.qualified_name(topology))


def validate_spread(constraints: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            found.append(faults.invalid(f"{at}.maxSkew", skew, "must be greater than zero"))
        key, when = constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        if not key:
            found.append(faults.required(f"{at}.topologyKey", "can not be empty"))
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            supported = ("DoNotSchedule", "ScheduleAnyway")
            found.append(faults.not_supported(f"{at}.whenUnsatisfiable", when, supported))
        if (key, when) in seen:
            found.append(faults.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        seen.add((key, when))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                found.append(faults.invalid(f"{at}.minDomains", domains, "must be greater than zero"))
            elif when != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                found.append(faults.invalid(f"{at}.minDomains", domains, why))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            found += faults.one_of(f"{at}.{policy}", constraint.get(policy), ("Honor", "Ignore"), optional=True)
        found += validate_label_selector(constraint.get("labelSelector"), f"{at}.labelSelector")
    return found


def validate_tolerations(tolerations: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, toleration in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            found += faults.each_invalid(f"{at}.key", key, names.qualified_name(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(faults.invalid(f"{at}.operator", operator, why))
        if "tolerationSeconds" in toleration and effect != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(faults.invalid(f"{at}.effect", effect, why))
        if operator in ("Equal", ""):
            complaints = names.label_value(value)
            if complaints:
                found.append(faults.invalid(f"{at}.operator", value, ";".join(complaints)))
        elif operator == "Exists":
            if value:
                why = "value must be empty when `operator` is 'Exists'"
                found.append(faults.invalid(f"{at}.operator", value, why))
        elif operator not in ("Gt", "Lt"):
            found.append(faults.not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        found += faults.one_of(f"{at}.effect", effect, EFFECTS, optional=True)
    return found


def validate_taints(taints: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Taints of a node: unique by key and effect."""
    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        at = f"{path}[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        found += faults.each_invalid(f"{at}.key", key, names.qualified_name(key))
        complaints = names.label_value(value)
        if complaints:
            found.append(faults.invalid(f"{at}.value", value, ";".join(complaints)))
        found += faults.one_of(f"{at}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            twice = faults.duplicate(at, dict(taint))
            why = "taints must be unique by key and effect pair"
            found.append(FieldError(at, twice.reason, f"{twice.message}: {why}"))
        seen.add((key, effect))
    return found
