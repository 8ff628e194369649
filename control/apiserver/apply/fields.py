"""Sets of field paths, in the very form in which the API shows them: FieldsV1.

A set is a tree of dicts whose keys are path elements: `f:name` a member, `k:{...}` the item of a list with these keys,
`v:...` an item of a set, `i:N` an index. An element whose value is empty is in the set; one with children is in the set
itself only if "." is among them. So {"f:spec": {"f:replicas": {}}} has one path, .spec.replicas, and not .spec.

Keeping the wire form has a reason: most writes touch few fields, and then most entries of managedFields are taken over
as they are, unread. The operations below never change their arguments and share what they can, so nobody may change a
set in place. The order of keys has no meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

FieldSet = dict[str, Any]
SELF = "."


class FieldSetError(ValueError):
    """The text is no FieldsV1."""


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in either."""
    if not left or left is right:
        return right
    united = dict(left)
    for element, theirs in right.items():
        ours = united.get(element)
        if ours is None:
            united[element] = theirs
        elif element != SELF and ours is not theirs:
            united[element] = _united(ours, theirs)
    return united


def _united(ours: FieldSet, theirs: FieldSet) -> FieldSet:
    if not ours:
        return {SELF: {}, **theirs} if theirs else ours
    return union(ours, theirs) if theirs else {SELF: {}, **ours}


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in `left` and not in `right`; a parent is not its children."""
    if not right:
        return left
    rest: FieldSet = {}
    for element, ours in left.items():
        theirs = right.get(element)
        if theirs is None:
            rest[element] = ours
        elif element != SELF:
            node = _rest(ours, theirs)
            if node is not None:
                rest[element] = node
    return rest


def _rest(ours: FieldSet, theirs: FieldSet) -> FieldSet | None:
    if not ours:
        return ours if theirs and SELF not in theirs else None
    if not theirs:
        rest = {element: node for element, node in ours.items() if element != SELF}
    else:
        rest = difference(ours, theirs)
    return _node(rest)


def _node(children: FieldSet) -> FieldSet | None:
    """A node of a tree from its children: only itself is the empty dict, nothing is None."""
    if not children:
        return None
    return {} if len(children) == 1 and SELF in children else children


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    if len(left) > len(right):
        left, right = right, left
    shared: FieldSet = {}
    for element, ours in left.items():
        theirs = right.get(element)
        if theirs is None or element == SELF:
            continue
        both = intersection(ours, theirs) if ours and theirs else {}
        if (not ours or SELF in ours) and (not theirs or SELF in theirs):
            shared[element] = {SELF: {}, **both} if both else {}
        elif both:
            shared[element] = both
    return shared


def is_member(node: FieldSet | None) -> bool:
    """Whether the element that leads to `node` is itself in the set; None: nothing leads there."""
    return node is not None and (not node or SELF in node)


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Every path of the set as text, `.spec.containers[name="a"].image`; members before what is below them."""
    elements = sorted(element for element in fields if element != SELF)
    texts = {element: prefix + element_text(element) for element in elements}
    for element in elements:
        if is_member(fields[element]):
            yield texts[element]
    for element in elements:
        if fields[element]:
            yield from paths(fields[element], texts[element])


def element_text(element: str) -> str:
    """A path element as errors show it."""
    kind, value = element[:2], element[2:]
    if kind == "k:":
        keys = orjson.loads(value)
        return "[" + ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys)) + "]"
    if kind == "v:":
        return f"[={value}]"
    if kind == "i:":
        return f"[{value}]"
    return "." + value


def key_element(keys: dict[str, Any]) -> str:
    """The element of the list item that has these keys."""
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    """The element of this item of a set."""
    return "v:" + orjson.dumps(value).decode()


def normalized(fields: Any) -> FieldSet:
    """A set that a client sent, in the form of ours. Raises FieldSetError; unknown kinds of elements are left out."""
    if not isinstance(fields, dict):
        raise FieldSetError("fieldsV1 is no object")
    clean: FieldSet = {}
    for element, node in fields.items():
        if element == SELF:
            clean[SELF] = {}
            continue
        known = _normalized_element(element)
        if known is not None:
            child = normalized(node)
            clean[known] = {} if len(child) == 1 and SELF in child else child
    return clean


def _normalized_element(element: str) -> str | None:
    if len(element) < 2:
        raise FieldSetError("key must be 2 characters long:")
    kind, value = element[:2], element[2:]
    if kind[1] != ":":
        raise FieldSetError(f"missing colon: {element}")
    try:
        if kind == "k:":
            return key_element(orjson.loads(value))
        if kind == "v:":
            return value_element(orjson.loads(value))
        if kind == "i:":
            return f"i:{int(value)}"
    except ValueError as error:
        raise FieldSetError(f"{element}: {error}") from error
    return element if kind == "f:" else None
