"""Cross-origin resource sharing."""

from __future__ import annotations

import pytest

from dataplane.filters.cors import NAMES, CrossOrigin
from dataplane.snapshot.policy import Cors
from tests.fakes.asked import asked, through


def cors(*origins: str, **more: object) -> CrossOrigin:
    return CrossOrigin(Cors(origins, "GET, PUT", "X-A,X-B", **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("allowed", "origin", "passes"),
    [
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "HTTPS://A.example", True),
        ("https://a.example", "https://b.example", False),
        ("https://a.example", "https://a.example.evil", False),
        ("https://a.example", "evil-https://a.example", False),
        ("https://a.example", "https://axexample", False),
        ("https://a.example:8443", "https://a.example:8443", True),
        ("https://a.example:8443", "https://a.example", False),
        ("https://*.a.example", "https://one.a.example", True),
        ("https://*.a.example", "https://one.two.a.example", False),
        ("https://*.a.example", "https://a.example", False),
        ("null", "null", True),
        ("https://a.example", "", False),
    ],
)
def test_an_origin_is_allowed_as_a_whole(allowed: str, origin: str, passes: bool) -> None:
    request = asked(fields={"Origin": origin} if origin else {})
    answer, passage = through(cors("https://other.example", allowed), request)
    assert answer is None
    said = b"Access-Control-Allow-Origin: %b\r\n" % origin.encode()
    assert (said in passage.response_lines) is passes
    assert b"Vary: Origin\r\n" in passage.response_lines  # either answer depends on it
    assert passage.response_removes == (frozenset(NAMES) if passes else frozenset())


def test_a_preflight_is_answered() -> None:
    request = asked(method="OPTIONS", fields={"Origin": "https://a.example"})
    answer, _ = through(cors("https://a.example", expose="X-C", max_age_s=10), request)
    assert answer is not None
    assert answer.status == 204
    assert answer.lines == (
        b"Access-Control-Allow-Origin: https://a.example\r\nAccess-Control-Allow-Credentials: true\r\n"
        b"Access-Control-Allow-Methods: GET, PUT\r\nAccess-Control-Allow-Headers: X-A,X-B\r\n"
        b"Access-Control-Expose-Headers: X-C\r\nAccess-Control-Max-Age: 10\r\nVary: Origin\r\n"
    )


def test_a_strangers_preflight_is_the_endpoints() -> None:
    answer, passage = through(
        cors("https://a.example"), asked(method="OPTIONS", fields={"Origin": "https://b.example"})
    )
    assert answer is None
    assert b"Access-Control" not in passage.response_lines


def test_a_star_is_said_as_it_is() -> None:
    answer, passage = through(cors("*", credentials=False), asked())
    assert answer is None
    assert passage.response_lines.startswith(b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods")
    assert b"Vary" not in passage.response_lines
