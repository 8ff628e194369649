"""The store beside its slow, obviously right twin: a dict and a list of everything that ever happened."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.store.records import AlreadyThere, Compacted, Missing, Moved, StoreEvent
from control.store.store import Knobs, Store
from control.store.watchers import Watch

KNOBS = Knobs(window_events_max=4, chunk_events_max=3, history_events_max=15)
names = st.sampled_from("abc")
namespaces = st.sampled_from(["x", "y"])
resources = st.sampled_from(["pods", "services"])
Event = tuple[int, str, str, str, str, int, int]


def seen(resource: str, event: StoreEvent) -> Event:
    before = event.previous
    value = event.stored.obj["v"]
    assert event.stored.obj["metadata"]["resourceVersion"] == str(event.revision)
    return event.revision, event.type, resource, *event.stored.key, value, before.obj["v"] if before else -1


class StoreTwin(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path: Path | None = None
        self.state: dict[tuple[str, str, str], tuple[int, int]] = {}  # place -> revision, value
        self.history: list[Event] = []
        self.states: dict[int, dict[tuple[str, str, str], tuple[int, int]]] = {1: {}}
        self.watches: list[tuple[Watch, str, str, int, list[Event]]] = []
        self.value = 0

    @initialize(on_disk=st.booleans())
    def open(self, on_disk: bool) -> None:
        self.path = Path(self.folder.name) / "s.db" if on_disk else None
        self.store = Store.open(self.path, knobs=KNOBS)

    def run(self, *writes: Awaitable[object]) -> list[object]:
        async def all_of() -> list[object]:
            return await asyncio.gather(*writes, return_exceptions=True)

        return self.loop.run_until_complete(all_of())

    def record(self, place: tuple[str, str, str], type_: str, value: int, revision: int) -> None:
        before = self.state.get(place, (0, -1))[1]
        self.history.append((revision, type_, *place, value, before))
        if type_ == "DELETED":
            del self.state[place]
        else:
            self.state[place] = (revision, value)
        self.states[revision] = dict(self.state)

    def expect(self, place: tuple[str, str, str], how: str) -> int | None:
        current = self.state.get(place, (0, 0))[0]
        return {"any": None, "absent": 0, "right": current, "stale": max(1, current - 1)}[how]

    @rule(
        where=st.lists(st.tuples(resources, namespaces, names), min_size=1, max_size=4, unique=True),
        how=st.sampled_from(["any", "absent", "right", "stale"]),
    )
    def put(self, where: list[tuple[str, str, str]], how: str) -> None:
        """Several writes at once, in one commit, each judged as if it were alone."""
        self.value += 1
        obj = {"v": self.value, "metadata": {"name": "n"}}
        expects = [self.expect(place, how) for place in where]
        results = self.run(
            *(self.store.put(*place, obj, expect=expect) for place, expect in zip(where, expects, strict=True))
        )
        for place, expect, result in zip(where, expects, results, strict=True):
            exists = place in self.state
            if expect == 0 and exists:
                assert isinstance(result, AlreadyThere)
            elif expect and not exists:
                assert isinstance(result, Missing)
            elif expect and self.state[place][0] != expect:
                assert isinstance(result, Moved)
            else:
                revision: int = result.revision  # type: ignore[attr-defined]
                assert revision == max(self.states) + 1
                self.record(place, "MODIFIED" if exists else "ADDED", self.value, revision)

    @rule(place=st.tuples(resources, namespaces, names), how=st.sampled_from(["any", "right", "stale"]))
    def delete(self, place: tuple[str, str, str], how: str) -> None:
        expect = self.expect(place, how)
        (result,) = self.run(self.store.delete(*place, expect=expect))
        if place not in self.state:
            assert isinstance(result, Missing)
        elif expect is not None and expect != self.state[place][0]:
            assert isinstance(result, Moved)
        else:
            self.record(place, "DELETED", self.state[place][1], result.revision)  # type: ignore[attr-defined]

    @rule(back=st.integers(0, 12))
    def compact(self, back: int) -> None:
        self.store.compact(max(0, self.store.revision - back))

    @rule(resource=resources, namespace=st.sampled_from(["", "x"]), back=st.integers(0, 20))
    def watch(self, resource: str, namespace: str, back: int) -> None:
        since = max(1, self.store.revision - back)
        try:
            watch = self.store.watch(resource, namespace, since=since)
        except Compacted:
            assert since < self.store.compacted_revision
        else:
            assert since >= self.store.compacted_revision
            self.watches.append((watch, resource, namespace, since, []))

    @rule(data=st.data())
    def read_a_watch(self, data: st.DataObject) -> None:
        if self.watches:
            self.drain(data.draw(st.sampled_from(self.watches)))

    def drain(self, entry: tuple[Watch, str, str, int, list[Event]]) -> None:
        watch, resource, namespace, since, got = entry
        try:
            for event in watch.take():
                got.append(seen(resource, event))
                assert event.revision > since
        except Compacted:
            self.watches.remove(entry)
            last = got[-1][0] if got else since
            assert any(last < event[0] <= self.store.compacted_revision for event in self.history)
            return
        assert watch.progress <= self.store.revision
        wanted = [
            event
            for event in self.history
            if since < event[0] <= watch.progress and event[2] == resource and namespace in ("", event[3])
        ]
        assert got == wanted

    @rule()
    def reopen(self) -> None:
        if self.path is not None:
            for entry in list(self.watches):
                self.drain(entry)
            self.watches.clear()
            before = self.store.revision, self.store.compacted_revision
            self.loop.run_until_complete(self.store.close())
            self.store = Store.open(self.path, knobs=KNOBS)
            assert (self.store.revision, self.store.compacted_revision) == before

    @rule(resource=resources, namespace=st.sampled_from(["", "y"]), back=st.integers(0, 20))
    def list_as_of(self, resource: str, namespace: str, back: int) -> None:
        at = max(1, self.store.revision - back)
        try:
            found = self.store.list(resource, namespace, at=at)
        except Compacted:
            assert at < self.store.compacted_revision
        else:
            assert self.of(found) == self.wanted(self.states[at], resource, namespace)

    @invariant()
    def state_is_the_twins(self) -> None:
        if hasattr(self, "store"):
            assert self.store.revision == max(self.states)
            for resource in ("pods", "services"):
                assert self.of(self.store.list(resource)) == self.wanted(self.state, resource, "")

    @staticmethod
    def of(found: list) -> list:  # type: ignore[type-arg]
        return [(*stored.key, stored.revision, stored.obj["v"]) for stored in found]

    @staticmethod
    def wanted(state: dict, resource: str, namespace: str) -> list:  # type: ignore[type-arg]
        return sorted(
            (*place[1:], *at) for place, at in state.items() if place[0] == resource and namespace in ("", place[1])
        )

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for entry in list(self.watches):
                while entry in self.watches and entry[0].progress < self.store.revision:
                    self.drain(entry)
            self.loop.run_until_complete(self.store.close())
        self.loop.close()
        self.folder.cleanup()


TestStoreTwin = StoreTwin.TestCase
TestStoreTwin.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
