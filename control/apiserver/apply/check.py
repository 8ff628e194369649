"""What may be applied: only what the schema knows, each list item with an identity and once.

Other writes drop unknown fields or warn about them; an apply refuses them, because a field that is dropped could not be
owned, and so never be removed again. The words are structured-merge-diff's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from control.api.schema import Schema
from control.apiserver.apply.compare import ElementError, element_of
from control.apiserver.apply.fields import element_text
from control.apiserver.apply.shape import Parts, Shape

_NUMERIC = ("integer", "number")


def problems(value: Any, shape: Shape) -> list[str]:
    """Everything that speaks against applying `value`, as `path: what`."""
    return list(_problems(value, shape, ""))


def _problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    schema = shape.schema
    if value is None or schema is None or schema.preserve_unknown:
        return
    if schema.type == "object":
        if isinstance(value, dict):
            yield from _member_problems(value, shape, path)
        else:
            yield f"{path}: expected map, got {_go(value)}"
    elif schema.type == "array":
        if isinstance(value, list):
            yield from _item_problems(value, shape, path)
        else:
            yield f"{path}: expected list, got {_go(value)}"
    else:
        what = _scalar_problem(value, schema)
        if what:
            yield f"{path}: {what}"


def _member_problems(value: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    for name, part in value.items():
        below = f"{path}.{name}"
        if shape.knows(name):
            yield from _problems(part, shape.member(name).shape, below)
        else:
            yield f"{below}: field not declared in schema"


def _item_problems(items: list[Any], shape: Shape, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for place, item in enumerate(items):
        element = f"i:{place}"
        if shape.parts is Parts.ITEMS:
            try:
                element = element_of(item, shape)
            except ElementError as error:
                yield f"{path}: element {place}: {error}"
                return
            if element in seen:
                yield f"{path}: duplicate entries for key {element_text(element)}"
            seen.add(element)
        yield from _problems(item, shape.item, path + element_text(element))


def _scalar_problem(value: Any, schema: Schema) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if schema.type in _NUMERIC:
        return "" if is_number else f"expected numeric (int or float), got {_go_type(value)}"
    if schema.type == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got {_go(value)}"
    if schema.type == "string" and schema.format in ("", "byte"):
        return "" if isinstance(value, str) else f"expected string, got {_go(value)}"
    return f"expected any scalar, got {_go(value)}" if isinstance(value, dict | list) else ""


def _go(value: Any) -> str:
    """A value as Go's %v prints what structured-merge-diff got."""
    if isinstance(value, bool):
        return f"&value.valueUnstructured{{Value:{str(value).lower()}}}"
    return f"&value.valueUnstructured{{Value:{value!r}}}".replace("'", '"')


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "bool" if isinstance(value, bool) else "string"
