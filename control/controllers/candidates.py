"""The nodes in the order in which pods of one sort would have them, kept as nodes and their pods change.

Pods are of one sort when they ask for the same: selector, node affinity, tolerations, resources and ports; the pods of
a workload are, and mostly those of many. For each sort the fitting nodes lie in a sorted list and the others with their
reasons; a binding changes the place of one node in it. Only two things are a pod's own: its controller's other pods, of
which the node should have the fewest, and its place on the ring. Both are looked up in the list, so that a pod among
thousands of nodes costs a search and not a walk. `placement.place` asks every node, and answers the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from itertools import chain

import orjson

from control.api.objects import Object, spec_of, uid_of
from control.controllers.placement import RING, Refusal, Seat, Standing, refusal, refused, ring_of, standing
from control.controllers.requests import host_ports, requested

END = float("inf")


def sort_of(pod: Object) -> bytes:
    """Pods with the same sort fit the same nodes and like them as much."""
    spec = spec_of(pod)
    asked = (
        spec.get("nodeSelector"),
        (spec.get("affinity") or {}).get("nodeAffinity"),
        spec.get("tolerations"),
        requested(pod),
        sorted(host_ports(pod)),
    )
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)


class Candidates:
    """For the sort of `pod`. `stale` are the names of nodes to `seat` anew before the next choice."""

    def __init__(self, pod: Object, names: set[str]) -> None:
        self.stale = names
        self._pod = pod
        self._wanted, self._ports = requested(pod), host_ports(pod)
        self._standings: dict[str, Standing] = {}
        self._ranked: list[Standing] = []
        self._reasons: dict[str, list[str]] = {}
        self._counted: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Candidates {len(self._ranked)} fit, {len(self._reasons)} do not>"

    def refresh(self, seats: Mapping[str, Seat]) -> None:
        for name in self.stale:
            self._unseat(name)
            seat = seats.get(name)
            if seat is not None:
                self._seat(name, seat)
        self.stale = set()

    def _seat(self, name: str, seat: Seat) -> None:
        why = refused(self._pod, self._wanted, self._ports, seat)
        if why:
            self._reasons[name] = why
            self._counted.update(why)
        else:
            self._standings[name] = found = standing(self._pod, self._wanted, seat)
            insort(self._ranked, found)

    def _unseat(self, name: str) -> None:
        known = self._standings.pop(name, None)
        if known is not None:
            del self._ranked[bisect_left(self._ranked, known)]
        self._counted.subtract(self._reasons.pop(name, ()))

    def choose(self, pod: Object, held: Mapping[str, int]) -> str | Refusal:
        """`held`: how many pods of the same controller a node has, where it has any."""
        ranked = self._ranked
        if not ranked:
            return refusal(len(self._reasons), self._counted)
        start = ring_of(uid_of(pod))
        end = bisect_right(ranked, (*ranked[0][:2], END))
        free = next((each for each in ranked[:end] if each[-1] not in held), None) if held else ranked[0]
        if free is None:
            return min(ranked[:end], key=lambda each: (held[each[-1]], *each[2:4], (each[4] - start) % RING))[-1]
        first = bisect_left(ranked, free[:4])
        last = bisect_right(ranked, (*free[:4], END))
        begin = bisect_left(ranked, (*free[:4], start), first, last)
        return next(
            ranked[at][-1] for at in chain(range(begin, last), range(first, begin)) if ranked[at][-1] not in held
        )
