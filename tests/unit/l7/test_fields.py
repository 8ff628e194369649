"""Field lines."""

from __future__ import annotations

import pytest

from dataplane.l7.events import Refusal
from dataplane.l7.fields import parse_field, parse_fields, specials


def test_a_line_is_a_name_and_a_value_and_perhaps_a_role() -> None:
    field = parse_field(b"X-a:\t b c \t")
    assert (field.name, field.value, field.lower, field.role, field.line) == (
        b"X-a",
        b"b c",
        b"x-a",
        b"",
        b"X-a: b c\r\n",
    )
    assert parse_field(b"HOST:h").role == b"host"
    assert parse_field(b"Content_Length: 5").role == b"shadow"
    assert parse_field(b"A_b: 5").role == b""


def test_special_fields_are_found_by_name() -> None:
    fields = parse_fields(b"Host: a\r\nB: c\r\nhost: b\r\n", 10)
    assert specials(fields) == {b"host": [b"a", b"b"]}
    assert parse_fields(b"", 10) == []


def test_the_number_of_lines_is_bounded() -> None:
    assert len(parse_fields(b"A: b\r\n" * 10, 10)) == 10
    with pytest.raises(Refusal) as caught:
        parse_fields(b"A: b\r\n" * 11, 10)
    assert caught.value.status == 431


def test_a_long_value_full_of_spaces_is_no_trap() -> None:
    value = b"a" + b" \t" * 15_000
    assert parse_field(b"A:" + value + b"b").value == value + b"b"
    with pytest.raises(Refusal):
        parse_field(b"A:" + value + b"\x00")
