"""Who gets an address and port that several objects want.

The API hands out cluster IPs and node ports once each, but nobody hands out external IPs: two Services may name one, or
one may name another's cluster IP, or the Ingress's own port. Two listeners at one place would each get some of the
connections, and a worker refuses such an update as a whole; so the place is given to one of them here, and the others
are told by a Warning.

What belongs to the cluster itself (the Ingress ports) comes first, then what the API has allocated, then external IPs;
among equals the older object, then the name. So the answer follows from what there is, not from what came first, and is
the same after a restart; but an older claim that comes back takes its place again. When the holder goes, the next one
in order gets the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from control.api.objects import Object
from control.publish.unit import Built, Note
from dataplane.snapshot.model import Listener, Place, ResourceKey, key_of


class Claim(NamedTuple):
    """A listener that is wanted, and by whom."""

    order: tuple[int, str, str]  # (rank, the object's creation, the listener's name)
    listener: Listener
    owner: Object | None


def claims_of(built: Built) -> dict[ResourceKey, Claim]:
    """The claims of one unit."""
    return {
        key: Claim((built.ranks.get(key, 0), built.created, resource.name), resource, built.owner)
        for key, resource in built.resources.items()
        if isinstance(resource, Listener)
    }


def without_losers(built: Iterable[Built]) -> set[ResourceKey]:
    """The listeners that get their place, of all units together: the plain twin of `Places`."""
    best: dict[Place, Claim] = {}
    for each in built:
        for claim in claims_of(each).values():
            for place in claim.listener.places:
                best[place] = min(best.get(place, claim), claim, key=_order)
    return {key_of(claim.listener) for claim in best.values()}


class Places:
    """All claims, and what was said about those that came to nothing."""

    def __init__(self) -> None:
        self._claims: dict[Place, dict[ResourceKey, Claim]] = {}
        self._told: dict[ResourceKey, str] = {}  # who was told of which holder

    def __repr__(self) -> str:
        return f"Places({len(self._claims)} held, {len(self._told)} claims in vain)"

    def __len__(self) -> int:
        """How many claims came to nothing."""
        return len(self._told)

    def settle(
        self, old: Mapping[ResourceKey, Claim], new: Mapping[ResourceKey, Claim]
    ) -> tuple[list[tuple[Listener, bool]], list[Note]]:
        """A unit's claims were `old` and are `new`: the listeners that go (False) or come or change (True), and who
        must be told."""
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        concerned = [claims[key] for key in changed for claims in (old, new) if key in claims]
        places = {place for claim in concerned for place in claim.listener.places}
        before = {place: self._holder(place) for place in places}
        for key in changed:
            if key in old:
                for place in old[key].listener.places:
                    self._drop(place, key)
            if key in new:
                for place in new[key].listener.places:
                    self._claims.setdefault(place, {})[key] = new[key]
        changes: list[tuple[Listener, bool]] = []
        notes: list[Note] = []
        for place in sorted(places):
            was, holder = before[place], self._holder(place)
            if was is not None and (holder is None or holder.listener.name != was.listener.name):
                changes.append((was.listener, False))
            if holder is not None and (was is None or holder.listener != was.listener):
                changes.append((holder.listener, True))
            if holder is not None:
                notes += self._tell(place, holder)
        return changes, notes

    def _holder(self, place: Place) -> Claim | None:
        return min(self._claims.get(place, {}).values(), key=_order, default=None)

    def _drop(self, place: Place, key: ResourceKey) -> None:
        claims = self._claims[place]
        del claims[key]
        if not claims:
            del self._claims[place]
        self._told.pop(key, None)

    def _tell(self, place: Place, holder: Claim) -> list[Note]:
        self._told.pop(key_of(holder.listener), None)
        notes = []
        by = f"the Service port {holder.listener.backend}" if holder.listener.backend else "the Ingress"
        for key, claim in self._claims[place].items():
            if claim is not holder and self._told.get(key) != by:
                self._told[key] = by
                if claim.owner is not None:
                    where = f"{place[0]}:{place[1]}{'/UDP' if place[2] == 'UDP' else ''}"
                    text = f"{where} is not served for {claim.listener.backend}: it is taken by {by}"
                    notes.append(Note(claim.owner, "AddressInUse", text))
        return notes


def _order(claim: Claim) -> tuple[int, str, str]:
    return claim.order
