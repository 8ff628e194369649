"""Faults: field errors in apimachinery's words (`field.Invalid` and its siblings).

The value in a message is printed as Go prints it: texts quoted, numbers bare, everything else as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from control.api.status import FieldError

IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"


def shown(value: Any) -> str:
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    if value is None:
        return "null"
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _detailed(what: str, detail: str) -> str:
    return f"{what}: {detail}" if detail else what


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", _detailed(f"Invalid value: {shown(value)}", detail))


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, "FieldValueRequired", _detailed("Required value", detail))


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, "FieldValueForbidden", _detailed("Forbidden", detail))


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` in the order to be shown: Kubernetes sorts nearly everywhere, and so do the callers."""
    listed = ", ".join(f'"{each}"' for each in supported)
    detail = f"supported values: {listed}" if listed else ""
    return FieldError(path, "FieldValueNotSupported", _detailed(f"Unsupported value: {shown(value)}", detail))


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueNotFound", f"Not found: {shown(value)}")


def too_long(path: str, most: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {most} bytes")


def too_many(path: str, count: int, most: int) -> FieldError:
    noun = "item" if most == 1 else "items"
    return FieldError(path, "FieldValueTooMany", f"Too many: {count}: must have at most {most} {noun}")


def immutable(path: str, new: Any, old: Any) -> list[FieldError]:
    """One fault where a field that may not change has changed."""
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def each_invalid(path: str, value: Any, complaints: Iterable[str]) -> list[FieldError]:
    """A fault for each complaint that `control.api.names` has about a value."""
    return [invalid(path, value, complaint) for complaint in complaints]


def nonnegative(path: str, value: Any) -> list[FieldError]:
    """A number that may be absent, and may not be negative."""
    if value is None or value >= 0:
        return []
    return [invalid(path, value, NEGATIVE)]


def one_of(path: str, value: Any, supported: Iterable[str], *, optional: bool = False) -> list[FieldError]:
    """A word of a closed list; empty is missing unless it is optional."""
    if not value:
        return [] if optional else [required(path)]
    supported = tuple(supported)
    return [] if value in supported else [not_supported(path, value, supported)]
