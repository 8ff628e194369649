"""RFC 6902 by its appendix, then what Kubernetes' library does beside it: errors, limits, lenient corners."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.schema import schema_of
from control.api.status import StatusError
from control.apiserver.patch import JSON_PATCH, apply_patch, json_patch
from control.apiserver.patch.json_patch import PatchError, same

SCHEMA = schema_of("io.k8s.api.core.v1.ConfigMap")

APPENDIX = [
    ("A.1 add a member", {"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    (
        "A.2 add an element",
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    ("A.3 remove a member", {"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    (
        "A.4 remove an element",
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    (
        "A.5 replace",
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        "A.6 move a value",
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        "A.7 move an element",
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        "A.8 test",
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        "A.10 add a nested object",
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    (
        "A.11 unknown members are ignored",
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    ("A.14 ~ escapes", {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    (
        "A.16 add an array value",
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
]
FAILING = [
    ("A.9 test", {"baz": "qux"}, {"op": "test", "path": "/baz", "value": "bar"}, "testing value /baz failed"),
    (
        "A.12 no such parent",
        {"foo": "bar"},
        {"op": "add", "path": "/baz/bat", "value": "qux"},
        'missing path: "/baz/bat"',
    ),
    ("A.15 a string is no number", {"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": "10"}, "test failed"),
    ("true is not 1", {"a": 1}, {"op": "test", "path": "/a", "value": True}, "test failed"),
    ("remove nothing", {}, {"op": "remove", "path": "/a"}, "Unable to remove nonexistent key: a: missing value"),
    ("past the end", {"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, "Unable to access invalid index: 2"),
    ("replace past the end", {"a": [1]}, {"op": "replace", "path": "/a/1", "value": 1}, "doc is missing key: /a/1"),
    ("not an index", {"a": [1]}, {"op": "add", "path": "/a/x", "value": 1}, "not a proper array index: 'x'"),
    ("no path", {}, {"op": "add", "value": 1}, "add operation failed to decode path"),
    ("no from", {}, {"op": "copy", "path": "/a"}, "copy operation failed to decode from"),
    ("copy of nowhere", {}, {"op": "copy", "from": "/a/b", "path": "/c"}, "doc is missing from path: /a/b"),
    ("unknown op", {}, {"op": "merge", "path": "/a"}, "Unexpected kind: merge"),
    ("through a scalar", {"a": "b"}, {"op": "test", "path": "/a/b", "value": 1}, "is missing path: /a/b"),
]


@pytest.mark.parametrize(
    ("document", "patch", "expected"), [case[1:] for case in APPENDIX], ids=[c[0] for c in APPENDIX]
)
def test_the_appendix_of_the_rfc(document: object, patch: list[object], expected: object) -> None:
    assert json_patch.apply(copy.deepcopy(document), json_patch.decode(patch)) == expected


@pytest.mark.parametrize(
    ("document", "operation", "words"), [case[1:] for case in FAILING], ids=[c[0] for c in FAILING]
)
def test_what_does_not_apply(document: object, operation: object, words: str) -> None:
    with pytest.raises(PatchError) as failure:
        json_patch.apply(copy.deepcopy(document), json_patch.decode([operation]))
    assert words in str(failure.value)


@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ({}, {"op": "replace", "path": "/a", "value": 1}, {"a": 1}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/-1"}, {"a": [1]}),
        ({"a": [1, 2]}, {"op": "add", "path": "/a/-1", "value": 3}, {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, {"op": "replace", "path": "/a/-1", "value": 3}, {"a": [1, 3]}),
        ({}, {"op": "test", "path": "/a", "value": None}, {}),
        ({}, {"op": "test", "path": "/a"}, {}),
        ({"a": 1}, {"op": "test", "path": "", "value": {"a": 1}}, {"a": 1}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
        ({"a": 1}, {"op": "add", "path": "/b"}, {"a": 1, "b": None}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_the_lenient_corners_of_kubernetes(document: object, operation: object, expected: object) -> None:
    assert json_patch.apply(document, json_patch.decode([operation])) == expected


def test_a_copy_is_not_an_alias() -> None:
    patch = [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/x", "value": 1}]
    assert json_patch.apply({"a": {}}, json_patch.decode(patch)) == {"a": {}, "b": {"x": 1}}


def test_copies_may_not_grow_a_document_without_end() -> None:
    document = {"a": "x" * 100_000}
    doubling = [{"op": "copy", "from": "", "path": "/a"}]
    with pytest.raises(PatchError):  # "" names no member
        json_patch.apply({"a": 1}, json_patch.decode(doubling))
    copies = [{"op": "copy", "from": "/a", "path": f"/{n}"} for n in range(40)]
    with pytest.raises(PatchError, match="accumulated size increase of copy is 3200064, exceeding the limit 3145728"):
        json_patch.apply(document, json_patch.decode(copies))


def apply(current: dict[str, object], patch: object) -> dict[str, object]:
    return apply_patch(JSON_PATCH, current, json.dumps(patch).encode(), SCHEMA)


def test_errors_as_the_client_sees_them() -> None:
    with pytest.raises(StatusError) as failed:
        apply({"data": {"a": "1"}}, [{"op": "test", "path": "/data/a", "value": "2"}])
    assert (failed.value.code, failed.value.reason) == (422, "Invalid")
    assert failed.value.message == "the server rejected our request due to an error in our request"
    with pytest.raises(StatusError) as malformed:
        apply({}, {"op": "add"})
    assert (malformed.value.code, malformed.value.reason) == (400, "BadRequest")
    with pytest.raises(StatusError) as many:
        apply({}, [{"op": "test", "path": ""}] * 10_001)
    assert many.value.code == 413
    assert "allowed maximum operations in a JSON patch is 10000, got 10001" in many.value.message
    with pytest.raises(StatusError) as listed:
        apply({}, [{"op": "replace", "path": "", "value": [1]}])
    assert listed.value.code == 422


def test_an_unreadable_body() -> None:
    with pytest.raises(StatusError, match="invalid JSON patch") as failed:
        apply_patch(JSON_PATCH, {}, b"{", SCHEMA)
    assert failed.value.code == 400
    with pytest.raises(StatusError) as unknown:
        apply_patch("text/plain", {}, b"{}", SCHEMA)
    assert unknown.value.code == 415


def test_a_failing_patch_leaves_the_object_alone() -> None:
    current: dict[str, object] = {"data": {"a": "1"}}
    with pytest.raises(StatusError):
        apply(current, [{"op": "remove", "path": "/data/a"}, {"op": "test", "path": "/data/b", "value": 1}])
    assert current == {"data": {"a": "1"}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
@settings(max_examples=60)
def test_same_is_equality_of_json(left: object, right: object) -> None:
    assert same(left, right) == (json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True))


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), st.sampled_from("abc"), JSON)
@settings(max_examples=60)
def test_what_was_added_is_there(document: dict[str, object], key: str, value: object) -> None:
    patch = [{"op": "add", "path": f"/{key}", "value": value}, {"op": "test", "path": f"/{key}", "value": value}]
    assert apply(document, patch) == document | {key: value}
