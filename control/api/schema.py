"""Schemas as the server's other rooms read them: one `Schema` per type, resolved when somebody first looks.

The data is OpenAPI v2 (control/api/schemas); what decoding, patching and server-side apply ask of it is few and the
same: what are the fields, what are the items, how do two values merge. So a `Schema` is that and nothing else.

Definitions are shared: every container of every workload is the same `Schema` object. They are resolved lazily: a type
may contain itself, and most servers never see most volume sources. A field that adds merge keys to a referenced type
(`strategy`, retainKeys) gets a `Schema` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from control.api.objects import Object
from control.api.schemas import load_structure

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
FREE_FORM = frozenset({META + "FieldsV1", META + "Patch", "io.k8s.apimachinery.pkg.runtime.RawExtension"})
"""Objects whose fields nobody may prune."""

_OWN_KEYS = frozenset({"$ref", "default"})
_NOTHING: Mapping[str, Schema] = {}


class Schema:
    """One type. `name` is the definition's name, "" for an anonymous list, map or scalar.

    `type` is object, array, string, integer, number, boolean, int-or-string or any. `format` is OpenAPI's, and
    `quantity` for a resource quantity. An object has either `properties` (a struct) or `additional` (a map's values).
    `list_type`: "" (atomic by default), atomic, set, map; `map_type`: "" (granular by default), granular, atomic.
    """

    __slots__ = (
        "_additional", "_items", "_properties", "_raw", "default", "format", "list_map_keys", "list_type", "map_type",
        "merge_key", "name", "patch_strategy", "preserve_unknown", "required", "type",
    )  # fmt: skip

    def __init__(self, name: str, raw: Object) -> None:
        self._raw = raw
        self._properties: Mapping[str, Schema] | None = None
        self._items: Schema | None = None
        self._additional: Schema | None = None
        self.name = name
        self.type: str = "int-or-string" if name == INT_OR_STRING else raw.get("type", "any")
        self.format: str = "quantity" if name == QUANTITY else raw.get("format", "")
        self.required = frozenset(raw.get("required", ()))
        self.list_type: str = raw.get("x-kubernetes-list-type", "")
        self.list_map_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = raw.get("x-kubernetes-map-type", "")
        strategy = raw.get("x-kubernetes-patch-strategy", "")
        self.patch_strategy: tuple[str, ...] = tuple(strategy.split(",")) if strategy else ()
        self.merge_key: str = raw.get("x-kubernetes-patch-merge-key", "")
        self.default: Any = raw.get("default")
        self.preserve_unknown = name in FREE_FORM or (self.type == "any")

    @property
    def properties(self) -> Mapping[str, Schema]:
        """A struct's fields; empty for maps, lists and scalars."""
        if self._properties is None:
            fields = self._raw.get("properties")
            self._properties = {field: _part(raw) for field, raw in fields.items()} if fields else _NOTHING
        return self._properties

    @property
    def items(self) -> Schema | None:
        """The type of a list's items."""
        if self._items is None and "items" in self._raw:
            self._items = _part(self._raw["items"])
        return self._items

    @property
    def additional(self) -> Schema | None:
        """The type of a map's values; None for a struct."""
        if self._additional is None and "additionalProperties" in self._raw:
            self._additional = _part(self._raw["additionalProperties"])
        return self._additional

    @property
    def is_map(self) -> bool:
        return self.type == "object" and "additionalProperties" in self._raw

    def field(self, name: str) -> Schema | None:
        """The type of field or map entry `name`; None where a struct has no such field."""
        if self.is_map:
            return self.additional
        return self.properties.get(name)

    def __repr__(self) -> str:
        return f"Schema({self.name or self.type})"


@cache
def schema_of(definition: str) -> Schema:
    """The type called `definition`, e.g. io.k8s.api.apps.v1.Deployment; KeyError where loopkube has none."""
    return Schema(definition, load_structure()[definition])


def _part(raw: Object) -> Schema:
    """The type of a field, an item or a map's value: a shared definition, or an anonymous type."""
    reference = raw.get("$ref")
    if reference is None:
        return Schema("", raw)
    definition = reference.rsplit("/", 1)[1]
    if raw.keys() <= _OWN_KEYS and raw.get("default") is None:
        return schema_of(definition)
    return Schema(definition, load_structure()[definition] | {key: raw[key] for key in raw if key != "$ref"})
