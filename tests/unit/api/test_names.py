"""Names: what is accepted, and apimachinery's complaints about the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api import names

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [
        (names.dns_label, ["a", "a-b", "0", "a" * 63]),
        (names.dns_subdomain, ["a", "a.b-c.d", "1.2.3.4", ".".join(["a" * 63] * 3)]),
        (names.dns_1035_label, ["a", "a-1"]),
        (names.wildcard_subdomain, ["*.a", "*.a.b"]),
        (names.qualified_name, ["a", "A_b.c-d", "example.com/Name", "a/b"]),
        (names.prefixed_name, ["example.com/x"]),
        (names.label_value, ["", "a", "A_b.c", "a" * 63]),
        (names.port_name, ["http", "a-1", "1a"]),
        (names.env_name, ["A", "a.b-c", "1 X", "{}"]),
        (names.config_key, ["a", "A_.b-c", ".hidden"]),
        (names.header_name, ["X-A"]),
        (names.percentage, ["0%", "150%"]),
        (names.ip_address, ["127.0.0.1", "::1"]),
        (names.path_segment, ["anything goes", "system:node"]),
    ],
)
def test_accepted(rule: Callable[[str], list[str]], accepted: list[str]) -> None:
    assert [(name, rule(name)) for name in accepted] == [(name, []) for name in accepted]


@pytest.mark.parametrize(
    ("rule", "name", "complaints"),
    [
        (names.dns_label, "A", [LABEL]),
        (names.dns_label, "a.b", ["must not contain dots"]),
        (names.dns_label, "a" * 64, ["must be no more than 63 bytes"]),
        (names.dns_subdomain, "a..b", [SUBDOMAIN]),
        (names.dns_subdomain, "a\n", [SUBDOMAIN]),
        (names.qualified_name, "/a", ["prefix part must be non-empty"]),
        (names.qualified_name, "a b/c", [f"prefix part {SUBDOMAIN}"]),
        (names.port_name, "", [
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            "must contain at least one letter (a-z)",
        ]),
        (names.port_name, "a--b", ["must not contain consecutive hyphens"]),
        (names.port_name, "-a", ["must not begin or end with a hyphen"]),
        (names.port_name, "a" * 16, ["must be no more than 15 bytes"]),
        (names.env_name, "A=B", [
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        ]),
        (names.config_key, "..a", ["must not start with '..'"]),
        (names.config_key, "..", ["must not be '..'"]),
        (names.path_segment, "a/b%", ["may not contain '/'", "may not contain '%'"]),
        (names.path_segment, "..", ["may not be '..'"]),
        (names.prefixed_name, "a", ["must include a prefix (e.g. 'example.com/key')"]),
        (names.ip_address, "1.2.3", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
    ],
)  # fmt: skip
def test_complaints(rule: Callable[[str], list[str]], name: str, complaints: list[str]) -> None:
    assert rule(name) == complaints


def test_a_long_qualified_name_has_its_own_complaint() -> None:
    assert names.qualified_name("example.com/" + "a" * 64) == ["name part must be no more than 63 bytes"]
    assert names.qualified_name("a/b/c")[0].startswith("a valid label key must consist of")


@pytest.mark.parametrize(("port", "fine"), [(1, True), (65535, True), (0, False), (65536, False), (-1, False)])
def test_port_numbers(port: int, fine: bool) -> None:
    assert (names.port_number(port) == []) is fine


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("aA0-._/*"), max_size=70))
def test_the_rules_nest(text: str) -> None:
    """Every label is a subdomain, every RFC 1035 label an RFC 1123 one, every label name a label value."""
    if not names.dns_1035_label(text):
        assert not names.dns_label(text)
    if not names.dns_label(text):
        assert not names.dns_subdomain(text)
    if not names.qualified_name(text) and "/" not in text:
        assert not names.label_value(text)
