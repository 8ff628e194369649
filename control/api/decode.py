"""Decoding: what a client sent becomes what Kubernetes would have kept of it, or the error that it would have given.

The Go server unmarshals into structs, and three things follow that a dict would not show by itself:

1. What no struct has a field for is dropped; depending on `fieldValidation` that is an error, a warning or silence. So
   `check` names every unknown field and leaves the judgement to its caller.
2. A null is the type's zero value: an absent field, an empty string in a list. Empty lists, maps and strings of
   optional fields vanish, and so do false and 0 where Go has no pointer (`ZERO_IS_ABSENT`): `hostNetwork: false` and no
   `hostNetwork` are the same object, have the same hash and the same generation.
3. Quantities and times have one spelling: `0.5` becomes `500m`, `2026-01-01T02:00:00+02:00` becomes midnight in UTC.

Nearly everything that arrives is regular, so there are two decoders. The fast one is compiled, knows no paths, and
gives up at the first irregularity; the slow one walks schema and value together and writes down where and what. They
must agree on what the fast one accepts (a property test holds them to it). Both leave the caller's value alone: what
must change is copied, what need not is shared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from control.api.kinds import Kind
from control.api.objects import Object
from control.api.scalars import DROP, Checker, Mismatch, scalar
from control.api.schema import Schema
from control.api.status import StatusError, bad_request

PROBLEMS_MAX = 100
"""How many unknown or duplicate fields are named; apimachinery's decoder stops there too."""


@dataclass(slots=True)
class DecodeResult:
    """`obj` with unknown fields pruned; `unknown` as `unknown field "spec.foo"`; `error` "" where all types fit."""

    obj: Object
    unknown: list[str] = field(default_factory=list)
    error: str = ""


def check(obj: Object, schema: Schema) -> DecodeResult:
    try:
        return DecodeResult(_compiled(schema)(obj))
    except Irregular:
        walk = _Walk()
        found = walk.value(obj, schema, "", "", "")
        return DecodeResult(found if isinstance(found, dict) else {}, walk.unknown, walk.error)


def strict_error(problems: list[str]) -> str:
    """The text of fieldValidation=Strict for unknown and duplicate fields together."""
    return "strict decoding error: " + ", ".join(problems[:PROBLEMS_MAX])


def cannot_handle(kind: Kind, why: str) -> StatusError:
    """400 for a body that is no such kind: `why` is a DecodeResult's error or a `strict_error`."""
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def loads_strict(body: bytes) -> tuple[Any, list[str]]:
    """The JSON value, and `duplicate field "spec.x"` for each repeated key (the last one counts); StatusError 400.

    A body that is as long as what we would write has no duplicates: the repeated key would be missing. Only a body with
    spaces or escapes of its own is read a second time, by the slower parser that sees pairs.
    """
    try:
        obj = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if len(orjson.dumps(obj)) == len(body.rstrip()):
        return obj, []
    found: list[bool] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        unique = dict(items)
        if len(unique) != len(items):
            found.append(True)
        return unique

    try:
        json.loads(body, object_pairs_hook=pairs)
        if not found:
            return obj, []
        return obj, list(_duplicates(json.loads(body, object_pairs_hook=_Pairs), ""))[:PROBLEMS_MAX]
    except (RecursionError, ValueError):
        raise bad_request("couldn't get version/kind; json parse error: exceeded max depth") from None


class _Pairs(list[tuple[str, Any]]):
    """An object with its repeated keys."""


def _duplicates(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            at = f"{path}.{key}" if path else key
            if key in seen:
                yield f'duplicate field "{at}"'
            seen.add(key)
            yield from _duplicates(item, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, f"{path}[{index}]")


# --- the fast decoder ---------------------------------------------------------------------------------------------


class Irregular(Exception):
    """The fast decoder met an unknown field or a wrong type."""


@cache
def _compiled(schema: Schema, *, optional: bool = False, owner: str = "", name: str = "") -> Checker:
    """A function that returns its argument, a decoded copy of it, or DROP; it raises Irregular."""
    if schema.type == "any" or schema.preserve_unknown:
        return _anything
    if schema.type == "array":
        return _list_checker(schema, optional)
    if schema.type == "object":
        return _map_checker(schema, optional) if schema.is_map else _struct_checker(schema)
    return _regular(scalar(schema, owner, name, optional=optional))


def _anything(value: Any) -> Any:
    return value


def _regular(checker: Checker) -> Checker:
    def regular(value: Any) -> Any:
        try:
            return checker(value)
        except Mismatch:
            raise Irregular from None

    return regular


def _struct_checker(schema: Schema) -> Checker:
    fields: dict[str, Checker] = {}
    plain: dict[str, type] = {}

    def compile_field(key: str) -> Checker:
        part = schema.properties.get(key)
        if part is None:
            raise Irregular
        if part.type == "string" and not part.format:
            plain[key] = str
        elif part.type == "boolean":
            plain[key] = bool
        fields[key] = _compiled(part, optional=key not in schema.required, owner=schema.name, name=key)
        return fields[key]

    def struct(value: Any) -> Any:
        if type(value) is not dict:
            raise Irregular
        changes: list[tuple[str, Any]] | None = None
        for key, item in value.items():
            if item and type(item) is plain.get(key):
                continue
            if item is None:
                new = DROP
                if key not in fields:
                    compile_field(key)
            else:
                checker = fields.get(key)
                new = checker(item) if checker is not None else compile_field(key)(item)
                if new is item:
                    continue
            if changes is None:
                changes = []
            changes.append((key, new))
        return value if changes is None else _changed(value, changes)

    return struct


def _changed(value: Object, changes: list[tuple[str, Any]]) -> Object:
    copy = dict(value)
    for key, new in changes:
        if new is DROP:
            del copy[key]
        else:
            copy[key] = new
    return copy


def _map_checker(schema: Schema, optional: bool) -> Checker:
    values = schema.additional
    assert values is not None
    checker = _compiled(values)
    zero = zero_of(values)
    strings = values.type == "string" and not values.format

    def mapping(value: Any) -> Any:
        if type(value) is not dict:
            raise Irregular
        if not value:
            return DROP if optional else value
        if strings and set(map(type, value.values())) == {str}:
            return value
        changes = []
        for key, item in value.items():
            new = zero() if item is None else checker(item)
            if new is not item:
                changes.append((key, new))
        return _changed(value, changes) if changes else value

    return mapping


def _list_checker(schema: Schema, optional: bool) -> Checker:
    items = schema.items
    assert items is not None
    checker = _compiled(items)
    zero = zero_of(items)

    def sequence(value: Any) -> Any:
        if type(value) is not list:
            raise Irregular
        if not value:
            return DROP if optional else value
        copy: list[Any] | None = None
        for index, item in enumerate(value):
            new = zero() if item is None else checker(item)
            if new is not item:
                if copy is None:
                    copy = list(value)
                copy[index] = new
        return value if copy is None else copy

    return sequence


def zero_of(schema: Schema) -> Callable[[], Any]:
    """Go's zero value of a type, for a null in a list or map."""
    zeros: dict[str, Callable[[], Any]] = {
        "object": dict, "array": list, "integer": int, "number": int, "boolean": bool, "int-or-string": int,
    }  # fmt: skip
    if schema.format == "quantity":
        return lambda: "0"
    if schema.format == "date-time" or schema.type == "any":
        return lambda: None
    return zeros.get(schema.type, str)


# --- the slow decoder ---------------------------------------------------------------------------------------------


class _Walk:
    """Decodes as the fast one, noting unknown fields and the first error in Go's words."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.error = ""

    def value(self, value: Any, schema: Schema, path: str, owner: str, go_path: str, *, optional: bool = False) -> Any:
        """`path` has indices and map keys (for unknown fields); `owner` and `go_path` are what Go's decoder says."""
        if schema.type == "any" or schema.preserve_unknown:
            return value
        if schema.type == "object":
            if type(value) is not dict:
                return self._mismatch(Mismatch.of(value, schema), owner, go_path)
            if schema.is_map:
                return self._map(value, schema, path, owner, go_path, optional)
            return self._struct(value, schema, path, go_path)
        if schema.type == "array":
            if type(value) is not list:
                return self._mismatch(Mismatch.of(value, schema), owner, go_path)
            return self._list(value, schema, path, owner, go_path, optional)
        try:
            return scalar(schema, owner, go_path.rpartition(".")[2], optional=optional)(value)
        except Mismatch as mismatch:
            return self._mismatch(mismatch, owner, go_path)

    def _mismatch(self, mismatch: Mismatch, owner: str, go_path: str) -> Any:
        self.error = self.error or mismatch.text(owner, go_path)
        return DROP

    def _struct(self, value: Object, schema: Schema, path: str, go_path: str) -> Object:
        kept: Object = {}
        for key, item in value.items():
            part = schema.properties.get(key)
            at = f"{path}.{key}" if path else key
            if part is None:
                if len(self.unknown) < PROBLEMS_MAX:
                    self.unknown.append(f'unknown field "{at}"')
            elif item is not None:
                go_at = f"{go_path}.{key}" if go_path else key
                new = self.value(item, part, at, schema.name, go_at, optional=key not in schema.required)
                if new is not DROP:
                    kept[key] = new
        return kept

    def _map(self, value: Object, schema: Schema, path: str, owner: str, go_path: str, optional: bool) -> Any:
        values = schema.additional
        assert values is not None
        kept = {}
        for key, item in value.items():
            new = zero_of(values)() if item is None else self.value(item, values, f"{path}.{key}", owner, go_path)
            if new is not DROP:
                kept[key] = new
        return kept if value or not optional else DROP

    def _list(self, value: list[Any], schema: Schema, path: str, owner: str, go_path: str, optional: bool) -> Any:
        items = schema.items
        assert items is not None
        kept = []
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            new = zero_of(items)() if item is None else self.value(item, items, at, owner, go_path)
            if new is not DROP:
                kept.append(new)
        return kept if value or not optional else DROP
