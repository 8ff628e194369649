"""Patterns take linear time or are refused."""

from __future__ import annotations

import time

import pytest

from dataplane.snapshot.pattern import PATTERN_MAX, BadPattern, compiled, problem_of

EVIL = ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}$", "([a-zA-Z]+)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"]
"""Patterns on which a backtracking matcher needs longer than the universe is old (OWASP's ReDoS examples)."""


@pytest.mark.parametrize("pattern", EVIL)
def test_patterns_that_stop_others_are_harmless(pattern: str) -> None:
    began = time.perf_counter()
    compiled(pattern).search(b"a" * 30_000 + b"!")
    assert time.perf_counter() - began < 1.0  # measured: under 20 ms


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)b", "invalid perl operator"),
        ("(?<!a)b", "invalid"),
        ("(a)\\1", "invalid escape sequence"),
        ("(a", "missing )"),
        ("a{1001}", "invalid repetition size"),
        ("((a{100}){100}){100}", "invalid repetition size"),
        ("x" * (PATTERN_MAX + 1), "too long"),
    ],
)
def test_what_the_engine_does_not_know_is_refused(pattern: str, why: str) -> None:
    assert why in problem_of(pattern)
    with pytest.raises(BadPattern):
        compiled(pattern)


def test_bytes_are_matched_as_they_are() -> None:
    assert compiled("/a.b", ignores_case=True).match(b"/A\xffB") is not None
    assert compiled("/a").match(b"/A") is None
    found = compiled("/(x)?(.*)").match(b"/rest")
    assert found is not None
    assert (found.group(1), found.group(2)) == (None, b"rest")
