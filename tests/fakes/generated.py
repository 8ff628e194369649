"""Objects that a schema allows, and some that it does not, as hypothesis strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from control.api.schema import Schema

LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", "1", "500m", "0.5", 0, 1, -1, 2**40, 1.5, True, False, [], {}, "YQ=="]
)
"""What may stand anywhere, mostly where it does not belong."""

TEXTS = st.sampled_from(["", "x", "a.b", "1", "25%", "UPPER", "Always", "In", "Exists", "127.0.0.1", "RollingUpdate"])
NUMBERS = st.sampled_from([-1, 0, 1, 80, 70000])
FIELDS_MAX = 12  # of a struct, in a generated object: enough to reach every branch over many examples


def values(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema, and sometimes anything."""
    if depth == 0:
        return LEAVES
    if schema.type == "array" and schema.items is not None:
        return st.one_of(LEAVES, st.lists(values(schema.items, depth - 1), max_size=2))
    if schema.is_map and schema.additional is not None:
        return st.one_of(LEAVES, st.dictionaries(st.sampled_from("ab"), values(schema.additional, depth - 1)))
    if schema.properties:
        names = sorted(schema.properties)[:FIELDS_MAX]
        fields = {name: values(schema.properties[name], depth - 1) for name in names}
        return st.fixed_dictionaries({}, optional={**fields, "nonsense": LEAVES})
    return LEAVES


@st.composite
def fitting(draw: st.DrawFn, schema: Schema, depth: int = 8) -> Any:
    """A value that decodes: every type is right, whatever the words mean."""
    if schema.type == "array" and schema.items is not None:
        size = draw(st.integers(0, 2)) if depth else 0
        return [draw(fitting(schema.items, depth - 1)) for _ in range(size)]
    if schema.is_map and schema.additional is not None:
        keys = draw(st.lists(st.sampled_from(["a", "b c", "cpu"]), max_size=2, unique=True)) if depth else []
        return {key: draw(fitting(schema.additional, depth - 1)) for key in keys}
    if schema.type == "object":
        names = sorted(schema.properties)
        chosen = draw(st.lists(st.sampled_from(names), max_size=FIELDS_MAX, unique=True)) if names and depth else []
        return {name: draw(fitting(schema.properties[name], depth - 1)) for name in chosen}
    if schema.type == "boolean":
        return draw(st.booleans())
    if schema.type in ("integer", "number"):
        return draw(NUMBERS)
    if schema.type == "int-or-string":
        return draw(st.one_of(NUMBERS, TEXTS))
    by_format = {"date-time": "2026-01-01T00:00:00Z", "byte": "YQ==", "quantity": "500m"}
    return by_format.get(schema.format) or draw(TEXTS)
