"""int-or-percent fields (`maxSurge: 1`, `maxUnavailable: 25%`): their validity, and their value for a total."""

from __future__ import annotations

import re

_PERCENT = re.compile("([0-9]+)%")


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """The number that is meant out of `total`; ValueError with apimachinery's message where a text is no percentage."""
    if isinstance(value, int):
        return value
    percent = percent_of(value)
    if percent is None:
        raise ValueError(f'invalid value for IntOrString: invalid type: string is not a percentage "{value}"')
    product = percent * total
    return -(-product // 100) if round_up else product // 100


def percent_of(value: int | str) -> int | None:
    """25 for "25%"; None for numbers and for anything else."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None
