"""Watches: where they start, what they see, how they end."""

from __future__ import annotations

import asyncio

import pytest

from control.api.kinds import CONFIG_MAP
from control.api.status import StatusError
from control.apiserver import streams
from tests.fakes.cluster import APPS, CORE, TABLE, Cluster, cluster, config_map, deployment, pod

MAPS = f"{CORE}/configmaps"
WATCH = f"{MAPS}?watch=1"


async def _make(api: Cluster, *names: str) -> None:
    for name in names:
        await api.post(MAPS, config_map(name))


async def test_a_watch_from_a_revision_sees_exactly_what_follows() -> None:
    async with cluster() as api:
        await _make(api, "a")
        watch = await api.watch(f"{WATCH}&resourceVersion={api.store.revision}")
        await _make(api, "b")
        await api.patch(f"{MAPS}/a", {"data": {"k": "v"}})
        await api.delete(f"{MAPS}/b")
        assert await watch.names(3) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


@pytest.mark.parametrize("query", ["", "&resourceVersion=0", "&resourceVersion="])
async def test_a_watch_without_a_revision_tells_the_state_first(query: str) -> None:
    async with cluster() as api:
        await _make(api, "a", "b")
        watch = await api.watch(WATCH + query)
        await _make(api, "c")
        assert await watch.names(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_initial_events_end_with_a_marked_bookmark() -> None:
    async with cluster() as api:
        await _make(api, "a")
        query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        watch = await api.watch(WATCH + query)
        assert (await watch.next())[0] == "ADDED"
        type_, obj = await watch.next()
        assert (type_, obj["kind"]) == ("BOOKMARK", "ConfigMap")
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert obj["metadata"]["resourceVersion"] == str(api.store.revision)
        await _make(api, "b")
        assert await watch.names(1) == [("ADDED", "b")]


async def test_initial_events_can_be_declined_or_asked_for_wrongly() -> None:
    async with cluster() as api:
        await _make(api, "a")
        watch = await api.watch(f"{WATCH}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan")
        await _make(api, "b")
        assert await watch.names(1) == [("ADDED", "b")]
        reply = await api.get(f"{WATCH}&sendInitialEvents=true")
        assert reply.message.endswith(
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
        reply = await api.get(f"{WATCH}&resourceVersionMatch=Exact&resourceVersion=1")
        assert "resourceVersionMatch is forbidden for watch" in reply.message


async def test_leaving_the_selection_is_a_deletion() -> None:
    async with cluster() as api:
        watch = await api.watch(f"{WATCH}&labelSelector=app%3Dx&resourceVersion={api.store.revision}")
        await api.post(MAPS, config_map("other"))
        made = (await api.post(MAPS, config_map("a", {"app": "x"}))).body
        left = (await api.patch(f"{MAPS}/a", {"metadata": {"labels": {"app": "y"}}})).body
        await api.patch(f"{MAPS}/a", {"data": {"unseen": "1"}})
        await api.patch(f"{MAPS}/a", {"metadata": {"labels": {"app": "x"}}})
        await api.delete(f"{MAPS}/a")
        assert await watch.next() == ("ADDED", made)
        type_, obj = await watch.next()
        assert (type_, obj["metadata"]["labels"]) == ("DELETED", {"app": "x"})
        assert obj["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        assert await watch.names(2) == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_watch_of_fields() -> None:
    async with cluster() as api:
        query = f"?watch=1&fieldSelector=spec.nodeName%3Dn1&resourceVersion={api.store.revision}"
        watch = await api.watch(f"{CORE}/pods{query}")
        await api.post(f"{CORE}/pods", pod("a"))
        await api.post(f"{CORE}/pods/a/binding", {"target": {"kind": "Node", "name": "n1"}})
        assert await watch.names(1) == [("ADDED", "a")]


async def test_a_compacted_start_is_an_error_event() -> None:
    async with cluster() as api:
        await _make(api, "a", "b")
        api.store.compact(api.store.revision)
        watch = await api.watch(f"{WATCH}&resourceVersion=2")
        type_, status = await watch.next()
        assert (type_, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"] == f"too old resource version: 2 ({api.store.revision})"


async def test_a_start_in_the_future_waits_for_it() -> None:
    async with cluster() as api:
        watch = await api.watch(f"{WATCH}&resourceVersion={api.store.revision + 1}")
        await _make(api, "a", "b")
        assert await watch.names(1) == [("ADDED", "b")]


async def test_bookmarks_come_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BOOKMARK_EVERY_S", 0.001)
    async with cluster() as api:
        watch = await api.watch(f"{WATCH}&allowWatchBookmarks=1&resourceVersion={api.store.revision}")
        await api.post(f"{CORE}/secrets", {"metadata": {"name": "s"}})
        type_, obj = await watch.next()
        assert (type_, obj["metadata"]["resourceVersion"]) == ("BOOKMARK", str(api.store.revision))


async def test_a_watch_ends_at_its_timeout_or_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster() as api:
        monkeypatch.setattr(streams.Watching, "_timeout_s", lambda self: 0.001)
        watch = await api.watch(f"{WATCH}&resourceVersion={api.store.revision}")
        with pytest.raises(StopAsyncIteration):
            await watch.next()
        monkeypatch.undo()
        watch = await api.watch(f"{WATCH}&resourceVersion={api.store.revision}")
        waiting = asyncio.ensure_future(watch.next())
        await asyncio.sleep(0)
        watch.flow.close()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_tables_send_their_columns_once() -> None:
    async with cluster() as api:
        watch = await api.watch(f"{APPS}/deployments?watch=1", Accept=TABLE)
        await api.post(f"{APPS}/deployments", deployment("a"))
        await api.post(f"{APPS}/deployments", deployment("b"))
        (_, first), (_, second) = await watch.next(), await watch.next()
        assert first["rows"][0]["cells"][0] == "a"
        assert first["columnDefinitions"]
        assert second["columnDefinitions"] is None


async def test_a_watch_of_metadata() -> None:
    async with cluster() as api:
        partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
        watch = await api.watch(f"{WATCH}&resourceVersion={api.store.revision}", Accept=partial)
        await api.post(MAPS, config_map("a", k="v"))
        _, obj = await watch.next()
        assert (obj["kind"], "data" in obj) == ("PartialObjectMetadata", False)


async def test_the_local_watch_is_the_same() -> None:
    async with cluster() as api:
        start = (await api.local.list(CONFIG_MAP)).resource_version
        watch = api.local.watch(CONFIG_MAP, resource_version=start)
        await _make(api, "a")
        event = await anext(watch)
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "a")
        api.store.compact(api.store.revision)
        with pytest.raises(StatusError) as caught:
            await anext(api.local.watch(CONFIG_MAP, resource_version="2"))
        assert caught.value.reason == "Expired"
