"""Resource quantities: exact amounts with a suffix, each with one canonical spelling.

A quantity is a decimal number of at most nine decimals (smaller parts round up, away from zero) times a suffix. Which
family the suffix is of decides how the amount is written again: powers of 1024 (`Ki`..`Ei`), powers of 1000 (`n`..`E`),
or an exponent (`1e3`). The canonical spelling has no fraction and the largest suffix that allows that; a binary amount
below 1024 is written in decimal. Amounts are kept as whole numbers of billionths, so that arithmetic is exact.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Family = Literal["binary", "decimal", "exponent"]

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"
NANO = 10**9
AMOUNT_MAX = (2**63 - 1) * NANO
"""Larger amounts are capped, as apimachinery caps them."""

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,3})")
_BINARY_SUFFIX = ("", *_BINARY)
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}


class Quantity(NamedTuple):
    """`nano` is the amount in billionths; `family` is how it likes to be written."""

    nano: int
    family: Family

    def __str__(self) -> str:
        if self.nano == 0:
            return "0"
        sign, nano = ("-", -self.nano) if self.nano < 0 else ("", self.nano)
        if self.family == "binary" and nano >= 1024 * NANO:
            amount, power = -(-nano // NANO), 0
            while amount % 1024 == 0 and power < 6:
                amount, power = amount // 1024, power + 1
            return f"{sign}{amount}{_BINARY_SUFFIX[power]}"
        amount, exponent = nano, -9
        while amount % 1000 == 0 and exponent < 18:
            amount, exponent = amount // 1000, exponent + 3
        if self.family == "exponent":
            return f"{sign}{amount}e{exponent}" if exponent else f"{sign}{amount}"
        return f"{sign}{amount}{_DECIMAL_SUFFIX[exponent]}"

    @property
    def value(self) -> int:
        """Whole units, rounded up."""
        return -(-self.nano // NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded up: CPU in millicores."""
        return -(-self.nano * 1000 // NANO)


@lru_cache(maxsize=1024)
def parse(text: str) -> Quantity:
    """The amount that `text` says; ValueError with apimachinery's message."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or not (shape[2] or shape[3]):
        raise ValueError(FORMAT_MESSAGE)
    sign, whole, fraction, suffix = shape[1], shape[2], shape[3] or "", shape[4]
    power, family = _scale(suffix)
    digits = int(whole + fraction)
    numerator, denominator = digits * NANO, 10 ** len(fraction)
    if family == "binary":
        numerator *= 1024**power
    elif power >= 0:
        numerator *= 10**power
    else:
        denominator *= 10**-power
    nano = min(-(-numerator // denominator), AMOUNT_MAX)
    return Quantity(-nano if sign == "-" else nano, family)


def _scale(suffix: str) -> tuple[int, Family]:
    if suffix in _BINARY:
        return _BINARY[suffix], "binary"
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "decimal"
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise ValueError(SUFFIX_MESSAGE)
    return int(exponent[1]), "exponent"


def canonical(text: str) -> str:
    """The one spelling of the amount; ValueError where `text` is no quantity."""
    return str(parse(text))


def added(a: Quantity, b: Quantity) -> Quantity:
    """The sum, written as the first summand that is not zero likes to be."""
    return Quantity(a.nano + b.nano, a.family if a.nano else b.family)


def is_integer(text: str) -> bool:
    """Whether the amount is whole, as counts of pods, devices and huge pages must be."""
    return parse(text).nano % NANO == 0


def from_number(number: float) -> str:
    """The canonical spelling of an amount that came as a JSON number."""
    return canonical(format(number, "f").rstrip("0").rstrip(".") if isinstance(number, float) else str(number))
