"""Which endpoint, in which phase of its life, lost a request. Pure.

The client knows that a request was lost and when; the data plane's flow records know which endpoint it had been given
to and that endpoint's phase when it was picked and when it ended. The two are joined in their order: each lost sample
takes the earliest failed flow of its status that no earlier sample has taken and that ended within `JOIN_MAX_S` of
the client's notice. (Not the closest one: where failures come faster than clients notice them, the closest is the next
one's, and at the end of each burst a sample and a flow are left over.) What finds no partner is `unattributed`, and
says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.lab.samples import Sample

JOIN_MAX_S = 0.25  # between a flow's end in the worker and the client's notice of it, on a busy machine


@dataclass(frozen=True, slots=True)
class Loss:
    """A lost request and what the data plane said of it; empty where it said nothing."""

    sample: Sample
    target: str = ""  # the pod
    phase_at_pick: str = ""
    phase_at_end: str = ""
    why: str = ""  # the flow's outcome

    @property
    def phase(self) -> str:
        if not self.phase_at_pick and not self.phase_at_end:
            return "unattributed"
        if self.phase_at_pick == self.phase_at_end:
            return self.phase_at_pick
        return f"{self.phase_at_pick} -> {self.phase_at_end}"


def attribute(lost: Sequence[Sample], flows: Sequence[dict[str, Any]]) -> list[Loss]:
    """Joins lost samples with failed flows (JSON of a worker's `/flows`), both in any order."""
    free = sorted((flow for flow in flows if _failed(flow)), key=lambda flow: float(flow["at"]))
    losses = []
    for sample in sorted(lost, key=lambda sample: sample.ended_at):
        while free and float(free[0]["at"]) < sample.ended_at - JOIN_MAX_S:
            del free[0]  # nobody missed it, and nobody later will
        near = (flow for flow in free if float(flow["at"]) <= sample.ended_at + JOIN_MAX_S)
        found = next((flow for flow in near if flow["status"] == sample.status or not sample.status), None)
        if found is None:
            losses.append(Loss(sample))
            continue
        free.remove(found)
        losses.append(Loss(sample, found["target"], found["phase_at_pick"], found["phase_at_end"], found["outcome"]))
    return losses


def _failed(flow: dict[str, Any]) -> bool:
    return flow["outcome"] not in ("ok", "client_abort") or int(flow["status"]) >= 500


def by_phase(losses: Sequence[Loss]) -> dict[str, int]:
    """Lost requests by the phase of the endpoint that had them, most first."""
    return dict(Counter(loss.phase for loss in losses).most_common())
