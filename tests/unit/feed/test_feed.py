"""The feed keeps a worker fed, answers each update, and survives its publisher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dataplane.feed import Applier, Feed, updates_in
from dataplane.metrics import names
from dataplane.metrics.registry import Family, Registry, Value
from dataplane.metrics.updates import ENDPOINTS_NAMED, UPDATES_KEPT, AppliedUpdate
from dataplane.snapshot.codec import ContractError, Decoder, encode, encode_json
from dataplane.snapshot.model import Ack, Backend, Message, Nack, Update
from dataplane.table import TableError
from tests.fakes.contract import endpoint, full, partial
from tests.fakes.sockets import WAIT_S, Wire, until

NOW = 1000.0


class Publisher:
    """The other end, driven by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: asyncio.Queue[Wire] = asyncio.Queue()
        self.server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.connections.put(Wire(reader, writer))

        self.server = await asyncio.start_unix_server(serve, str(self.path))

    async def worker(self) -> Wire:
        async with asyncio.timeout(WAIT_S):
            return await self.connections.get()

    def stop(self) -> None:
        assert self.server is not None
        self.server.close()


async def answer(wire: Wire) -> Message:
    size = await wire.exactly(4)
    (message,) = Decoder().feed(size + await wire.exactly(int.from_bytes(size, "big")))
    return message


class Bench:
    """A feed, its publisher, and what was applied."""

    def __init__(self, folder: Path) -> None:
        self.publisher = Publisher(folder / "publish.sock")
        self.registry = Registry()
        self.applied: list[Update] = []
        self.feed = Feed(
            self.publisher.path, Applier(self.apply, self.registry, lambda: NOW), self.registry, retry_s=0.0001
        )

    def apply(self, update: Update) -> None:
        if update.version == 13:
            raise TableError("thirteen")
        self.applied.append(update)

    def value(self, family: Family, *labels: str) -> float:
        return self.registry.value(family, *labels).value


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.feed.stop()
    if made.publisher.server is not None:
        made.publisher.stop()


async def test_each_update_is_applied_and_answered(bench: Bench) -> None:
    await bench.publisher.start()
    bench.feed.start()
    wire = await bench.publisher.worker()
    one, two = full(Backend("app")), partial(version=2)
    wire.send(encode(one) + encode(two))
    assert await answer(wire) == Ack(1, NOW)
    assert await answer(wire) == Ack(2, NOW)
    assert bench.applied == [one, two]
    assert bench.value(names.VERSION) == 2
    assert bench.value(names.FEED_CONNECTED) == 1
    assert bench.feed.is_connected


async def test_what_cannot_be_applied_is_refused_with_the_reason(bench: Bench) -> None:
    await bench.publisher.start()
    bench.feed.start()
    wire = await bench.publisher.worker()
    wire.send(encode(full()) + encode(partial(version=13)) + encode(full(version=14)))
    assert [await answer(wire) for _ in range(3)] == [Ack(1, NOW), Nack(13, "thirteen"), Ack(14, NOW)]
    assert [update.version for update in bench.applied] == [1, 14]
    assert (bench.value(names.UPDATES, "applied"), bench.value(names.UPDATES, "refused")) == (2, 1)


async def test_bytes_that_break_the_contract_end_the_connection_and_the_next_one_is_new(bench: Bench) -> None:
    await bench.publisher.start()
    bench.feed.start()
    wire = await bench.publisher.worker()
    wire.send((2).to_bytes(4, "big") + b"{}")
    refusal = await answer(wire)
    assert isinstance(refusal, Nack)
    assert "one object with one key" in refusal.error
    assert await wire.rest() == b""
    wire.close()
    again = await bench.publisher.worker()
    again.send(encode(full(version=5)))
    assert await answer(again) == Ack(5, NOW)
    assert bench.value(names.UPDATES, "refused") == 1


async def test_a_publisher_that_is_not_there_yet_is_waited_for(bench: Bench) -> None:
    bench.feed.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not bench.feed.is_connected
    await bench.publisher.start()
    wire = await bench.publisher.worker()
    wire.send(encode(full()))
    assert await answer(wire) == Ack(1, NOW)


async def test_a_publisher_that_goes_away_is_found_again_and_the_state_stays(bench: Bench) -> None:
    await bench.publisher.start()
    bench.feed.start()
    wire = await bench.publisher.worker()
    wire.send(encode(full(version=7)))
    assert await answer(wire) == Ack(7, NOW)
    wire.send(encode(full(version=8))[:9])  # torn
    bench.publisher.stop()
    wire.close()
    await until(lambda: not bench.feed.is_connected)
    assert [update.version for update in bench.applied] == [7]
    assert bench.value(names.FEED_CONNECTED) == 0
    await bench.publisher.start()
    wire = await bench.publisher.worker()
    wire.send(encode(full(version=1)))  # control was restarted and counts anew
    assert await answer(wire) == Ack(1, NOW)
    for _ in range(200):  # it stays on this connection
        await asyncio.sleep(0)
    wire.send(encode(partial(version=2)))
    assert await answer(wire) == Ack(2, NOW)
    assert bench.value(names.FEED_CONNECTS) == 2


async def test_nothing_is_sent_before_something_is_received(bench: Bench) -> None:
    await bench.publisher.start()
    bench.feed.start()
    wire = await bench.publisher.worker()
    await bench.feed.stop()
    assert await wire.rest() == b""


def test_the_time_from_cause_to_effect_is_measured() -> None:
    registry = Registry()
    applier = Applier(lambda update: None, registry, lambda: NOW)
    measured = registry.histogram(names.PROGRAMMING)
    applier(Update(1, True, triggered_at=1.0), NOW)  # old causes
    applier(partial(version=2), NOW)  # no cause known
    assert measured.count == 0
    applier(partial(version=3, triggered_at=NOW - 0.25), NOW)
    assert (measured.count, measured.sum) == (1, 0.25)
    applier(partial(version=4, triggered_at=NOW + 5), NOW)  # clocks of one machine, yet set back
    assert (measured.count, measured.sum) == (2, 0.25)


def test_the_way_of_each_update_in_force_is_kept() -> None:
    now = [NOW]

    def apply(update: Update) -> None:
        now[0] += 0.5
        if update.version == 2:
            raise TableError("no")

    applier = Applier(apply, Registry(), lambda: now[0])
    ready, unready = endpoint("a"), endpoint("b", ready=False)
    first = Update(1, False, (ready, unready), (("route", "r"),), triggered_at=NOW - 2, published_at=NOW - 1)
    applier(first, NOW - 0.25)
    applier(Update(2, False), NOW)
    assert list(applier.log) == [
        AppliedUpdate(1, False, NOW - 2, NOW - 1, NOW - 0.25, NOW + 0.5, upserts=2, removes=1, endpoints=(ready.name,))
    ]
    for version in range(3, 1000):
        applier(Update(version, False, tuple(endpoint(str(n)) for n in range(100))), NOW)
    assert len(applier.log) == UPDATES_KEPT
    assert len(applier.log[-1].endpoints) == ENDPOINTS_NAMED


def test_a_worker_takes_updates_only() -> None:
    applier = Applier(lambda update: None, Registry(), lambda: NOW)
    assert applier(Ack(1, 1.0), NOW) == Nack(-1, "a worker takes updates, not Ack")


def test_a_file_holds_one_update_or_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "state"
    one, two = full(Backend("app")), partial(version=2)
    path.write_bytes(encode_json(one))
    assert list(updates_in(path)) == [one]
    path.write_bytes(encode_json(one).replace(b",", b",\n"))
    assert list(updates_in(path)) == [one]
    path.write_bytes(encode_json(one) + b"\n\n" + encode_json(two) + b"\n")
    assert list(updates_in(path)) == [one, two]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b'{"update": {"version": "1"}}', "update.version: text"),
        (b'{"update":\n{"version": "1"}}', "update.version: text"),
        (encode_json(full()) + b'\n{"update": {}}\n', "line 2: update.version: missing"),
        (encode_json(Ack(1, 1.0)), "holds a Ack"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=message):
        list(updates_in(path))


def test_warnings_are_those_of_the_newest_update() -> None:
    registry = Registry()
    apply = Applier(lambda update: None, registry, lambda: 0.0)
    for version, warnings in enumerate([(("BadSecret", 2), ("Denied", 1)), (("Denied", 3),)]):
        apply(Update(version, version == 0, warnings=warnings), 0.0)
    (children,) = (found for family, found in registry.read() if family is names.WARNINGS)
    assert {labels: child.value for labels, child in children.items() if isinstance(child, Value)} == {("Denied",): 3}
