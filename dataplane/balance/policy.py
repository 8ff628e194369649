"""The policies by name: the one place that knows which there are."""

from __future__ import annotations

from dataplane.balance.least_request import LeastRequest
from dataplane.balance.picker import Picker, Random
from dataplane.balance.random_choice import RandomChoice
from dataplane.balance.round_robin import RoundRobin
from dataplane.snapshot.model import Policy


def picker(policy: Policy, random: Random) -> Picker:
    """A fresh picker of this policy."""
    if policy == "random":
        return RandomChoice(random)
    if policy == "round-robin":
        return RoundRobin(random)
    return LeastRequest(random)
