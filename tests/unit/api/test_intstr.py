"""int-or-percent: rounding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.intstr import percent_of, scaled


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [(3, 10, 3, 3), ("25%", 10, 3, 2), ("25%", 4, 1, 1), ("0%", 9, 0, 0), ("1%", 1, 1, 0)],
)
def test_rounding(value: int | str, total: int, up: int, down: int) -> None:
    assert scaled(value, total, round_up=True) == up
    assert scaled(value, total, round_up=False) == down


def test_what_is_no_percentage() -> None:
    assert percent_of("5") is None
    assert percent_of(5) is None
    with pytest.raises(ValueError, match="string is not a percentage"):
        scaled("five", 10, round_up=True)


@given(st.integers(0, 200), st.integers(0, 10**6))
def test_up_and_down_differ_by_at_most_one(percent: int, total: int) -> None:
    up, down = (scaled(f"{percent}%", total, round_up=each) for each in (True, False))
    assert down <= percent * total / 100 <= up <= down + 1
