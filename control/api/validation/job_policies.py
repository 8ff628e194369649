"""A Job's policies: which failures mean what, and which successes are enough.

Failure rules look at exit codes or at pod conditions, never at both; success rules count completion indexes, so they
need an Indexed Job. All lists are bounded, since every failed pod is held against every rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from control.api import faults, names
from control.api.objects import Object
from control.api.status import FieldError

FAILURE_RULES_MAX = 20
EXIT_CODES_MAX = 255
CONDITIONS_MAX = 20
SUCCESS_RULES_MAX = 20
INDEXES_LENGTH_MAX = 64 * 1024
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")


def validate_failure_policy(policy: Object | None, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    rules = (policy or {}).get("rules") or ()
    found: list[FieldError] = []
    if len(rules) > FAILURE_RULES_MAX:
        found.append(faults.too_many(f"{path}.rules", len(rules), FAILURE_RULES_MAX))
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {container.get("name") for field in ("containers", "initContainers") for container in pod.get(field) or ()}
    for index, rule in enumerate(rules):
        at = f"{path}.rules[{index}]"
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            found.append(faults.invalid(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
        else:
            found += _word(f"{at}.action", rule.get("action"), _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            found += _exit_codes(codes, known, f"{at}.onExitCodes")
        if conditions:
            found += _conditions(conditions, f"{at}.onPodConditions")
        if codes is not None and conditions:
            found.append(_whole(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            found.append(_whole(at, "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _word(path: str, value: Any, supported: Sequence[str]) -> list[FieldError]:
    if not value:
        listed = " ".join(f'"{each}"' for each in supported)
        return [faults.required(path, f"valid values: [{listed}]")]
    return faults.one_of(path, value, supported)


def _whole(path: str, why: str) -> FieldError:
    """A fault of an object as a whole, whose value is not shown."""
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {why}")


def _exit_codes(codes: Object, known: set[Any], path: str) -> list[FieldError]:
    found = _word(f"{path}.operator", codes.get("operator"), _OPERATORS)
    name, values = codes.get("containerName"), codes.get("values") or []
    if name is not None and name not in known:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(faults.invalid(f"{path}.containerName", name, why))
    if not values:
        found.append(faults.invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        found.append(faults.too_many(f"{path}.values", len(values), EXIT_CODES_MAX))
    found += _values(codes.get("operator") == "In", values, f"{path}.values")
    if values != sorted(values):
        found.append(faults.invalid(f"{path}.values", values, "must be ordered"))
    return found


def _values(is_in: bool, values: Sequence[int], path: str) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        if is_in and value == 0:
            yield faults.invalid(f"{path}[{index}]", 0, "must not be 0 for the In operator")
        if value in values[:index]:
            yield faults.duplicate(f"{path}[{index}]", value)


def _conditions(patterns: Sequence[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if len(patterns) > CONDITIONS_MAX:
        found.append(faults.too_many(path, len(patterns), CONDITIONS_MAX))
    for index, pattern in enumerate(patterns):
        at, type_ = f"{path}[{index}]", pattern.get("type") or ""
        found += faults.each_invalid(f"{at}.type", type_, names.qualified_name(type_))
        found += _word(f"{at}.status", pattern.get("status"), _STATUSES)
    return found


def validate_success_policy(policy: Object | None, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    if policy is None:
        return []
    found: list[FieldError] = []
    if spec.get("completionMode") != "Indexed":
        return [faults.invalid(path, policy, "requires indexed completion mode")]
    rules = policy.get("rules") or ()
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(faults.required(f"{path}.rules", why))
    if len(rules) > SUCCESS_RULES_MAX:
        found.append(faults.too_many(f"{path}.rules", len(rules), SUCCESS_RULES_MAX))
    for index, rule in enumerate(rules):
        found += _success_rule(rule, spec.get("completions"), f"{path}.rules[{index}]")
    return found


def _success_rule(rule: Object, completions: int | None, path: str) -> list[FieldError]:
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        return [faults.required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    found = faults.nonnegative(f"{path}.succeededCount", count)
    if text is not None and len(text) > INDEXES_LENGTH_MAX:
        found.append(faults.too_long(f"{path}.succeededIndexes", INDEXES_LENGTH_MAX))
    total = count_indexes(text, completions) if text is not None else None
    if isinstance(total, str):
        why = f"error parsing succeededIndexes: {total}"
        found.append(faults.invalid(f"{path}.succeededIndexes", text, why))
    if count is not None and completions is not None and count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        found.append(faults.invalid(f"{path}.succeededCount", count, why))
    if count is not None and isinstance(total, int) and count > total:
        why = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        found.append(faults.invalid(f"{path}.succeededCount", count, why))
    return found


def count_indexes(text: str, completions: int | None) -> int | str:
    """How many indexes a text such as `1,3-5` names, or what is wrong with it."""
    total, previous = 0, -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            return f'the fragment "{part}" violates the requirement that an index interval can have at most two parts'
        for end in ends:
            if not end.isdecimal():
                return f'cannot convert string to integer for index: "{end}"'
            if completions is not None and int(end) >= completions:
                return f'too large index: "{end}"'
        first, last = int(ends[0]), int(ends[-1])
        if first <= previous:
            return f"non-increasing order, previous: {previous}, current: {first}"
        if last < first or (len(ends) == 2 and last == first):
            return f"non-increasing order, previous: {first}, current: {last}"
        total, previous = total + last - first + 1, last
    return total
