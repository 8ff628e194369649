"""Five GETs over HTTP/1.0, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest

from dataplane import admin as room
from dataplane.admin import FILTERS, Admin, Sources
from dataplane.metrics import names
from dataplane.metrics.flows import Flow, FlowFields, FlowRing
from dataplane.metrics.registry import Registry
from dataplane.metrics.updates import AppliedUpdate, UpdateLog
from tests.fakes.sockets import Wire, connect, until


def record(outcome: str = "ok", backend: str = "app", status: int = 200) -> FlowFields:
    return (
        1.0,
        "web",
        "r",
        backend,
        "a",
        "default/a",
        "ready",
        "ready",
        1,
        b"GET",
        status,
        3,
        5,
        -1.0,
        0.1,
        0.2,
        outcome,
    )


class Bench:
    """An admin endpoint on a socket and on a port."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry()
        self.ring = FlowRing(10)
        self.updates = UpdateLog()
        self.ready = False
        self.path = folder / "admin.sock"
        view = {
            "worker": "<w>", "version": 3, "numbers": {"clients": 1}, "parts": ["Part(&)"], "listeners": [],
            "routes": [], "backends": [], "certificates": [],
        }  # fmt: skip
        self.admin = Admin(Sources(self.registry, self.ring, self.updates, lambda: self.ready, lambda: view))

    async def open(self) -> Wire:
        return Wire(*await asyncio.open_unix_connection(str(self.path)))

    async def ask(self, target: str, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
        wire = await self.open()
        wire.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return parsed(await wire.rest())


def parsed(answer: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines)
    if b"Content-Length" in fields and body:
        assert int(fields[b"Content-Length"]) == len(body)
    return int(first.split()[1]), fields, body


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.admin.start(made.path, 0)
    yield made
    await made.admin.stop()


async def test_health_and_readiness(bench: Bench) -> None:
    assert (await bench.ask("/healthz"))[0] == 200
    assert (await bench.ask("/readyz"))[0] == 503
    bench.ready = True
    assert (await bench.ask("/readyz?verbose"))[0] == 200


async def test_metrics_are_prometheus_text(bench: Bench) -> None:
    bench.registry.value(names.INFO, "w").value = 1
    status, fields, body = await bench.ask("/metrics")
    assert status == 200
    assert fields[b"Content-Type"] == b"text/plain; version=0.0.4; charset=utf-8"
    assert b'loopkube_worker_info{name="w"} 1\n' in body


async def test_the_table_as_json_and_as_a_page(bench: Bench) -> None:
    status, fields, body = await bench.ask("/table")
    assert (status, orjson.loads(body)["version"]) == (200, 3)
    assert fields[b"Content-Type"] == b"application/json"
    status, fields, body = await bench.ask("/")
    assert status == 200
    assert b"&lt;w&gt;" in body
    assert b"Part(&amp;)" in body
    assert b"<w>" not in body


async def test_updates_are_json_lines(bench: Bench) -> None:
    for version in (1, 2):
        bench.updates.append(AppliedUpdate(version, version == 1, 1.0, 2.0, 3.0, 4.0, 1, 0, ("a|b",)))
    status, fields, body = await bench.ask("/updates")
    assert (status, fields[b"Content-Type"]) == (200, b"application/x-ndjson")
    first, second = map(orjson.loads, body.splitlines())
    assert (first["version"], second["version"]) == (1, 2)
    assert second == {
        "version": 2, "full": False, "triggered_at": 1.0, "published_at": 2.0, "received_at": 3.0, "applied_at": 4.0,
        "upserts": 1, "removes": 0, "endpoints": ["a|b"],
    }  # fmt: skip


async def test_flows_are_json_lines_and_filtered(bench: Bench) -> None:
    for item in (record(), record("reset", status=502), record("reset", "other", 502), record(backend="other")):
        bench.ring.append(item)

    async def ids(query: str) -> list[int]:
        status, _, body = await bench.ask(f"/flows{query}")
        assert status == 200
        return [orjson.loads(line)["id"] for line in body.splitlines()]

    assert await ids("") == [0, 1, 2, 3]
    assert await ids("?outcome=reset") == [1, 2]
    assert await ids("?outcome=reset&outcome=ok&backend=other") == [2, 3]
    assert await ids("?status=502&backend=app") == [1]
    assert await ids("?sample=2") == [0, 2]
    assert await ids("?follow=0&endpoint=z") == []
    for name in FILTERS:
        value = str(getattr(Flow(1, *record("reset", "other", 502)), name))
        assert await ids(f"?{urlencode({name: value})}"), name
        assert await ids(f"?{name}=nothing-of-the-kind") == [], name


async def test_following_shows_what_comes_until_the_client_goes(bench: Bench) -> None:
    bench.ring.append(record())
    wire = await bench.open()
    wire.send(b"GET /flows?follow=1&outcome=reset HTTP/1.0\r\n\r\n")
    await wire.reader.readuntil(b"\r\n\r\n")
    await until(lambda: bench.ring._followers)
    bench.ring.append(record())
    bench.ring.append(record("reset"))
    line = await wire.reader.readline()
    assert orjson.loads(line)["id"] == 2
    wire.close()
    await until(lambda: not bench.ring._followers)


async def test_a_follower_that_does_not_read_loses_records_and_costs_no_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FOLLOWER_BUFFER", 1000)
    wire = Wire(*await asyncio.open_unix_connection(str(bench.path), limit=1))
    wire.send(b"GET /flows?follow=1 HTTP/1.0\r\n\r\n")
    await until(lambda: bench.ring._followers)
    dropped = bench.registry.value(names.FLOWS_DROPPED)
    while not dropped.value:
        bench.ring.append(record())
        await asyncio.sleep(0)
    (connection,) = bench.admin.connections
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < 2000
    wire.close()


@pytest.mark.parametrize(
    ("target", "method", "status", "text"),
    [
        ("/flows?sample=0", "GET", 400, b"no number above 0"),
        ("/flows?sample=%C2%B2", "GET", 400, b"no number above 0"),
        ("/flows?color=red", "GET", 400, b"unknown parameter color"),
        ("/other", "GET", 404, b"/metrics"),
        ("/table", "POST", 405, b"GET"),
        ("/healthz", "HEAD", 200, b""),
        ("/flows?follow=1", "HEAD", 200, b""),
    ],
)
async def test_other_requests(bench: Bench, target: str, method: str, status: int, text: bytes) -> None:
    answered, _, body = await bench.ask(target, method)
    assert answered == status
    assert text in body
    assert (method != "HEAD") or body == b""


async def test_a_request_may_come_byte_by_byte_but_not_without_end(bench: Bench) -> None:
    wire = await bench.open()
    for byte in b"GET /healthz HTTP/1.0\r\n\r\n":
        wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.rest()).endswith(b"ok\n")
    wire = await bench.open()
    wire.send(b"GET /" + b"x" * room.HEAD_MAX)
    assert b" 400 " in await wire.rest()


async def test_a_client_that_asks_nothing_is_let_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REQUEST_TIMEOUT_S", 0.001)
    wire = await bench.open()
    wire.send(b"GET /healthz HT")
    assert await wire.rest() == b""


async def test_connections_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CONNECTIONS_MAX", 1)
    first = await bench.open()
    await until(lambda: bench.admin.connections)
    second = await bench.open()
    assert b" 503 " in await second.rest()
    first.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await first.rest()).endswith(b"ok\n")


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9901", 200), ("localhost:9901", 200), ("[::1]:9901", 200), ("evil.example:9901", 403), ("", 403)],
)
async def test_over_tcp_only_loopback_names_are_answered(bench: Bench, host: str, status: int) -> None:
    (port,) = bench.admin.ports
    wire = await connect(port)
    wire.send(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert parsed(await wire.rest())[0] == status


async def test_a_stale_socket_is_replaced_and_ours_is_private_and_removed(tmp_path: Path) -> None:
    one, two = Bench(tmp_path), Bench(tmp_path)
    await one.admin.start(one.path, None)
    assert one.path.stat().st_mode & 0o777 == 0o600
    await two.admin.start(two.path, None)
    assert (await two.ask("/healthz"))[0] == 200
    await two.admin.stop()
    assert not two.path.exists()
    await one.admin.stop()


async def test_a_file_in_the_socket_s_place_is_not_removed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        await bench.admin.start(bench.path, None)
    assert bench.path.read_text() == "precious"
