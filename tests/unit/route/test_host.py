"""How hosts are compared."""

from __future__ import annotations

import pytest

from dataplane.route.host import normal, patterns


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"example.com", b"example.com"),
        (b"EXAMPLE.com", b"example.com"),
        (b"example.com:8080", b"example.com"),
        (b"example.com:", b"example.com"),
        (b"example.com.", b"example.com"),
        (b"Example.com.:80", b"example.com"),
        (b"127.0.0.1:80", b"127.0.0.1"),
        (b"[::1]", b"[::1]"),
        (b"[::A]:80", b"[::a]"),
        (b"[::1", b"[::1"),
        (b"", b""),
        (b":80", b""),
    ],
)
def test_case_port_and_trailing_dot_do_not_count(host: bytes, expected: bytes) -> None:
    assert normal(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"a.foo.com", (b"a.foo.com", b"*.foo.com", b"")),
        (b"foo.com", (b"foo.com", b"*.com", b"")),
        (b"a.b.foo.com", (b"a.b.foo.com", b"*.b.foo.com", b"")),
        (b"localhost", (b"localhost", b"")),
        (b"*.foo.com", (b"*.foo.com", b"")),
        (b".foo.com", (b".foo.com", b"")),
        (b"", (b"",)),
    ],
)
def test_a_wildcard_stands_for_exactly_one_label(host: bytes, expected: tuple[bytes, ...]) -> None:
    assert patterns(host) == expected
