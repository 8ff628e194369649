"""Watches: complete, in order, once; from memory, from the journal, and refused when history is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from control.store.records import Ahead, Compacted, StoreEvent
from control.store.store import Knobs, Store
from control.store.watchers import Watch, Watchers


async def put(store: Store, name: str, *, resource: str = "pods", namespace: str = "a") -> int:
    obj = {"metadata": {"name": name, "namespace": namespace}}
    return (await store.put(resource, namespace, name, obj, expect=None)).revision


@pytest.mark.parametrize(("window", "chunk"), [(512, 256), (2, 3), (1, 1)])
async def test_a_watch_resumes_from_any_kept_revision(window: int, chunk: int) -> None:
    store = Store.open(None, knobs=Knobs(window_events_max=window, chunk_events_max=chunk, history_events_max=1000))
    for n in range(4):
        await put(store, f"p{n}")
        await put(store, "other", resource="services")
        await put(store, f"q{n}", namespace="b")
    await put(store, "p0")
    await store.delete("pods", "a", "p1", expect=None)
    watch = store.watch("pods", "a", since=2)
    seen = []
    for _ in range(5):
        event = await anext(watch)
        seen.append((event.type, event.stored.key.name, event.previous.revision if event.previous else 0))
    assert seen == [
        ("ADDED", "p1", 0),
        ("ADDED", "p2", 0),
        ("ADDED", "p3", 0),
        ("MODIFIED", "p0", 2),
        ("DELETED", "p1", 5),
    ]
    assert watch.progress == store.revision
    assert watch.take() == []


async def test_a_watch_waits_and_is_woken_by_its_resource_only() -> None:
    store = Store.open(None)
    watch = store.watch("pods", "a", since=store.revision)
    waiting = asyncio.ensure_future(watch.batch())
    await put(store, "s", resource="services")
    await put(store, "p", namespace="b")
    await asyncio.sleep(0)
    assert not waiting.done()
    assert watch.progress == store.revision, "a bookmark may say that there was nothing for this watch"
    await put(store, "p")
    assert [event.stored.key.name for event in await waiting] == ["p"]


async def test_progress_does_not_run_ahead_of_delivery() -> None:
    store = Store.open(None)
    watch = store.watch("pods", since=store.revision)
    first = await put(store, "p")
    second = await put(store, "q")
    assert watch.progress == first - 1
    await anext(watch)
    assert watch.progress == second - 1
    await anext(watch)
    await put(store, "s", resource="services")
    assert watch.progress == store.revision


async def test_a_closed_watch_ends() -> None:
    store = Store.open(None)
    watch = store.watch("pods", since=1)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    watch.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert await watch.batch() == []
    assert store.statistics()["watches"] == 0


async def test_history_that_is_gone_or_has_not_been_is_refused() -> None:
    store = Store.open(None)
    await put(store, "p")
    at = await put(store, "p")
    store.compact(at)
    with pytest.raises(Compacted):
        store.watch("pods", since=at - 1)
    store.watch("pods", since=at).close()
    with pytest.raises(Ahead):
        store.watch("pods", since=at + 1)


async def test_a_slow_watch_expires_and_is_counted() -> None:
    store = Store.open(None, knobs=Knobs(window_events_max=2, history_events_max=10, chunk_events_max=5))
    slow = store.watch("pods", since=store.revision)
    for n in range(40):
        await put(store, f"p{n}")
    assert store.revision - store.compacted_revision < 10 + 5
    with pytest.raises(Compacted):
        await anext(slow)
    assert store.statistics()["watches_expired"] == 1
    assert store.statistics()["watches"] == 0


async def test_an_idle_watch_outlives_the_compaction_of_others_history() -> None:
    store = Store.open(None, knobs=Knobs(window_events_max=2, history_events_max=10, chunk_events_max=5))
    idle = store.watch("services", since=store.revision)
    for n in range(40):
        await put(store, f"p{n}")
    await put(store, "s", resource="services")
    for n in range(4):
        await put(store, f"p{n}")
    assert (await anext(idle)).stored.key.name == "s"


async def test_history_is_forgotten_by_age() -> None:
    now = 0.0
    knobs = Knobs(history_age_s=300.0, chunk_events_max=1, history_events_max=1000)
    store = Store.open(None, clock=lambda: now, knobs=knobs)
    for n in range(5):
        await put(store, f"p{n}")
    now = 200.0
    old = await put(store, "old")
    assert store.compacted_revision <= 1
    now = 450.0
    for n in range(10):
        await put(store, f"q{n}")
    assert old - 1 <= store.compacted_revision <= old
    assert len(store.list("pods")) == 16, "compaction forgets history, never state"


async def test_a_watch_of_what_does_not_change_reads_nothing() -> None:
    class Untouched:
        """A store in which much has happened, to others."""

        revision = 60_000

        def read(self, resource: str, namespace: str, after: int) -> tuple[Sequence[StoreEvent], int]:
            raise AssertionError("there is nothing to read")

    watchers = Watchers()
    watchers.saw("pods", 60_000)
    watch = Watch(Untouched(), "services", "", 7, watchers)
    assert watch.take() == []
    assert watch.progress == 60_000
