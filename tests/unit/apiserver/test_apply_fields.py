"""The algebra of field sets against sets of paths, its obviously right twin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.apiserver.apply.fields import (
    FieldSet,
    FieldSetError,
    difference,
    element_text,
    intersection,
    normalized,
    paths,
    union,
)

Path = tuple[str, ...]
PATHS = st.frozensets(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}']), min_size=1, max_size=3).map(tuple))


def tree(members: frozenset[Path]) -> FieldSet:
    """The FieldsV1 of a set of paths, built one by one."""
    root: dict[str, Any] = {}
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return normalized(root)


def members(fields: FieldSet, prefix: Path = ()) -> frozenset[Path]:
    """The inverse of `tree`."""
    found: set[Path] = set()
    for element, node in fields.items():
        if element == ".":
            continue
        if not node or "." in node:
            found.add((*prefix, element))
        found |= members(node, (*prefix, element))
    return frozenset(found)


def is_normal(fields: FieldSet) -> bool:
    """No empty branches, and no node that says "." and nothing else."""
    return all(list(node) != ["."] and is_normal(node) for element, node in fields.items() if element != ".")


@given(PATHS, PATHS)
@settings(max_examples=150)
def test_the_operations_are_those_of_sets_of_paths(left: frozenset[Path], right: frozenset[Path]) -> None:
    before = (tree(left), tree(right))
    ours, theirs = tree(left), tree(right)
    for operation, expected in ((union, left | right), (difference, left - right), (intersection, left & right)):
        result = operation(ours, theirs)
        assert members(result) == expected
        assert is_normal(result)
        assert result == tree(expected)
    assert (ours, theirs) == before


@given(PATHS)
@settings(max_examples=30)
def test_every_path_is_told_once(left: frozenset[Path]) -> None:
    told = list(paths(tree(left)))
    assert sorted(told) == sorted("".join(element_text(element) for element in path) for path in left)


def test_paths_as_errors_show_them() -> None:
    fields = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}}}}, "f:x": {'v:"a"': {}}}
    assert list(paths(fields)) == [
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].name',
        '.x[="a"]',
    ]
    assert element_text("i:3") == "[3]"


def test_what_a_client_sends_is_brought_into_normal_form() -> None:
    sent: dict[str, Any] = {"f:a": {".": {}}, 'k:{"b": 1, "a":"x"}': {}, "v: 3": {}, "i:1": {}, "z:future": {}}
    assert normalized(sent) == {"f:a": {}, 'k:{"a":"x","b":1}': {}, "v:3": {}, "i:1": {}}


@pytest.mark.parametrize("sent", [{"f": {}}, {"fa": {}}, {"k:{": {}}, {"v:": {}}, {"i:x": {}}, {"f:a": 1}, []])
def test_what_is_no_field_set(sent: Any) -> None:
    with pytest.raises(FieldSetError):
        normalized(sent)
