"""What the endpoint is asked for instead."""

from __future__ import annotations

import pytest

from dataplane.filters.rewrite import Rewrite, for_response, to_host
from dataplane.snapshot.policy import RoutePolicy
from tests.fakes.asked import asked, through


@pytest.mark.parametrize(
    ("path", "target", "request_target", "becomes"),
    [
        ("/something(/|$)(.*)", "/$2", "/something", "/"),
        ("/something(/|$)(.*)", "/$2", "/something/", "/"),
        ("/something(/|$)(.*)", "/$2", "/something/new?a=b", "/new?a=b"),
        ("/something(/|$)(.*)", "/${2}", "/SOMETHING/New", "/New"),
        ("/a/(.+)/b/([0-9]+)", "/$2/$1", "/a/x/y/b/12", "/12/x/y"),
        ("/(a)?(b)", "/[$1][$2]", "/b", "/[][b]"),
        ("/x", "$3/y", "/x", "/y"),  # a group that is not there is empty
        ("/(.*)", "$1", "/raw", "/raw"),  # a path begins with a slash
        ("/x", "/", "/x/any/path?q", "/?q"),
        ("/x", "/%2e", "/x%41", "/%2e"),  # nothing is decoded
    ],
)
def test_groups_make_the_new_path(path: str, target: str, request_target: str, becomes: str) -> None:
    answer, passage = through(Rewrite(path, target, "", is_pattern=True), asked(request_target))
    assert answer is None
    assert passage.target == becomes.encode()


def test_a_path_that_is_no_pattern_is_its_text() -> None:
    rewrite = Rewrite("/a.b", "/new", "", is_pattern=False)
    assert through(rewrite, asked("/a.b/c"))[1].target == b"/new"
    assert through(rewrite, asked("/axb/c"))[1].target is None


def test_the_prefix_is_told() -> None:
    rewrite = Rewrite("/(v[0-9])/(.*)", "/$2", "/$1", is_pattern=True)
    _, passage = through(rewrite, asked("/v2/x"))
    assert passage.lines == b"X-Forwarded-Prefix: /v2\r\n"
    assert passage.removes == {b"x-forwarded-prefix"}  # the client's own would be believed


def test_a_host_and_fields_of_the_response() -> None:
    assert through(to_host("inner.local"), asked())[1].rewritten_host == b"inner.local"
    spec = RoutePolicy("p", response_fields=(("X-Frame-Options", "DENY"),), location_from="http://a", location_to="/b")
    _, passage = through(for_response(spec), asked())
    assert passage.response_lines == b"X-Frame-Options: DENY\r\n"
    assert passage.response_removes == {b"x-frame-options"}
    assert passage.location == (b"http://a", b"/b")
