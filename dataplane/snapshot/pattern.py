"""Regular expressions of users: only such that take time in proportion to the text, whatever the text is.

A pattern with nested quantifiers makes a backtracking matcher (Python's `re`, PCRE) try exponentially many ways on
texts that a client may choose, and one such request stops a worker for good. Checks that find such patterns beforehand
are either too strict or wrong; so there is no check but another engine: RE2 builds an automaton and has no bad case.
What it does not know for that very reason - backreferences, lookaround - is refused with its own words, and so is a
pattern whose automaton would be too large.

A match costs about 1.3 us where `re` needs 0.2; only routes with patterns pay it. The library is loaded when the first
pattern comes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

PATTERN_MAX = 1024
"""Longest pattern, as the longest path of an Ingress that a human being wrote and someone else can still read."""

MEMORY_MAX = 1 << 20
"""Bytes of one automaton, an eighth of RE2's own default: the states of a pattern that fits in PATTERN_MAX."""


class Found(Protocol):
    def group(self, index: int = 0) -> bytes | None: ...


class Pattern(Protocol):
    groups: int

    def match(self, text: bytes) -> Found | None: ...

    def search(self, text: bytes) -> Found | None: ...


class BadPattern(ValueError):
    """The message says what is wrong with the pattern."""


@lru_cache(maxsize=4096)
def compiled(pattern: str, *, ignores_case: bool = False) -> Pattern:
    """The pattern for text as bytes; raises BadPattern."""
    import re2  # 3 ms and 2 MB: not before there is a pattern

    if len(pattern) > PATTERN_MAX:
        raise BadPattern(f"a pattern of {len(pattern)} characters is too long, {PATTERN_MAX} are allowed")
    options = re2.Options()
    options.case_sensitive = not ignores_case
    options.encoding = re2.Options.Encoding.LATIN1  # bytes: paths need not be UTF-8
    options.log_errors = False
    options.max_mem = MEMORY_MAX
    options.never_nl = False
    try:
        found: Any = re2.compile(pattern.encode(), options)
    except re2.error as error:
        text = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise BadPattern(f"{pattern!r}: {text}") from None
    result: Pattern = found
    return result


def problem_of(pattern: str) -> str:
    """What is wrong with a pattern; "" if nothing is."""
    try:
        compiled(pattern)
    except BadPattern as error:
        return str(error)
    return ""
