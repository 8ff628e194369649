"""RFC 7386 by its appendix and its laws."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.schema import schema_of
from control.api.status import StatusError
from control.apiserver.patch import CONTENT_TYPES, JSON_PATCH, MERGE_PATCH, apply_patch, merge_patch

SCHEMA = schema_of("io.k8s.api.core.v1.ConfigMap")

APPENDIX: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "expected"), APPENDIX)
def test_the_appendix_of_the_rfc(target: object, patch: object, expected: object) -> None:
    assert merge_patch(target, patch) == expected


WITHOUT_NULL = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), WITHOUT_NULL, max_size=4)
PATCHES = st.recursive(
    st.none() | st.integers(-9, 9),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
).filter(lambda patch: isinstance(patch, dict))


def difference(before: Any, after: Any) -> Any:
    """The patch that turns one object into another: the obviously right inverse."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    patch = {key: None for key in before if key not in after}
    return patch | {key: difference(before.get(key), value) for key, value in after.items() if before.get(key) != value}


@given(OBJECTS, PATCHES)
@settings(max_examples=80)
def test_a_merge_patch_is_idempotent_and_leaves_its_arguments_alone(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert (target, patch) == before


@given(OBJECTS, OBJECTS)
@settings(max_examples=80)
def test_every_object_can_be_reached(before: Any, after: Any) -> None:
    assert merge_patch(before, difference(before, after)) == after


def test_the_result_is_the_callers_own() -> None:
    current = {"metadata": {"labels": {"a": "1"}}, "data": {"x": "y"}}
    patched = apply_patch(MERGE_PATCH, current, b'{"data":{"x":"z"}}', SCHEMA)
    patched["metadata"]["labels"]["a"] = "2"
    assert current == {"metadata": {"labels": {"a": "1"}}, "data": {"x": "y"}}


@pytest.mark.parametrize("body", [b"1", b"null", b'"text"'])
def test_a_scalar_is_no_patch(body: bytes) -> None:
    with pytest.raises(StatusError, match="Invalid JSON Patch") as failed:
        apply_patch(MERGE_PATCH, {}, body, SCHEMA)
    assert failed.value.code == 400


def test_a_list_is_no_object() -> None:
    with pytest.raises(StatusError) as failed:
        apply_patch(MERGE_PATCH, {}, json.dumps([1]).encode(), SCHEMA)
    assert (failed.value.code, failed.value.reason) == (422, "Invalid")


@pytest.mark.parametrize("depth", [300, 1000, 5000])
@pytest.mark.parametrize("media", CONTENT_TYPES)
def test_no_depth_of_nesting_is_an_error_of_the_server(depth: int, media: str) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'[{"op":"add","path":"/a","value":' + nested + b"}]" if media == JSON_PATCH else nested
    with pytest.raises(StatusError) as failed:
        apply_patch(media, orjson.loads(b'{"a":' * 200 + b"1" + b"}" * 200), body, SCHEMA)
    assert failed.value.code == 400
