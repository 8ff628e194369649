"""Validation: which objects are accepted, in Kubernetes' words (pkg/apis/*/validation).

`RULES` has a row a kind. A rule is three functions over whole objects, each without metadata, which is the same for all
kinds: what must hold of an object, of an update (beside the former), and of a status update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.status import FieldError
from control.api.validation import meta

Check = Callable[[Object], list[FieldError]]
UpdateCheck = Callable[[Object, Object], list[FieldError]]


def anything(_: Object) -> list[FieldError]:
    return []


def any_update(_new: Object, _old: Object) -> list[FieldError]:
    return []


@dataclass(frozen=True, slots=True)
class Rule:
    """What is special about a kind. `update` and `status` get (new, old)."""

    check: Check = anything
    update: UpdateCheck = any_update
    status: UpdateCheck = any_update
    name: meta.NameRule = meta.subdomain_name
    revalidates: bool = True  # an update must satisfy `check` too


RULES: dict[Kind, Rule] = {
    kinds.NAMESPACE: Rule(name=meta.label_name),
}


def validators(kind: Kind) -> tuple[Callable[[Object], Sequence[FieldError]], UpdateCheck, UpdateCheck, meta.NameRule]:
    """(validate, validate_update, validate_status_update, name rule) of a kind, metadata included."""
    rule = RULES.get(kind) or Rule()
    check, update, status, name_rule = rule.check, rule.update, rule.status, rule.name
    namespaced, revalidates = kind.namespaced, rule.revalidates

    def validate(obj: Object) -> list[FieldError]:
        return meta.validate_meta(obj, namespaced, name_rule) + check(obj)

    def validate_update(new: Object, old: Object) -> list[FieldError]:
        found = meta.validate_meta(new, namespaced, name_rule) + meta.validate_meta_update(new, old)
        if revalidates:
            found += check(new)
        return found + update(new, old)

    def validate_status_update(new: Object, old: Object) -> list[FieldError]:
        found = meta.validate_meta(new, namespaced, name_rule) + meta.validate_meta_update(new, old)
        return found + status(new, old)

    return validate, validate_update, validate_status_update, name_rule
