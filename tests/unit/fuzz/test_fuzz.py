"""A short run of the fuzzer, and that it finds what is wrong."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest

from dataplane.l7 import chunked, codec, upstream
from dataplane.l7.events import Framing
from tests.fuzz import parts
from tests.fuzz.connections import Connections
from tests.fuzz.run import run


@pytest.mark.parametrize("seed", [1, 2])
def test_a_short_run_finds_nothing(seed: int) -> None:
    result = run(12_500, seed)
    assert result["findings"] == 0, [kind["findings"] for kind in result["kinds"].values()]
    assert result["inputs"] == 12_500


def test_the_same_seed_draws_the_same_inputs() -> None:
    outcomes = [run(1_000, 3)["kinds"]["connection"]["outcomes"] for _ in range(2)]
    assert outcomes[0] == outcomes[1]


def findings(check: Any, inputs: int = 4_000) -> int:
    dice = Random(1)
    return sum(bool(check(dice)[1].finding) for _ in range(inputs))


def test_a_length_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(special: dict[bytes, list[bytes]], minor: int) -> tuple[Framing, int]:
        return "none", 0

    monkeypatch.setattr(codec, "_request_framing", lax)
    codec.terms_of.cache_clear()
    try:
        assert findings(parts.request_head)
    finally:
        codec.terms_of.cache_clear()


def test_a_chunk_size_read_by_pythons_int_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK_LINE", re.compile(rb"[+]?([0-9A-Fa-f]{1,16})[ ]*(?:;.*)?", re.DOTALL))
    assert findings(parts.chunked_body)


def test_an_answer_that_nobody_asked_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooled connection that keeps what its endpoint says in between."""
    heard = upstream.Upstream.data_received
    kept: dict[int, bytes] = {}

    def lax(self: upstream.Upstream, data: bytes) -> None:
        if self.user is None:
            kept[id(self)] = data
        else:
            heard(self, kept.pop(id(self), b"") + data)

    monkeypatch.setattr(upstream.Upstream, "data_received", lax)
    assert findings(Connections(Random(1)), 1_000)
