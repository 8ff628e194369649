"""KEP-1453's truth table, and the cases around it."""

from __future__ import annotations

from typing import Any

import pytest

from dataplane.route.path import Paths, matches
from tests.fakes.contract import rule

# kind, paths of the rules, path of the request, path of the rule that wins
KEP_1453 = [
    ("Prefix", ["/"], b"/any/path", "/"),
    ("Exact", ["/foo"], b"/foo", "/foo"),
    ("Exact", ["/foo"], b"/bar", None),
    ("Exact", ["/foo"], b"/foo/", None),
    ("Exact", ["/foo/"], b"/foo", None),
    ("Prefix", ["/foo"], b"/foo", "/foo"),
    ("Prefix", ["/foo"], b"/foo/", "/foo"),
    ("Prefix", ["/foo/"], b"/foo", "/foo/"),
    ("Prefix", ["/foo/"], b"/foo/", "/foo/"),
    ("Prefix", ["/aaa/bb"], b"/aaa/bbb", None),
    ("Prefix", ["/aaa/bbb"], b"/aaa/bbb", "/aaa/bbb"),
    ("Prefix", ["/aaa/bbb/"], b"/aaa/bbb", "/aaa/bbb/"),
    ("Prefix", ["/aaa/bbb"], b"/aaa/bbb/", "/aaa/bbb"),
    ("Prefix", ["/aaa/bbb"], b"/aaa/bbb/ccc", "/aaa/bbb"),
    ("Prefix", ["/aaa/bbb"], b"/aaa/bbbxyz", None),
    ("Prefix", ["/", "/aaa"], b"/aaa/ccc", "/aaa"),
    ("Prefix", ["/", "/aaa", "/aaa/bbb"], b"/aaa/bbb", "/aaa/bbb"),
    ("Prefix", ["/", "/aaa", "/aaa/bbb"], b"/ccc", "/"),
    ("Prefix", ["/aaa"], b"/ccc", None),
]


def paths(*rules: tuple[str, str], **more: Any) -> Paths[str]:
    return Paths(
        [(rule(str(index), path=path, path_type=kind, **more), path) for index, (kind, path) in enumerate(rules)]
    )


@pytest.mark.parametrize(("kind", "rules", "path", "winner"), KEP_1453)
def test_the_truth_table_of_kep_1453(kind: str, rules: list[str], path: bytes, winner: str | None) -> None:
    assert paths(*[(kind, item) for item in rules]).find(path) == winner
    assert any(matches(rule("r", path=item, path_type=kind), path) for item in rules) is (winner is not None)


def test_exact_comes_before_prefix_whatever_their_order() -> None:
    exact = rule("e", path="/foo", path_type="Exact", order=("2", "z", 1))
    prefix = rule("p", path="/foo", path_type="Prefix", order=("1", "a", 0))
    assert Paths([(exact, "exact"), (prefix, "prefix")]).find(b"/foo") == "exact"
    assert Paths([(exact, "exact"), (prefix, "prefix")]).find(b"/foo/") == "prefix"


def test_exact_foo_wins_over_prefix_foo_slash() -> None:
    both = paths(("Exact", "/foo"), ("Prefix", "/foo/"))
    assert both.find(b"/foo") == "/foo"
    assert both.find(b"/foo/") == "/foo/"


def test_the_oldest_of_equal_rules_wins_by_any_part_of_its_order() -> None:
    orders = [("2026-01-02", "a/a", 0), ("2026-01-01", "b/b", 0), ("2026-01-01", "a/z", 7), ("2026-01-01", "a/z", 6)]
    for kind in ("Exact", "Prefix"):
        rules = [(rule(str(order), path="/foo", path_type=kind, order=order), order) for order in orders]
        assert Paths(rules).find(b"/foo") == ("2026-01-01", "a/z", 6)
        assert Paths(rules[:2]).find(b"/foo") == ("2026-01-01", "b/b", 0)


def test_implementation_specific_is_prefix() -> None:
    both = paths(("ImplementationSpecific", "/foo"), ("ImplementationSpecific", ""))
    assert both.find(b"/foo/bar") == "/foo"
    assert both.find(b"/foobar") == ""


@pytest.mark.parametrize("path", [b"/FOO", b"/%66oo", b"/./foo", b"//foo", b"/x/../foo", b"foo", b"*", b"", b"/foo;x"])
def test_the_bytes_decide(path: bytes) -> None:
    assert paths(("Prefix", "/foo")).find(path) is None


def test_what_does_not_begin_with_a_slash_matches_not_even_the_root() -> None:
    assert paths(("Prefix", "/")).find(b"*") is None


def test_non_ascii_rules_match_their_utf_8_bytes() -> None:
    assert paths(("Prefix", "/grün")).find("/grün/x".encode()) == "/grün"


def test_a_default_is_kept_apart_from_the_paths() -> None:
    rules = Paths([(rule("d", is_default=True), "default"), (rule("r", path="/foo"), "foo")])
    assert rules.find(b"/bar") is None
    assert rules.default == "default"
