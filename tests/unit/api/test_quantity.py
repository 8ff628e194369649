"""Quantities: apimachinery's canonical spellings, and laws."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from control.api import quantity
from control.api.quantity import FORMAT_MESSAGE, SUFFIX_MESSAGE, canonical, parse


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("0", "0"), ("0Ki", "0"), ("1", "1"), ("+1", "1"), ("-1", "-1"), ("0.5", "500m"), (".5", "500m"), ("1.", "1"),
        ("1500m", "1500m"), ("1000m", "1"), ("1000", "1k"), ("1024", "1024"), ("1024Ki", "1Mi"), ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"), ("1025Ki", "1025Ki"), ("100k", "100k"), ("1000k", "1M"), ("1e3", "1e3"), ("1E3", "1e3"),
        ("12e2", "1200"), ("1e-3", "1e-3"), ("1n", "1n"), ("0.1n", "1n"), ("2u", "2u"), ("1E", "1E"),
        ("-1.5Gi", "-1536Mi"),
    ],
)  # fmt: skip
def test_canonical_spelling(text: str, spelled: str) -> None:
    assert canonical(text) == spelled


@pytest.mark.parametrize("text", ["", "a", "1 ", " 1", "--1", "1.2.3", ".", "1Kib", "1_000", "１"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match") as caught:
        parse(text)
    assert str(caught.value) == FORMAT_MESSAGE


@pytest.mark.parametrize("text", ["1ki", "1KM", "1mm", "1ee"])
def test_what_has_no_known_suffix(text: str) -> None:
    with pytest.raises(ValueError, match="suffix") as caught:
        parse(text)
    assert str(caught.value) == SUFFIX_MESSAGE


def test_rounding_is_up() -> None:
    assert parse("1500m").value == 2
    assert parse("1500u").milli == 2
    assert parse("100m").milli == 100
    assert parse("1Gi").value == 2**30


def test_amounts_are_capped() -> None:
    assert parse("1e30").value == 2**63 - 1


def test_numbers() -> None:
    assert quantity.from_number(2) == "2"
    assert quantity.from_number(0.1) == "100m"
    assert quantity.is_integer("3")
    assert not quantity.is_integer("300m")


@settings(max_examples=200, deadline=None)
@example(74675, 457, "Mi")
@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 999),
    st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3", "E-2", "u"]),
)
def test_canonical_is_a_fixed_point_of_the_same_amount(whole: int, fraction: int, suffix: str) -> None:
    text = f"{whole}.{fraction:03d}{suffix}"
    spelled = canonical(text)
    again = canonical(spelled)
    assert canonical(again) == again
    assert parse(again).nano == parse(spelled).nano
    # a binary amount that no binary suffix divides is spelled without one, and read as a decimal one: as in Kubernetes
    assert again == spelled or (suffix.endswith("i") and spelled.lstrip("-").isdigit())
    if not suffix.endswith("i"):  # binary amounts round up to whole units
        assert parse(spelled).nano == parse(text).nano
    else:
        assert 0 <= abs(parse(spelled).nano) - abs(parse(text).nano) < quantity.NANO
    assert "." not in spelled
