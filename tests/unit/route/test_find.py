"""The compiled finder says what the linear scan says, and what Ingress users expect."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.route.find import REMEMBERED_MAX, Finder
from dataplane.route.linear import find
from dataplane.snapshot.model import Route
from tests.fakes.contract import rule

HOSTS = ["", "foo.com", "*.foo.com", "a.foo.com", "*.com", "b.a.foo.com"]
ASKED = [b"", b"foo.com", b"A.foo.com:80", b"b.a.foo.com.", b"x.y.foo.com", b"bar.com", b"localhost", b"[::1]:1"]
PIECES = st.lists(st.sampled_from(["a", "b", "aa", "", "A", "%61"]), max_size=4)
PATTERNS = ["/a+", "/(a|b)/?", "/.*", "/a/b/a/b", "/A", "/[ab]{2}$"]
PATHS = PIECES.map(lambda pieces: "/" + "/".join(pieces))
RULES = st.lists(
    st.builds(
        lambda host, rule, order, is_default: (host, *rule, order, is_default),
        st.sampled_from(HOSTS),
        st.tuples(PATHS, st.sampled_from(["Exact", "Prefix", "ImplementationSpecific"]))
        | st.tuples(st.sampled_from(PATTERNS), st.just("Regex")),
        st.integers(0, 3),
        st.integers(0, 9).map(lambda number: number == 0),
    ),
    max_size=12,
)


def compiled(routes: Iterable[Route]) -> Finder[Route]:
    finder: Finder[Route] = Finder()
    by_host: dict[str, list[tuple[Route, Route]]] = {}
    for route in routes:
        by_host.setdefault(route.host, []).append((route, route))
    for host, rules in by_host.items():
        finder.set_host(host, rules)
    return finder


@settings(max_examples=150)
@given(RULES, st.lists(st.tuples(st.sampled_from(ASKED), PATHS.map(str.encode)), min_size=1, max_size=6))
def test_the_compiled_finder_agrees_with_the_linear_scan(
    rules: list[tuple[str, str, str, int, bool]], asked: list[tuple[bytes, bytes]]
) -> None:
    routes = [
        rule(str(index), host, path, path_type=kind, order=(str(age), "", index), is_default=is_default)
        for index, (host, path, kind, age, is_default) in enumerate(rules)
    ]
    finder = compiled(routes)
    for host, path in asked:
        for query in (b"", b"?a=/b"):
            assert finder.find(host, path + query) == find(routes, host, path + query), (host, path)


def test_the_most_specific_host_that_has_rules_decides_alone() -> None:
    routes = [rule("exact", "a.foo.com", "/x"), rule("wild", "*.foo.com", "/y"), rule("any", "", "/z")]
    finder = compiled(routes)
    assert finder.find(b"a.foo.com", b"/y") is None
    assert finder.find(b"b.foo.com", b"/y") == routes[1]
    assert finder.find(b"b.foo.com", b"/z") is None
    assert finder.find(b"foo.com", b"/z") == routes[2]
    assert finder.find(b"b.a.foo.com", b"/y") is None


def test_defaults_come_last_those_of_the_host_first() -> None:
    routes = [
        rule("x", "foo.com", "/x"),
        rule("of-host", "foo.com", is_default=True),
        rule("of-table", is_default=True),
        rule("y", "bar.com", "/y"),
    ]
    finder = compiled(routes)
    assert finder.find(b"foo.com", b"/x") == routes[0]
    assert finder.find(b"foo.com", b"/other") == routes[1]
    assert finder.find(b"bar.com", b"/other") == routes[2]
    assert finder.find(b"unknown.com", b"*") == routes[2]


def test_the_default_of_a_table_does_not_shadow_rules_without_a_host() -> None:
    routes = [rule("any", "", "/x"), rule("default", is_default=True)]
    finder = compiled(routes)
    assert finder.find(b"unknown.com", b"/x/y") == routes[0]
    assert finder.find(b"unknown.com", b"/y") == routes[1]


def test_a_changed_host_is_believed_at_once() -> None:
    old, new = rule("old", "foo.com"), rule("new", "foo.com")
    finder = compiled([old])
    assert finder.find(b"FOO.com:80", b"/") == old
    finder.set_host("foo.com", [(new, new)])
    assert finder.find(b"FOO.com:80", b"/") == new
    finder.set_host("foo.com", [])
    assert finder.find(b"FOO.com:80", b"/") is None


def test_a_flood_of_invented_hosts_is_forgotten() -> None:
    finder = compiled([rule("any")])
    for number in range(REMEMBERED_MAX + 10):
        assert finder.find(b"host-%d" % number, b"/") is not None
    assert len(finder._remembered) <= REMEMBERED_MAX
