"""Answers that send clients elsewhere."""

from __future__ import annotations

import pytest

from dataplane.filters.redirect import to_app_root, to_https, to_other_host, to_url
from dataplane.snapshot.policy import HttpsRedirect, Redirect
from tests.fakes.asked import asked, through


@pytest.mark.parametrize(
    ("host", "target", "port", "keeps_slash", "location"),
    [
        ("h.example", "/a?b=c", 443, False, "https://h.example/a?b=c"),
        ("h.example:8080", "/a", 443, False, "https://h.example/a"),
        ("h.example:8080", "/a", 8443, False, "https://h.example:8443/a"),
        ("h.example", "/a/", 0, False, "https://h.example/a"),
        ("h.example", "/a/", 0, True, "https://h.example/a/"),
        ("h.example", "/", 0, False, "https://h.example"),
        ("[::1]:80", "/", 8443, True, "https://[::1]:8443/"),
    ],
)
def test_plain_requests_go_to_https(host: str, target: str, port: int, keeps_slash: bool, location: str) -> None:
    filter_ = to_https(HttpsRedirect(("h.example",), port, keeps_slash=keeps_slash))
    answer, _ = through(filter_, asked(target, host=host))
    assert answer is not None
    assert (answer.status, answer.lines) == (308, f"Location: {location}\r\n".encode())


def test_what_came_with_tls_or_without_a_host_is_not_redirected() -> None:
    filter_ = to_https(HttpsRedirect(("h.example",)))
    assert through(filter_, asked(scheme=b"https"))[0] is None
    assert through(filter_, asked(host=""))[0] is None


def test_the_root_leads_to_the_application() -> None:
    filter_ = to_app_root("/app")
    answer, _ = through(filter_, asked("/?x", host="h:8080"))
    assert answer is not None
    assert (answer.status, answer.lines) == (302, b"Location: http://h:8080/app\r\n")
    assert through(filter_, asked("/app"))[0] is None
    answer, _ = through(filter_, asked("/", host=""))
    assert answer is not None
    assert answer.lines == b"Location: /app\r\n"


def test_everything_goes_to_one_url() -> None:
    answer, _ = through(to_url(Redirect("https://new.example", 301)), asked("/any?x"))
    assert answer is not None
    assert (answer.status, answer.text, answer.lines) == (
        301, "Moved Permanently", b"Location: https://new.example\r\n",
    )  # fmt: skip


@pytest.mark.parametrize(("host", "scheme"), [("www.h.example", "http"), ("www.h.example:8443", "https")])
def test_another_host_with_all_the_rest(host: str, scheme: str) -> None:
    answer, _ = through(to_other_host("h.example"), asked("/a?b", host=host, scheme=scheme.encode()))
    assert answer is not None
    port = host[13:]
    assert (answer.status, answer.lines) == (308, f"Location: {scheme}://h.example{port}/a?b\r\n".encode())
