"""Objects against field sets: which fields a value has, and which differ between two.

`fields_of` is what a manager claims who declares a value: the leaves, the items of keyed lists, the entries of maps. A
struct is claimed through its fields; an empty one, having none, by itself.

`compare` says what a write did: Removed, Modified and Added are disjoint. Here the parents count too: who adds the
first label also made `labels`, and who removes a list item removed everything in it. A leaf is compared whole.

An item that occurs twice in a keyed list (env allows it) cannot be told from its twin, so all of them are one leaf.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from control.apiserver.apply.fields import SELF, FieldSet, key_element, value_element
from control.apiserver.apply.shape import ANYTHING, Parts, Shape

_MISSING = object()


class ElementError(ValueError):
    """A list item that has no identity; the text is structured-merge-diff's."""


class Comparison(NamedTuple):
    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    @property
    def is_same(self) -> bool:
        return not (self.removed or self.modified or self.added)


def element_of(item: Any, shape: Shape) -> str:
    """How a list of this shape names `item`. Raises ElementError."""
    if not shape.keys:
        if isinstance(item, dict):
            raise ElementError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ElementError("not supported: associative list with lists as elements")
        if item is None:
            raise ElementError("associative list without keys has an element that's an explicit null")
        return value_element(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise ElementError(f"associative list with keys may not have {what}")
    keys = {key: item.get(key, shape.key_defaults.get(key)) for key in shape.keys}
    if None in keys.values():
        keys = {key: value for key, value in keys.items() if value is not None}
        if not keys:
            names = "[" + " ".join(f'"{key}"' for key in shape.keys) + "]"
            why = "(and doesn't have default values for any key fields)"
            raise ElementError(f"associative list with keys has an element that omits all key fields {names} {why}")
    return key_element(keys)


def index_of(items: list[Any], shape: Shape) -> dict[str, list[Any]]:
    """A list's items by their elements, in order; more than one where they are duplicates. Raises ElementError."""
    index: dict[str, list[Any]] = {}
    for place, item in enumerate(items):
        try:
            element = element_of(item, shape)
        except ElementError as error:
            raise ElementError(f"element {place}: {error}") from None
        index.setdefault(element, []).append(item)
    return index


def fields_of(value: dict[str, Any], shape: Shape) -> FieldSet:
    """The fields that declaring `value` claims. Raises ElementError."""
    fields: FieldSet = {}
    for name, part in value.items():
        member = shape.member(name)
        node = _claimed(part, member.shape)
        if node is not None:
            fields[member.element] = node if member.is_declared or not node else {SELF: {}, **node}
    return fields


def _claimed(value: Any, shape: Shape) -> FieldSet | None:
    """The node of a claimed value: {} for a leaf, None for an empty list of items, which claims nothing."""
    if not value or shape.parts is Parts.NONE:
        return None if shape.parts is Parts.ITEMS and value == [] else {}
    if shape.parts is Parts.ITEMS:
        return _claimed_items(value, shape) if isinstance(value, list) else {}
    return (fields_of(value, shape) or None) if isinstance(value, dict) else {}


def _claimed_items(items: list[Any], shape: Shape) -> FieldSet:
    fields: FieldSet = {}
    for element, same in index_of(items, shape).items():
        node = _claimed(same[0], shape.item) if len(same) == 1 else None
        fields[element] = {SELF: {}, **node} if node else {}
    return fields


def compare(old: dict[str, Any], new: dict[str, Any], shape: Shape) -> Comparison:
    """What turned `old` into `new`. Raises ElementError."""
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    _compare_members(old, new, shape, removed, modified, added)
    return Comparison(removed, modified, added)


def _compare_members(
    old: dict[str, Any],
    new: dict[str, Any],
    shape: Shape,
    removed: FieldSet,
    modified: FieldSet,
    added: FieldSet,
) -> None:
    for name, after in new.items():
        before = old.get(name, _MISSING)
        if before is after:
            continue
        member = shape.member(name)
        if before is _MISSING:
            node = whole(after, member.shape, owns_itself=not member.is_implied)
            if node is not None:
                added[member.element] = node
        elif before != after:
            _compare_values(before, after, member.element, member.shape, removed, modified, added)
    for name, before in old.items():
        if name not in new:
            member = shape.member(name)
            node = whole(before, member.shape, owns_itself=True)
            if node is not None:
                removed[member.element] = node


def _compare_values(
    before: Any,
    after: Any,
    element: str,
    shape: Shape,
    removed: FieldSet,
    modified: FieldSet,
    added: FieldSet,
) -> None:
    """Two values that differ, at `element` of the parent's sets."""
    parts = shape.parts
    below: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
    if parts is Parts.ITEMS and isinstance(before, list) and isinstance(after, list):
        _compare_items(before, after, shape, *below)
    elif parts in (Parts.MEMBERS, Parts.ANY) and isinstance(before, dict) and isinstance(after, dict):
        _compare_members(before, after, shape, *below)
    else:
        modified[element] = {}
        return
    for fields, found in zip((removed, modified, added), below, strict=True):
        if found:
            fields[element] = found


def _compare_items(
    before: list[Any],
    after: list[Any],
    shape: Shape,
    removed: FieldSet,
    modified: FieldSet,
    added: FieldSet,
) -> None:
    old, new = index_of(before, shape), index_of(after, shape)
    for element, items in new.items():
        was = old.get(element)
        if was is None:
            added[element] = _whole_items(items, shape)
        elif was == items:
            continue
        elif len(was) == len(items) == 1:
            _compare_values(was[0], items[0], element, shape.item, removed, modified, added)
        elif len(was) > 1 and len(items) > 1:
            modified[element] = {}
        elif len(was) > 1:
            removed[element] = {}  # the mark of duplicates goes, the one that is left counts as new
            added[element] = _whole_items(items, shape)
        else:
            removed[element] = _whole_items(was, shape)
            added[element] = {}
    for element, items in old.items():
        if element not in new:
            removed[element] = _whole_items(items, shape)


def _whole_items(items: list[Any], shape: Shape) -> FieldSet:
    node = whole(items[0], shape.item, owns_itself=True) if len(items) == 1 else {}
    return node if node is not None else {}


def whole(value: Any, shape: Shape, *, owns_itself: bool) -> FieldSet | None:
    """The node of a value that came or went, with all that is in it; None where that is nothing.

    `owns_itself`: the value is not there without somebody's doing; then neither is any part of it.
    """
    parts = shape.parts
    children: FieldSet = {}
    if parts is Parts.NONE or value is None:
        return children
    if isinstance(value, dict) and parts is not Parts.ITEMS:
        member_of = shape.member
        for name, part in value.items():
            member = member_of(name)
            node = whole(part, member.shape, owns_itself=owns_itself or not member.is_implied)
            if node is not None:
                children[member.element] = node
    elif isinstance(value, list) and parts is Parts.ITEMS:
        for element, items in index_of(value, shape).items():
            children[element] = _whole_items(items, shape)
    else:
        return children
    if owns_itself:
        return {SELF: {}, **children} if children else children
    return children or None


def with_named_fields(fields: FieldSet, shape: Shape) -> FieldSet:
    """`fields` and every struct field that leads to one of them (not entries of maps, not items of lists)."""
    complete: FieldSet = {}
    for element, node in fields.items():
        if not node or element == SELF:
            complete[element] = node
            continue
        below, is_field = _below(element, shape)
        child = with_named_fields(node, below)
        complete[element] = {SELF: {}, **child} if is_field and SELF not in child else child
    return complete


def _below(element: str, shape: Shape) -> tuple[Shape, bool]:
    """The shape that `element` leads to, and whether it is a field of a struct."""
    if element.startswith("f:"):
        if shape.parts in (Parts.MEMBERS, Parts.ANY):
            member = shape.member(element[2:])
            return member.shape, member.is_declared
        return ANYTHING, False
    return (shape.item if shape.parts is Parts.ITEMS else ANYTHING), False
