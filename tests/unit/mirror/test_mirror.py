"""The mirror keeps up: through ends of watches, lost history, failures and its owner's own writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from control.api.kinds import CONFIG_MAP, POD, SERVICE, Kind
from control.api.objects import Object, copy_of, name_of
from control.api.status import StatusError
from control.mirror.mirror import Backoff, Mirror
from tests.fakes.store_client import StoreClient


class Pauses:
    """Stands in for sleeping: remembers what was asked and waits no time at all."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        self.asked.append(delay_s)
        await asyncio.sleep(0)


def pod(name: str, **more: object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"}, **more}


async def until(condition: Callable[[], object], turns: int = 200) -> None:
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


class Setting:
    def __init__(self, *kinds: Kind) -> None:
        self.client = StoreClient()
        self.changes: list[tuple[str, str, str]] = []
        self.pauses = Pauses()
        self.mirror = Mirror(self.client, kinds or (POD,), on_change=self.note, pause=self.pauses)
        self.world = self.mirror.world

    def note(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        what = "born" if old is None else "gone" if new is None else "changed"
        self.changes.append((what, kind.plural, name_of(new or old or {})))
        assert self.world.get(kind, "a", self.changes[-1][2]) is new, "the world knows before the subscriber"

    def names(self) -> list[str]:
        return [name_of(each) for each in self.world.list(POD)]

    async def begin(self) -> None:
        self.mirror.start()
        await asyncio.wait_for(self.mirror.synced.wait(), 5)


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    setting = Setting()
    yield setting
    await setting.mirror.close()


async def test_it_lists_then_follows(setting: Setting) -> None:
    first = await setting.client.create(POD, pod("old"))
    assert not setting.mirror.synced.is_set()
    await setting.begin()
    assert setting.world.knows(POD)
    await setting.client.update(POD, {**first, "spec": {"nodeName": "n"}})
    await setting.client.create(POD, pod("new"))
    await setting.client.delete(POD, "a", "old")
    await until(lambda: len(setting.changes) == 4)
    assert setting.changes == [
        ("born", "pods", "old"), ("changed", "pods", "old"), ("born", "pods", "new"), ("gone", "pods", "old"),
    ]  # fmt: skip
    assert setting.names() == ["new"]
    assert setting.mirror.lists == 1


async def test_synced_means_every_kind() -> None:
    setting = Setting(POD, SERVICE, CONFIG_MAP)
    setting.client.refuse("list", SERVICE, ConnectionError("not yet"))
    setting.mirror.start()
    await until(lambda: len(setting.pauses.asked) > 3)
    assert setting.world.knows(POD)
    assert not setting.world.knows(SERVICE)
    assert not setting.mirror.synced.is_set()
    assert "services" in repr(setting.mirror)
    setting.client.refuse("list", SERVICE, None)
    await asyncio.wait_for(setting.mirror.synced.wait(), 5)
    await setting.mirror.close()


async def test_a_watch_that_ends_is_continued_without_a_list(setting: Setting) -> None:
    await setting.begin()
    await setting.client.create(POD, pod("p"))
    await until(lambda: setting.names() == ["p"])
    setting.client.drop_watches()
    await setting.client.create(POD, pod("q"))
    await until(lambda: setting.names() == ["p", "q"])
    assert setting.mirror.lists == 1


async def test_lost_history_is_listed_anew_and_what_vanished_is_told(setting: Setting) -> None:
    await setting.client.create(POD, pod("stays"))
    await setting.client.create(POD, pod("goes"))
    await setting.begin()
    await until(lambda: setting.client.watches)
    setting.client.refuse("watch", POD, ConnectionError("away"))
    setting.client.drop_watches()
    await until(lambda: setting.pauses.asked)
    await setting.client.delete(POD, "a", "goes")
    await setting.client.create(POD, pod("comes"))
    setting.client.store.compact(setting.client.store.revision)
    setting.changes.clear()
    assert setting.names() == ["goes", "stays"], "the last good state stays while the server is away"
    setting.client.refuse("watch", POD, None)
    await until(lambda: setting.names() == ["comes", "stays"])
    assert sorted(setting.changes) == [("born", "pods", "comes"), ("gone", "pods", "goes")]
    assert setting.mirror.lists == 2


async def test_failures_back_off_up_to_a_limit_and_recover(setting: Setting) -> None:
    setting.client.fail(8, StatusError(500, "InternalError", "sick"))
    setting.client.fail(4, ConnectionError("refused"))
    await setting.begin()
    limits = Backoff()
    assert setting.pauses.asked == [limits.after(n) for n in range(1, 13)]
    assert setting.pauses.asked[0] == limits.first_s
    assert setting.pauses.asked[-1] == limits.max_s
    assert setting.mirror.failures == 12


async def test_own_writes_are_seen_at_once_and_not_twice(setting: Setting) -> None:
    await setting.begin()
    setting.client.refuse("watch", POD, ConnectionError("slow"))
    setting.client.drop_watches()
    created = await setting.client.create(POD, pod("p"))
    assert setting.mirror.observe(POD, created)
    assert setting.names() == ["p"]
    updated = await setting.client.update(POD, {**created, "spec": {"nodeName": "n"}})
    assert setting.mirror.observe(POD, updated)
    assert not setting.mirror.observe(POD, created), "older than what is known"
    setting.client.refuse("watch", POD, None)
    await setting.client.create(POD, pod("q"))
    await until(lambda: setting.names() == ["p", "q"])
    assert [change for change in setting.changes if change[2] == "p"] == [
        ("born", "pods", "p"),
        ("changed", "pods", "p"),
    ]


async def test_an_answer_that_comes_late_does_not_raise_the_dead(setting: Setting) -> None:
    await setting.begin()
    created = await setting.client.create(POD, pod("p"))
    await setting.client.delete(POD, "a", "p")
    await until(lambda: setting.changes[-1:] == [("gone", "pods", "p")])
    assert not setting.mirror.observe(POD, created)
    assert setting.names() == []


async def test_a_deletion_at_the_version_that_was_observed_counts(setting: Setting) -> None:
    await setting.begin()
    await setting.client.create(POD, pod("p"))
    await until(lambda: setting.names() == ["p"])
    setting.client.refuse("watch", POD, ConnectionError("slow"))
    setting.client.drop_watches()
    gone = await setting.client.delete(POD, "a", "p")
    assert setting.mirror.observe(POD, gone), "a mistake of the caller"
    setting.client.refuse("watch", POD, None)
    await until(lambda: setting.changes[-1:] == [("gone", "pods", "p")])
    assert setting.names() == []


async def test_a_server_that_started_over_is_believed(setting: Setting) -> None:
    for n in range(20):
        await setting.client.create(POD, pod(f"p{n}"))
    await setting.begin()
    await until(lambda: setting.client.watches)
    fresh = StoreClient()
    await fresh.create(POD, pod("p3", spec={"nodeName": "new"}))
    setting.client.refuse("watch", POD, StatusError(410, "Expired", "gone"))
    setting.client.drop_watches()
    setting.client.store = fresh.store
    await until(lambda: setting.names() == ["p3"])
    found = setting.world.get(POD, "a", "p3")
    assert found is not None
    assert found["spec"] == {"nodeName": "new"}


async def test_a_failing_subscriber_harms_nobody(setting: Setting) -> None:
    def bad(kind: Kind, old: Object | None, new: Object | None) -> None:
        raise KeyError("mine")

    setting.mirror.subscribe(bad)
    await setting.begin()
    await setting.client.create(POD, pod("p"))
    await setting.client.create(POD, pod("q"))
    await until(lambda: setting.names() == ["p", "q"])


async def test_a_kind_that_is_not_mirrored_is_not_observed(setting: Setting) -> None:
    await setting.begin()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "a"}}
    assert not setting.mirror.observe(SERVICE, copy_of(await setting.client.create(SERVICE, service)))
    assert setting.world.list(SERVICE) == []


async def test_field_selectors_reach_the_server() -> None:
    client = StoreClient()
    mirror = Mirror(client, [POD], fields={POD: "spec.nodeName=n"})
    mirror.start()
    await asyncio.wait_for(mirror.synced.wait(), 5)
    assert client.calls[0] == ("list", "pods", "spec.nodeName=n")
    await mirror.close()
