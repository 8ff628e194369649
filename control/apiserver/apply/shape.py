"""A type as ownership sees it: where an object falls apart into fields that different managers may own.

A schema's struct or map falls apart into its members, a list into its items if the schema says how to tell them apart
(x-kubernetes-list-type map or set, or a patch strategy that says the same), and everything else is owned whole:
scalars, maps and lists marked atomic, lists not marked at all, free-form values. A value without a schema is taken
apart as far as its maps go.

One fact is in Go's types and in no schema, and users see it in managedFields, so it is written down here: a member that
is a struct by value, or a required list, is there as soon as its parent is. Nobody creates it, so nobody owns it
(`f:spec` has no "." below it), only what is inside.

Shapes are derived once for each schema, when somebody first writes an object of that type.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from control.api.schema import FREE_FORM, Schema

STRUCTS_BY_VALUE = frozenset({
    "metadata", "spec", "status", "strategy", "updateStrategy", "template", "resources", "state", "lastState",
    "loadBalancer", "nodeInfo", "daemonEndpoints", "kubeletEndpoint", "source", "deprecatedSource",
})  # fmt: skip
POINTERS = frozenset({
    ("io.k8s.api.core.v1.ReplicationControllerSpec", "template"),
    ("io.k8s.api.core.v1.PodSpec", "resources"),
    ("io.k8s.api.core.v1.PodStatus", "resources"),
    ("io.k8s.api.core.v1.ContainerStatus", "resources"),
})  # fmt: skip
"""Members that have the name of a struct by value and are none."""


class Parts(Enum):
    """What a value of this shape falls apart into."""

    NONE = "none"  # owned whole
    MEMBERS = "members"
    ITEMS = "items"
    ANY = "any"  # no schema: maps fall apart, lists and scalars do not


class Member(NamedTuple):
    """A member of a struct or map, as a parent sees it."""

    element: str  # the path element: f:<name>
    shape: Shape
    is_implied: bool  # always there in Go, so that its presence has no owner
    is_declared: bool  # a struct's field; False for a map's entry


class Shape:
    """How values of one type fall apart."""

    __slots__ = ("_item", "_members", "_schema", "key_defaults", "keys", "parts")

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema
        self._members: dict[str, Member] = {}
        self._item: Shape | None = None
        self.parts = _parts_of(schema)
        self.keys: tuple[str, ...] = tuple(sorted(_keys_of(schema))) if schema is not None else ()
        self.key_defaults: dict[str, Any] = _key_defaults(schema, self.keys)

    def member(self, name: str) -> Member:
        """How the member `name` is owned; remembered for a struct's fields, which are few."""
        found = self._members.get(name)
        if found is not None:
            return found
        schema = self._schema
        if schema is None:
            return Member("f:" + name, ANYTHING, False, False)
        if schema.is_map:
            assert schema.additional is not None
            return Member("f:" + name, shape_of(schema.additional), False, False)
        field = schema.properties.get(name)
        if field is None:
            return Member("f:" + name, ANYTHING, False, False)
        found = Member("f:" + name, shape_of(field), _is_implied(schema, name, field), True)
        self._members[name] = found
        return found

    def knows(self, name: str) -> bool:
        """Whether values of this shape may have a member `name`."""
        schema = self._schema
        return schema is None or schema.preserve_unknown or schema.field(name) is not None

    @property
    def item(self) -> Shape:
        """The shape of a list's items."""
        if self._item is None:
            items = self._schema.items if self._schema is not None else None
            self._item = shape_of(items) if items is not None else ANYTHING
        return self._item

    @property
    def schema(self) -> Schema | None:
        return self._schema

    def __repr__(self) -> str:
        return f"Shape({self._schema}, {self.parts.value})"


def _is_implied(schema: Schema, name: str, field: Schema) -> bool:
    if name in schema.required:
        return True
    return field.type == "object" and name in STRUCTS_BY_VALUE and (schema.name, name) not in POINTERS


def _parts_of(schema: Schema | None) -> Parts:
    if schema is None:
        return Parts.ANY
    if schema.name in FREE_FORM:
        return Parts.NONE
    if schema.type == "object":
        return Parts.NONE if schema.map_type == "atomic" else Parts.MEMBERS
    if schema.type == "array":
        if schema.list_type:
            return Parts.ITEMS if schema.list_type in ("map", "set") else Parts.NONE
        return Parts.ITEMS if "merge" in schema.patch_strategy else Parts.NONE
    return Parts.ANY if schema.type == "any" else Parts.NONE


def _keys_of(schema: Schema) -> tuple[str, ...]:
    if schema.list_type == "map":
        return schema.list_map_keys
    if not schema.list_type and "merge" in schema.patch_strategy and schema.merge_key:
        return (schema.merge_key,)
    return ()


def _key_defaults(schema: Schema | None, keys: tuple[str, ...]) -> dict[str, Any]:
    """What keys are that an item does not say: the protocol of a port is TCP, with or without defaulting having run."""
    fields = schema.items.properties if schema is not None and schema.items is not None else {}
    return {key: fields[key].default for key in keys if key in fields and fields[key].default is not None}


@cache
def shape_of(schema: Schema) -> Shape:
    return Shape(schema)


ANYTHING = Shape(None)
