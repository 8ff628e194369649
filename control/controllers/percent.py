"""An IntOrString as a number: `3` is three, `"25%"` is a part of a total, rounded up or down."""

from __future__ import annotations


def scaled(value: object, total: int, *, round_up: bool) -> int:
    """The number that `value` says of `total`; 0 for what is neither an integer nor a percentage."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return 0
    digits = value.removesuffix("%")
    if not digits.isdecimal():
        return 0
    if digits == value:
        return int(value)
    part = int(digits) * total
    return -(-part // 100) if round_up else part // 100
