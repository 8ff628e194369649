"""The store's promises, one by one: preconditions, revisions, visibility, watches, history."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from control.api.objects import Object
from control.store.records import Ahead, AlreadyThere, Compacted, Missing, Moved, StoreClosed, WriteFailed
from control.store.store import Knobs, Store

PODS = "pods"


def pod(name: str, **more: object) -> Object:
    return {"metadata": {"name": name, "namespace": "a"}, **more}


async def put(store: Store, name: str, *, expect: int | None = None, namespace: str = "a", **more: object) -> int:
    return (await store.put(PODS, namespace, name, pod(name, **more), expect=expect)).revision


async def test_each_write_gets_the_next_revision_and_carries_it() -> None:
    store = Store.open(None)
    first = await store.put(PODS, "a", "p", pod("p"), expect=0)
    second = await store.put("services", "a", "s", pod("s"), expect=0)
    assert (first.revision, second.revision) == (2, 3) == (store.revision - 1, store.revision)
    assert first.obj["metadata"]["resourceVersion"] == "2"
    assert orjson.loads(first.data) == first.obj


async def test_the_callers_object_is_not_changed() -> None:
    store = Store.open(None)
    mine = pod("p")
    await store.put(PODS, "a", "p", mine, expect=None)
    assert mine == pod("p")


async def test_preconditions() -> None:
    store = Store.open(None)
    with pytest.raises(Missing):
        await store.put(PODS, "a", "p", pod("p"), expect=7)
    with pytest.raises(Missing):
        await store.delete(PODS, "a", "p", expect=None)
    at = await put(store, "p", expect=0)
    with pytest.raises(AlreadyThere) as there:
        await store.put(PODS, "a", "p", pod("p"), expect=0)
    assert there.value.current.revision == at
    later = await put(store, "p", expect=at)
    with pytest.raises(Moved) as moved:
        await store.put(PODS, "a", "p", pod("p"), expect=at)
    assert moved.value.current.revision == later
    with pytest.raises(Moved):
        await store.delete(PODS, "a", "p", expect=at)
    gone = await store.delete(PODS, "a", "p", expect=later)
    assert gone.obj["metadata"] == {"name": "p", "namespace": "a", "resourceVersion": str(gone.revision)}
    assert store.get(PODS, "a", "p") is None
    assert store.revision == gone.revision == later + 1


async def test_two_creates_at_once_have_one_winner_and_the_loser_sees_it() -> None:
    store = Store.open(None)
    results = await asyncio.gather(
        *(store.put(PODS, "a", "p", pod("p", n=n), expect=0) for n in range(3)), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["Stored", "AlreadyThere", "AlreadyThere"]
    found = store.get(PODS, "a", "p")
    assert found is results[0]
    assert found is not None
    assert found.obj["n"] == 0


async def test_a_refusal_waits_for_the_commit_that_it_rests_on() -> None:
    store = Store.open(None)
    winner = asyncio.ensure_future(put(store, "p", expect=0))
    loser = asyncio.ensure_future(put(store, "p", expect=0))
    await asyncio.wait([loser])
    assert store.get(PODS, "a", "p") is not None
    await winner
    assert isinstance(loser.exception(), AlreadyThere)


async def test_writes_are_seen_only_when_committed() -> None:
    store = Store.open(None)
    watch = store.watch(PODS, since=store.revision)
    writing = asyncio.ensure_future(put(store, "p"))
    await asyncio.sleep(0)  # decided, not yet committed
    assert store.get(PODS, "a", "p") is None
    assert watch.take() == []
    assert store.revision == 1
    await writing
    assert store.get(PODS, "a", "p") is not None
    assert [event.type for event in watch.take()] == ["ADDED"]


async def test_writes_of_one_iteration_share_a_commit(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    with sqlite3.connect(tmp_path / "s.db") as other:
        before = other.execute("PRAGMA data_version").fetchone()
        await asyncio.gather(*(put(store, f"p{n}") for n in range(50)))
        wal = (tmp_path / "s.db-wal").stat().st_size
        assert other.execute("PRAGMA data_version").fetchone() != before
    other.close()
    assert wal < 50 * 4096, "fifty commits would have written fifty pages at least"
    await store.close()


@pytest.mark.parametrize("durability", ["normal", "full"])
async def test_what_was_written_is_there_after_reopening(tmp_path: Path, durability: str) -> None:
    knobs = Knobs(durability=durability)  # type: ignore[arg-type]
    store = Store.open(tmp_path / "s.db", knobs=knobs)
    await asyncio.gather(*(put(store, f"p{n}") for n in range(20)))
    await store.delete(PODS, "a", "p3", expect=None)
    at = store.revision
    await store.close()
    again = Store.open(tmp_path / "s.db", knobs=knobs)
    assert again.revision == at
    assert {stored.key.name for stored in again.list(PODS)} == {f"p{n}" for n in range(20) if n != 3}
    assert await put(again, "new") == at + 1
    await again.close()


async def test_revisions_do_not_go_back_when_the_last_deletion_is_compacted(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    await put(store, "p")
    at = (await store.delete(PODS, "a", "p", expect=None)).revision
    store.compact(at)
    await store.close()
    again = Store.open(tmp_path / "s.db")
    assert again.revision == again.compacted_revision == at
    await again.close()


async def test_lists_are_sorted_and_keep_to_their_namespace() -> None:
    store = Store.open(None)
    for namespace, name in [("b", "x"), ("a", "z"), ("a-", "q"), ("a", "b"), ("", "c")]:
        await put(store, name, namespace=namespace)
    assert [stored.key for stored in store.list(PODS)] == [("", "c"), ("a", "b"), ("a", "z"), ("a-", "q"), ("b", "x")]
    assert [stored.key.name for stored in store.list(PODS, "a")] == ["b", "z"]
    assert store.list("nothing") == []


@pytest.mark.parametrize("window", [1, 512])
async def test_a_list_as_of_an_earlier_revision(window: int) -> None:
    store = Store.open(None, knobs=Knobs(window_events_max=window))
    await put(store, "kept", v=1)
    at = await put(store, "gone")
    await put(store, "kept", v=2)
    await store.delete(PODS, "a", "gone", expect=None)
    await put(store, "new")
    then = store.list(PODS, at=at)
    assert [(stored.key.name, stored.obj.get("v")) for stored in then] == [("gone", None), ("kept", 1)]
    assert [stored.key.name for stored in store.list(PODS, at=store.revision)] == ["kept", "new"]
    with pytest.raises(Ahead):
        store.list(PODS, at=store.revision + 1)
    store.compact(at + 1)
    with pytest.raises(Compacted):
        store.list(PODS, at=at)


async def test_a_failed_commit_is_told_and_leaves_no_trace(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    await put(store, "before")
    at = store.revision
    store._journal._db.execute("PRAGMA query_only = 1")  # what a disk that turned read-only does
    results = await asyncio.gather(put(store, "a"), put(store, "a", expect=0), return_exceptions=True)
    assert all(isinstance(result, WriteFailed) for result in results)
    assert store.revision == at
    assert store.get(PODS, "a", "a") is None
    store._journal._db.execute("PRAGMA query_only = 0")
    assert await put(store, "a", expect=0) > at
    await store.close()


async def test_a_cancelled_writer_spoils_nothing() -> None:
    store = Store.open(None)
    writers = [asyncio.ensure_future(put(store, f"p{n}")) for n in range(3)]
    await asyncio.sleep(0)
    writers[1].cancel()
    await asyncio.wait(writers)
    assert len(store.list(PODS)) == 3, "the write was under way: its outcome is only unknown to who cancelled"


async def test_close_commits_what_is_pending_and_refuses_the_rest(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    watch = store.watch(PODS, since=1)
    writing = asyncio.ensure_future(put(store, "p"))
    await asyncio.sleep(0)
    await store.close()
    await writing
    assert [event async for event in watch] == []
    with pytest.raises(StoreClosed):
        await put(store, "q")
    again = Store.open(tmp_path / "s.db")
    assert again.get(PODS, "a", "p") is not None
    await again.close()


async def test_labels_stay_when_the_decoded_object_is_shed() -> None:
    store = Store.open(None)
    stored = await store.put(PODS, "a", "p", {"metadata": {"name": "p", "labels": {"app": "x"}}}, expect=0)
    obj = stored.obj
    assert stored.labels == {"app": "x"}
    stored.shed()
    assert stored.labels == {"app": "x"}
    assert stored.obj == obj


async def test_compaction_leaves_the_newest_of_each_and_no_tombstones(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    for name in ("kept", "kept", "gone"):
        await put(store, name)
    at = (await store.delete(PODS, "a", "gone", expect=None)).revision
    later = await put(store, "kept")
    store.compact(at)
    with closing(sqlite3.connect(tmp_path / "s.db")) as other:
        rows = other.execute("SELECT name, revision, previous FROM log ORDER BY revision").fetchall()
    assert rows == [("kept", 3, 2), ("kept", later, 3)], "the row that a later event supersedes stays, for its sake"
    await store.close()
    again = Store.open(tmp_path / "s.db")
    assert [event.previous.revision for event in again.watch(PODS, since=at).take() if event.previous] == [3]
    await again.close()


async def test_a_draft_outlives_the_commit_of_the_one_before(tmp_path: Path) -> None:
    """While one commit is on its way to the disk, the next write of the same object waits for its own."""
    store = Store.open(tmp_path / "s.db", knobs=Knobs(durability="full"))
    first = asyncio.ensure_future(put(store, "p"))
    while store._busy is None:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(put(store, "p"))
    await first
    assert not second.done()
    with pytest.raises(Moved) as moved:
        await put(store, "p", expect=first.result())
    assert moved.value.current.revision == await second
    await store.close()
