"""Selectors: what they select, how they fail, and that text and object agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.selectors import (
    EVERYTHING,
    NOTHING,
    format_selector,
    parse_fields,
    parse_labels,
    selector_of,
    selector_of_map,
    unsupported_field,
)

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app=db", False), ("app!=web", False), ("x!=y", True),
        ("app=web,tier=front", True), ("app=web,tier=back", False), ("app in (web, db)", True), ("app in (db)", False),
        ("app notin (db)", True), ("x notin (db)", True), ("app notin (web)", False), ("app", True), ("x", False),
        ("!x", True), ("!app", False), ("n>4", True), ("n>5", False), ("n<6", True), ("app>1", False), ("x>1", False),
        ("empty=", True), ("app=", False), ("empty in (,a)", True), ("app in (),x", False), ("in=in", False),
        (" app = web , tier ", True), ("app in(web)", True), ("app,app=web", True), ("notin notin (in)", True),
    ],
)  # fmt: skip
def test_label_selectors_as_text(text: str, selected: bool) -> None:
    assert parse_labels(text)(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a=(b)", "unable to parse requirement: found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be "
            "an integer",
        ),
    ],
)
def test_label_selectors_that_do_not_parse(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_labels(text)
    assert str(caught.value) == error


def test_keys_and_values_are_validated() -> None:
    with pytest.raises(ValueError, match=r'<nil>: Invalid value: "a\*": name part must consist of alphanumeric'):
        parse_labels("a*=b")
    with pytest.raises(ValueError, match=r'values\[0\]\[a\]: Invalid value: "b/c": a valid label must be an empty'):
        parse_labels("a=b/c")


def test_selector_objects() -> None:
    everything, nothing = selector_of({}), selector_of(None)
    assert everything.everything
    assert everything(LABELS)
    assert not nothing(LABELS)
    assert not nothing.everything
    both = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}
    assert selector_of(both)(LABELS)
    assert selector_of({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]})(LABELS)
    assert not selector_of({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})(LABELS)
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        selector_of({"matchExpressions": [{"key": "x", "operator": "Near"}]})


def test_plain_maps_select_nothing_when_empty() -> None:
    assert selector_of_map({}) is NOTHING
    assert selector_of_map(None) is NOTHING
    assert selector_of_map({"app": "web"})(LABELS)
    assert not selector_of_map({"app": "web", "x": "y"})(LABELS)


def test_what_an_index_can_be_asked_for() -> None:
    selector = parse_labels("app=web,tier in (a,b)")
    assert selector.required("app") == "web"
    assert selector.required("tier") is None


def test_matching_whole_objects() -> None:
    assert parse_labels("app=web").matches({"metadata": {"labels": LABELS}})
    assert not parse_labels("app=web").matches({"metadata": {}})


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, "<none>"),
        ({}, "<none>"),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchExpressions": [
                    {"key": "k", "operator": "In", "values": ["y", "x"]},
                    {"key": "e", "operator": "Exists"},
                ]
            },
            "e,k in (x,y)",
        ),
    ],
)
def test_formatting(selector: dict[str, object] | None, text: str) -> None:
    assert format_selector(selector) == text


FIELDS = {"metadata.name": "a", "status.phase": "Running", "odd": "x,y=z\\"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True), ("metadata.name=a", True), ("metadata.name==a", True), ("metadata.name!=a", False),
        ("metadata.name=a,status.phase!=Pending", True), ("status.phase=", False), ("odd=x\\,y\\=z\\\\", True),
        (",metadata.name=a,", True),
    ],
)  # fmt: skip
def test_field_selectors(text: str, selected: bool) -> None:
    assert parse_fields(text)(FIELDS) is selected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selectors_that_do_not_parse(text: str, error: str) -> None:
    with pytest.raises(ValueError, match="selector") as caught:
        parse_fields(text)
    assert str(caught.value) == error


def test_unknown_fields_are_found() -> None:
    assert unsupported_field(parse_fields("metadata.name=a,spec.nope=1"), FIELDS) == "spec.nope"
    assert unsupported_field(parse_fields("metadata.name=a"), FIELDS) == ""


def test_empty_texts_select_everything() -> None:
    assert parse_labels("  ") is EVERYTHING
    assert parse_fields("") is EVERYTHING


KEYS, VALUES = st.sampled_from("abc"), st.sampled_from("xyz")
EXPRESSIONS = st.one_of(
    st.builds(lambda k, v: {"key": k, "operator": "In", "values": sorted(v)}, KEYS, st.sets(VALUES, min_size=1)),
    st.builds(lambda k, v: {"key": k, "operator": "NotIn", "values": sorted(v)}, KEYS, st.sets(VALUES, min_size=1)),
    st.builds(lambda k: {"key": k, "operator": "Exists"}, KEYS),
    st.builds(lambda k: {"key": k, "operator": "DoesNotExist"}, KEYS),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, VALUES), st.lists(EXPRESSIONS, max_size=3), st.dictionaries(KEYS, VALUES))
def test_the_written_form_of_an_object_selects_the_same(
    match_labels: dict[str, str], expressions: list[dict[str, object]], labels: dict[str, str]
) -> None:
    selector = {"matchLabels": match_labels, "matchExpressions": expressions}
    text = format_selector(selector)
    if text != "<none>":
        assert parse_labels(text)(labels) == selector_of(selector)(labels)
