"""The policies by name: the one place that knows which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataplane.balance.least_request import LeastRequest
from dataplane.balance.maglev import Maglev
from dataplane.balance.peak_ewma import PeakEwma
from dataplane.balance.picker import C, Picker, Plan, Random
from dataplane.balance.random_choice import RandomChoice
from dataplane.balance.ring_hash import RingHash
from dataplane.balance.round_robin import RoundRobin
from dataplane.balance.weighted_round_robin import WeightedRoundRobin
from dataplane.snapshot.model import Policy

PLANNED: frozenset[Policy] = frozenset(("weighted-round-robin", "ring-hash", "maglev"))
HASHED: frozenset[Policy] = frozenset(("ring-hash", "maglev"))


def picker(policy: Policy, random: Random) -> Picker:
    """A fresh picker of this policy; of one that plans, the one that stands in where there is no plan."""
    if policy == "random":
        return RandomChoice(random)
    if policy == "least-request":
        return LeastRequest(random)
    if policy == "peak-ewma":
        return PeakEwma(random)
    return RoundRobin(random)


def plan(policy: Policy, usable: Sequence[C], random: Random, before: Any) -> Plan[C] | None:
    """The policy's plan for this set, if it is one that plans; `before` is the plan for the set before."""
    if policy == "weighted-round-robin":
        return WeightedRoundRobin(usable, random, before)
    if policy == "ring-hash":
        return RingHash(usable)
    if policy == "maglev":
        return Maglev(usable)
    return None
