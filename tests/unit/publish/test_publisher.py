"""The publisher and its workers, over a real unix socket: fakes for the workers, a store behind the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import ENDPOINT_SLICE, EVENT, INGRESS, INGRESS_CLASS, SERVICE
from control.api.objects import Object
from control.config.clock import REAL, Clock
from control.mirror.mirror import Mirror
from control.publish.build import KINDS, build
from control.publish.publisher import Publisher
from control.publish.unit import Config
from dataplane.snapshot.codec import Decoder, encode
from dataplane.snapshot.diff import patched
from dataplane.snapshot.model import Ack, Endpoint, Listener, Message, Nack, Resource, ResourceKey, Update
from tests.fakes.cluster_objects import endpoint, ingress, ingress_class, path, rule, service, slice_
from tests.fakes.store_client import StoreClient


class Worker:
    """Takes updates as a worker does, acknowledges or refuses them as it is told."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.state: dict[ResourceKey, Resource] = {}
        self.refuse = False
        self.mute = False
        self.news = asyncio.Event()

    async def connect(self, path: Path) -> Worker:
        self.reader, self.writer = await asyncio.open_unix_connection(str(path))
        self.task = asyncio.ensure_future(self.follow())
        return self

    async def follow(self) -> None:
        decoder = Decoder()
        while data := await self.reader.read(1 << 16):
            for message in decoder.feed(data):
                assert isinstance(message, Update)
                self.take(message)

    def take(self, update: Update) -> None:
        self.updates.append(update)
        self.news.set()
        if self.refuse:
            self.say(Nack(update.version, "route x: no"))
            return
        assert update.full or self.state, "the first update must be full"
        self.state = patched(self.state, update)
        if not self.mute:
            self.say(Ack(update.version, time.time()))

    def say(self, message: Message) -> None:
        self.writer.write(encode(message))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def close(self) -> None:
        self.writer.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Setting:
    def __init__(self, folder: Path) -> None:
        self.client = StoreClient()
        self.path = folder / "publish.sock"
        self.workers: list[Worker] = []
        self.publisher: Publisher | None = None

    async def begin(
        self,
        config: Config = Config(),  # noqa: B008
        mirror: Mirror | None = None,
        cluster: Clock = REAL,
    ) -> Publisher:
        self.publisher = Publisher(self.client, self.path, config=config, mirror=mirror, cluster=cluster)
        await self.publisher.start()
        return self.publisher

    async def worker(self) -> Worker:
        self.workers.append(await Worker().connect(self.path))
        return self.workers[-1]

    async def create(self, *objects: Object) -> None:
        for obj in objects:
            kind = next(kind for kind in KINDS if kind.kind == obj["kind"])
            await self.client.create(kind, obj)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    for worker in setting.workers:
        await worker.close()
    if setting.publisher is not None:
        await setting.publisher.close()


def slices(*ready: bool, trigger: str = "1.0") -> Object:
    made = [endpoint(f"127.244.0.{n}", f"p{n}", is_ready) for n, is_ready in enumerate(ready)]
    return slice_("web-1", "web", made, trigger=trigger)


async def test_a_worker_gets_everything_then_what_changes(setting: Setting) -> None:
    await setting.create(service("web"), slices(True, True))
    publisher = await setting.begin()
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    (full,) = worker.updates
    assert full.full
    assert {type(each).__name__ for each in full.upserts} == {"Listener", "Backend", "Endpoint"}
    flipped = slices(True, False, trigger="123.5")
    await setting.client.update(ENDPOINT_SLICE, flipped)
    await worker.until(lambda: len(worker.updates) == 2)
    change = worker.updates[1]
    assert not change.full
    assert change.version == full.version + 1
    assert [(each.name, each.ready) for each in change.upserts if isinstance(each, Endpoint)] == [
        ("a/web:80|uid-p1", False)
    ]
    assert len(change.upserts) == 1
    assert change.triggered_at == 123.5
    await setting.client.delete(SERVICE, "a", "web")
    await worker.until(lambda: len(worker.updates) == 3)
    assert {type(each) for each in worker.state.values()} == {Listener}, "the two ingress listeners stay"
    async with asyncio.timeout(5):
        while publisher.statistics()["workers"][0]["acked"] != change.version + 1:  # type: ignore[index]
            await asyncio.sleep(0)


async def test_nothing_is_said_before_everything_is_known(setting: Setting) -> None:
    await setting.create(service("web"), slices(True))
    setting.client.refuse("list", ENDPOINT_SLICE, ConnectionError("not yet"))
    publisher = await setting.begin()
    worker = await setting.worker()
    await setting.create(service("api", clusterIP="127.96.0.10"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert worker.updates == []
    assert not publisher.is_ready
    setting.client.refuse("list", ENDPOINT_SLICE, None)
    await worker.until(lambda: worker.updates)
    assert worker.updates[0].full
    assert ("endpoint", "a/web:80|uid-p0") in worker.state
    assert ("listener", "a/api:80/127.96.0.10:80") in worker.state


async def test_a_worker_that_comes_late_or_again_gets_the_whole(setting: Setting) -> None:
    await setting.create(service("web"))
    await setting.begin()
    first = await setting.worker()
    await first.until(lambda: first.updates)
    await setting.create(slices(True))
    await first.until(lambda: len(first.updates) == 2)
    second = await setting.worker()
    await second.until(lambda: second.updates)
    assert second.updates[0].full
    assert second.updates[0].version == first.updates[1].version
    assert second.state == first.state
    await first.close()
    await setting.client.update(ENDPOINT_SLICE, slices(False))
    await second.until(lambda: len(second.updates) == 2)
    again = await setting.worker()
    await again.until(lambda: again.updates)
    assert again.state == second.state


async def test_changes_of_one_iteration_are_one_update(setting: Setting) -> None:
    publisher = await setting.begin()
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    await asyncio.gather(*(setting.create(service(f"s{n}", clusterIP=f"127.96.1.{n}")) for n in range(20)))
    await worker.until(lambda: len(worker.state) == 2 + 40)
    assert len(worker.updates) == 2
    assert publisher.statistics()["updates"] == 2


async def test_a_refusal_is_answered_with_the_whole(setting: Setting) -> None:
    publisher = await setting.begin()
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    worker.refuse = True
    await setting.create(service("web"))
    await worker.until(lambda: len(worker.updates) >= 3)
    assert [update.full for update in worker.updates[:3]] == [True, False, True]
    worker.refuse = False
    await setting.create(slices(True))
    await worker.until(lambda: ("endpoint", "a/web:80|uid-p0") in worker.state)
    assert worker.updates[-1].full, "a worker out of step must not be sent a part"
    workers: Any = publisher.statistics()["workers"]
    (told,) = workers
    assert told["nacks"] >= 2


async def test_a_worker_that_breaks_the_contract_is_cut_off_alone(setting: Setting) -> None:
    await setting.begin()
    bad, good = await setting.worker(), await setting.worker()
    await good.until(lambda: good.updates)
    bad.writer.write(b"\0\0\0\2{}")
    await asyncio.wait_for(asyncio.wait([bad.task]), 5)
    await setting.create(service("web"))
    await good.until(lambda: len(good.updates) == 2)


async def test_lanes_have_their_own_pace(setting: Setting) -> None:
    """With an ingress delay that never ends here, Services go on and routes wait."""
    await setting.create(ingress_class(), service("web"))
    await setting.begin(Config(ingress_sync_delay_s=3600.0))
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    await setting.create(ingress("i", rule("h", path("web"))), slices(True))
    await worker.until(lambda: ("endpoint", "a/web:80|uid-p0") in worker.state)
    assert not [key for key in worker.state if key[0] == "route"]
    assert not [key for key in worker.state if "@" in key[1]]


async def test_causes_are_told_in_machine_time(setting: Setting) -> None:
    await setting.create(service("web"), slices(True, trigger="160.0"))
    await setting.begin(cluster=Clock(60.0, 10.0, 100.0))
    worker = await setting.worker()
    await worker.until(lambda: worker.state)
    (found,) = [each for each in worker.state.values() if isinstance(each, Endpoint)]
    assert found.triggered_at == 11.0


async def test_a_shared_mirror_is_neither_started_nor_closed(setting: Setting) -> None:
    await setting.create(ingress_class(), service("web"), ingress("i", rule("h", path("web"))))
    mirror = Mirror(setting.client, [*KINDS, EVENT])
    mirror.start()
    await asyncio.wait_for(mirror.synced.wait(), 5)
    publisher = await setting.begin(mirror=mirror)
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    assert worker.state == build(mirror.world, Config())
    await publisher.close()
    await setting.create(service("late"))
    await asyncio.wait_for(mirror.until(lambda world: world.get(SERVICE, "a", "late") is not None, 5), 6)
    await mirror.close()


async def test_what_cannot_be_done_becomes_an_event(setting: Setting) -> None:
    await setting.create(ingress_class(), ingress("i", rule("h", path("gone"))))
    await setting.begin()
    worker = await setting.worker()
    await worker.until(lambda: worker.updates)
    await setting.client.patch(INGRESS, "a", "i", {"metadata": {"labels": {"x": "y"}}})
    await setting.client.patch(INGRESS_CLASS, "", "loopkube", {"metadata": {"labels": {"x": "y"}}})
    assert setting.publisher is not None
    await setting.publisher.close()
    (event,) = [stored.obj for stored in setting.client.store.list(EVENT.resource)]
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "ServiceNotFound", 1)
    assert event["involvedObject"]["kind"] == "Ingress"


async def test_the_socket_is_private_and_left_behind_ones_are_replaced(setting: Setting) -> None:
    setting.path.touch()
    publisher = await setting.begin()
    assert setting.path.stat().st_mode & 0o077 == 0
    await setting.worker()
    await publisher.close()
    assert not setting.path.exists()
