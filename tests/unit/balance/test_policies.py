"""What each policy promises of its picks.

Statistical tests use fixed seeds, so they pass or fail for ever; the bounds are such that a right implementation with
a fresh seed would fail one of them with a probability below one in a million (5 standard deviations: 6e-7 each).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest

from dataplane.balance.least_request import LeastRequest
from dataplane.balance.peak_ewma import Latency, PeakEwma
from dataplane.balance.picker import Picker
from dataplane.balance.policy import picker
from dataplane.balance.random_choice import RandomChoice
from dataplane.balance.round_robin import RoundRobin
from dataplane.snapshot.model import Policy


@dataclass(eq=False)
class Candidate:
    active: int = 0
    id: str = ""
    weight: int = 1
    latency: Latency | None = None


SEED = 20260101


def source() -> random.Random:
    return random.Random(SEED)


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("random", RandomChoice),
        ("round-robin", RoundRobin),
        ("least-request", LeastRequest),
        ("peak-ewma", PeakEwma),
    ],
)
def test_a_policy_has_a_name(policy: Policy, kind: type[Picker]) -> None:
    assert type(picker(policy, source().random)) is kind


@pytest.mark.parametrize("policy", ["random", "round-robin", "least-request", "peak-ewma"])
def test_the_only_one_is_always_picked(policy: Policy) -> None:
    only = Candidate(active=99)
    chosen = picker(policy, source().random)
    assert all(chosen.pick((only,), 0.0) is only for _ in range(5))


def test_random_is_fair() -> None:
    candidates = tuple(Candidate() for _ in range(7))
    chosen, picks = RandomChoice(source().random), 7_000
    counts = Counter(chosen.pick(candidates, 0.0) for _ in range(picks))
    expected, deviation = picks / 7, (picks / 7 * 6 / 7) ** 0.5
    assert all(abs(counts[item] - expected) < 5 * deviation for item in candidates)


def test_random_forgets_what_it_picked_before() -> None:
    """Of all picks one in n is the same as the one before it."""
    candidates = tuple(Candidate() for _ in range(4))
    chosen, picks = RandomChoice(source().random), 8_000
    picked = [chosen.pick(candidates, 0.0) for _ in range(picks)]
    repeats = sum(one is other for one, other in pairwise(picked))
    assert abs(repeats - picks / 4) < 5 * (picks / 4 * 3 / 4) ** 0.5


def test_random_reaches_the_last_with_the_largest_number() -> None:
    candidates = tuple(Candidate() for _ in range(3))
    assert RandomChoice(lambda: 1 - 2**-53).pick(candidates, 0.0) is candidates[2]
    assert RandomChoice(lambda: 0.0).pick(candidates, 0.0) is candidates[0]


def test_round_robin_takes_turns() -> None:
    candidates = tuple(Candidate() for _ in range(3))
    chosen = RoundRobin(source().random)
    picked = [candidates.index(chosen.pick(candidates, 0.0)) for _ in range(9)]
    assert picked == [(picked[0] + step) % 3 for step in range(9)]


def test_round_robin_workers_do_not_all_begin_at_the_first() -> None:
    candidates = tuple(Candidate() for _ in range(8))
    numbers = source()
    first = Counter(candidates.index(RoundRobin(numbers.random).pick(candidates, 0.0)) for _ in range(800))
    assert all(abs(first[index] - 100) < 5 * (100 * 7 / 8) ** 0.5 for index in range(8))


def test_round_robin_goes_on_when_the_set_changes() -> None:
    one, two, three = (Candidate() for _ in range(3))
    chosen = RoundRobin(lambda: 0.0)
    assert [chosen.pick((one, two, three), 0.0), chosen.pick((one, two, three), 0.0)] == [one, two]
    assert chosen.pick((one, two), 0.0) is one
    assert chosen.pick((one, two), 0.0) is two


def test_least_request_of_two_is_exact() -> None:
    busy, idle = Candidate(active=3), Candidate(active=2)
    chosen = LeastRequest(source().random)
    assert all(chosen.pick((busy, idle), 0.0) is idle for _ in range(50))


def test_least_request_on_equal_load_is_fair() -> None:
    candidates = tuple(Candidate() for _ in range(5))
    chosen, picks = LeastRequest(source().random), 5_000
    counts = Counter(chosen.pick(candidates, 0.0) for _ in range(picks))
    deviation = (picks / 5 * 4 / 5) ** 0.5
    assert all(abs(counts[item] - picks / 5) < 5 * deviation for item in candidates)


def test_least_request_never_picks_the_busiest() -> None:
    """The busiest loses against whatever it is drawn with."""
    candidates = tuple(Candidate(active=number) for number in range(4))
    chosen, picks = LeastRequest(source().random), 6_000
    counts = Counter(chosen.pick(candidates, 0.0).active for _ in range(picks))
    assert counts[3] == 0
    for active, pairs in ((0, 3), (1, 2), (2, 1)):  # pairs of the 6 in which it is the less busy one
        expected = picks * pairs / 6
        assert abs(counts[active] - expected) < 5 * (expected * (1 - pairs / 6)) ** 0.5


def test_least_request_levels_a_load_that_random_would_not() -> None:
    """1,000 leases on 50: P2C's maximum is the mean plus log log n; random's is much higher (Mitzenmacher 1996)."""

    def highest(chosen: Picker) -> int:
        candidates = tuple(Candidate() for _ in range(50))
        for _ in range(1_000):
            chosen.pick(candidates, 0.0).active += 1
        return max(item.active for item in candidates)

    assert highest(LeastRequest(source().random)) <= 24
    assert highest(RandomChoice(source().random)) >= 26
