"""What is wanted and what has been said: the publisher's books, without sockets or clocks.

`rebuild` takes in what a unit yields now and notes the differences. `take` turns differences into the next update: all
of them, or only those of a lane. There are three lanes, because three components of a real cluster publish at a pace of
their own: what kube-proxy would program (Services), what an ingress controller would (routes, certificates, backends
for Ingresses), and what CoreDNS would answer (names).

An object that is the same as before is not even compared: builders keep what did not change (`endpoints.Pieces`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Literal

from control.publish.places import Claim, Places, claims_of
from control.publish.rules import Rules
from control.publish.unit import Built, Note, Unit
from dataplane.snapshot.model import (
    Backend,
    Endpoint,
    Listener,
    ListenerMode,
    Record,
    Resource,
    ResourceKey,
    Route,
    Update,
    Zone,
    key_of,
)

Lane = Literal["service", "ingress", "names"]
LANES: tuple[Lane, ...] = ("service", "ingress", "names")
_LANE_OF_MODE: dict[ListenerMode, Lane] = {"ingress": "ingress", "dns": "names"}


def lane_of(key: ResourceKey, resource: Resource) -> Lane:
    if isinstance(resource, Endpoint):
        return "ingress" if "@" in resource.backend else "service"
    if isinstance(resource, Backend):
        return "ingress" if "@" in resource.name else "service"
    if isinstance(resource, Listener):
        return _LANE_OF_MODE.get(resource.mode, "service")
    if isinstance(resource, Record | Zone):
        return "names"
    return "ingress"


class Ledger:
    def __init__(self, version: int) -> None:
        self.version = version
        self.published: dict[ResourceKey, Resource] = {}
        self._units: dict[Unit, dict[ResourceKey, Resource]] = {}
        self._notes: dict[Unit, list[Note]] = {}
        self._reasons: Counter[str] = Counter()  # of `_notes`
        self._told: tuple[tuple[str, int], ...] = ()  # the warnings of the newest update
        self._places = Places()
        self._rules = Rules()
        self._claims: dict[Unit, dict[ResourceKey, Claim]] = {}
        self._changes: dict[Lane, dict[ResourceKey, Resource | None]] = {lane: {} for lane in LANES}

    def rebuild(self, unit: Unit, built: Built) -> list[Note]:
        """Takes in what a unit yields now; returns the notes that are new."""
        old, new = self._units.get(unit, {}), built.resources
        # Of thousands of endpoints one has changed: find it without a Python statement for each.
        known = old.get
        for key in [key for key, resource in new.items() if known(key) is not resource]:
            resource = new[key]
            if key[0] != "listener" and old.get(key) != resource:
                self._changes[lane_of(key, resource)][key] = resource
        for key in [key for key in old if key not in new] if old.keys() - new.keys() else ():
            if key[0] != "listener":
                self._changes[lane_of(key, old[key])][key] = None
        notes = self._settle(unit, built)
        if unit.type == "ingress":
            notes += self._rules.settle({item.name: item for item in old.values() if isinstance(item, Route)}, built)
        if new:
            self._units[unit] = new
        else:
            self._units.pop(unit, None)
        before = self._notes.pop(unit, [])
        said = {(note.reason, note.message) for note in before}
        if built.notes:
            self._notes[unit] = built.notes
        self._reasons.subtract(note.reason for note in before)
        self._reasons.update(note.reason for note in built.notes)
        return [note for note in built.notes if (note.reason, note.message) not in said] + notes

    def _settle(self, unit: Unit, built: Built) -> list[Note]:
        """Listeners: which of those that are wanted get their place."""
        claims = claims_of(built)
        changes, notes = self._places.settle(self._claims.get(unit, {}), claims)
        if claims:
            self._claims[unit] = claims
        else:
            self._claims.pop(unit, None)
        for listener, is_served in changes:
            key = key_of(listener)
            self._changes[lane_of(key, listener)][key] = listener if is_served else None
        return notes

    @property
    def warnings(self) -> tuple[tuple[str, int], ...]:
        """What cannot be served as it was written, counted by reason."""
        counts = self._reasons + self._rules.counts + Counter({"AddressInUse": len(self._places)})
        return tuple(sorted(counts.items()))

    def has_changes(self, lane: Lane) -> bool:
        return bool(self._changes[lane]) or (lane == "ingress" and self.warnings != self._told)

    def take(self, lanes: Collection[Lane], now: float) -> Update | None:
        """The next update, from the differences of some lanes; None when there is nothing to say."""
        upserts: list[Resource] = []
        removes: list[ResourceKey] = []
        for lane in lanes:
            for key, resource in self._changes[lane].items():
                if resource is None:
                    if self.published.pop(key, None) is not None:
                        removes.append(key)
                elif self.published.get(key) != resource:
                    self.published[key] = resource
                    upserts.append(resource)
            self._changes[lane].clear()
        told, self._told = self._told, self.warnings
        if not upserts and not removes and told == self._told:
            return None
        self.version += 1
        causes = [item.triggered_at for item in upserts if isinstance(item, Endpoint) and item.triggered_at]
        oldest = min(causes, default=0.0)
        return Update(self.version, False, tuple(upserts), tuple(removes), oldest, now, self._told)

    def full(self, now: float) -> Update:
        """Everything that has been said so far."""
        return Update(self.version, True, tuple(self.published.values()), (), 0.0, now, self._told)
