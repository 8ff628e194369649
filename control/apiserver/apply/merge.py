"""Merging a declared object into a live one, and taking fields out of an object.

`merge` is what an apply does to values: the declared ones win, everything that the declaration does not mention stays.
Keyed lists merge item by item; the order is the declaration's for the items that it names, and live items that it does
not name stay where they were among them as far as that works out. An explicit null takes a leaf away and says nothing
about a map or a list of items.

`without` takes a set of fields out of a value, and what becomes empty by it goes as well (Go's empty values are not
written), unless somebody owns it for itself. Neither changes its arguments; the results share parts with them.
"""

from __future__ import annotations

from typing import Any

from control.apiserver.apply.compare import element_of, index_of
from control.apiserver.apply.fields import FieldSet, is_member
from control.apiserver.apply.shape import Parts, Shape

_MISSING = object()


def merge(live: dict[str, Any], applied: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """`live` with everything that `applied` says. Raises ElementError."""
    merged = dict(live)
    for name, declared in applied.items():
        value = _merge_values(merged.get(name, _MISSING), declared, shape.member(name).shape)
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _merge_values(live: Any, declared: Any, shape: Shape) -> Any:
    """The value of both; None: there is none."""
    parts = shape.parts
    if declared is None:
        keeps = live is not _MISSING and (
            (parts is Parts.ITEMS and isinstance(live, list))
            or (parts in (Parts.MEMBERS, Parts.ANY) and isinstance(live, dict))
        )
        return live if keeps else None
    if isinstance(declared, dict) and parts in (Parts.MEMBERS, Parts.ANY):
        return merge(live if isinstance(live, dict) else {}, declared, shape)
    if isinstance(declared, list) and parts is Parts.ITEMS:
        return _merge_items(live if isinstance(live, list) else [], declared, shape)
    return declared


def _merge_items(live: list[Any], declared: list[Any], shape: Shape) -> list[Any]:
    """Both lists' items, walked side by side as structured-merge-diff does, which decides the order."""
    named = index_of(declared, shape)
    known = index_of(live, shape)
    ours = [(element_of(item, shape), item) for item in live]
    theirs = list(named)
    shared = iter([element for element in theirs if element in known])
    next_shared = next(shared, None)
    merged: list[Any] = []
    taken: set[str] = set()
    i = j = 0
    while i < len(ours) or j < len(theirs):
        if i < len(ours):
            element, item = ours[i]
            if element not in named:
                merged.append(item)
                i += 1
                continue
            if element in taken or (j < len(theirs) and next_shared not in (None, element)):
                i += 1  # merged already, or its turn comes when the declaration names it
                continue
        if j < len(theirs):
            element = theirs[j]
            twins = known.get(element, ())  # duplicates of ours give way to the one that is declared
            before = twins[0] if len(twins) == 1 else _MISSING
            value = _merge_values(before, named[element][0], shape.item)
            if value is not None:
                merged.append(value)
            taken.add(element)
            j += 1
            if element == next_shared:
                next_shared = next(shared, None)
    return merged


def without(value: dict[str, Any], fields: FieldSet, shape: Shape, kept: FieldSet) -> dict[str, Any]:
    """`value` less `fields`; a map or list that becomes empty by it stays only if it is in `kept` itself."""
    rest: dict[str, Any] = {}
    for name, part in value.items():
        member = shape.member(name)
        node = fields.get(member.element)
        left = part if node is None else _remainder(part, node, member.shape, kept.get(member.element))
        if left is not None:
            rest[name] = left
    return rest


def _remainder(value: Any, node: FieldSet, shape: Shape, kept: FieldSet | None) -> Any:
    """What is left of a value whose place in the set is `node`; None: nothing."""
    if is_member(node):
        return None
    left: Any = value
    if isinstance(value, dict) and shape.parts in (Parts.MEMBERS, Parts.ANY):
        left = without(value, node, shape, kept or {})
    elif isinstance(value, list) and shape.parts is Parts.ITEMS:
        left = _remaining_items(value, node, shape, kept or {})
    elif shape.parts is Parts.NONE and isinstance(value, dict | list):
        return None  # the set was written when this was not yet atomic
    return left if left or not isinstance(left, dict | list) or is_member(kept) else None


def _remaining_items(items: list[Any], node: FieldSet, shape: Shape, kept: FieldSet) -> list[Any]:
    rest = []
    for item in items:
        element = element_of(item, shape)
        below = node.get(element)
        left = item if below is None else _remainder(item, below, shape.item, kept.get(element))
        if left is not None:
            rest.append(left)
    return rest
