"""Logs: lines, options, and the server that follows files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.kubelet.launch import Folders
from control.kubelet.logs import BadOption, Options, Splitter, parse_options, select, tail_start
from control.kubelet.record import PodRecord, Waiting
from control.kubelet.server import KubeletServer
from tests.fakes.pods import end, pod, record_of, run

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINES = [
    b"2026-01-01T11:59:00.123456789Z stdout F one",
    b"2026-01-01T11:59:30.5Z stderr P two and",
    b"2026-01-01T11:59:30.6Z stderr F  a half",
    b"2026-01-01T11:59:59.999999999Z stdout F three",
]


def shown(**options: object) -> bytes:
    return b"".join(select(LINES, Options(**options)))  # type: ignore[arg-type]


def test_what_kubectl_shows() -> None:
    assert shown() == b"one\ntwo and a half\nthree\n"
    assert shown(tail=1) == b"three\n"
    assert shown(tail=2) == b"two and a half\nthree\n", "pieces count with their line"
    assert shown(tail=0) == b""
    assert shown(tail=9) == shown()
    assert tail_start([b"t stdout F a", b"t stdout P b", b"t stdout P c"], 1) == 1, "a line without an end is one"
    assert shown(since=datetime(2026, 1, 1, 11, 59, 45, tzinfo=UTC)) == b"three\n"
    assert shown(tail=1, timestamps=True) == b"2026-01-01T11:59:59.999999999Z three\n"


def test_options() -> None:
    query = {"follow": "true", "tailLines": "5", "sinceSeconds": "60", "limitBytes": "10", "timestamps": "1"}
    assert parse_options(query, NOW) == Options(
        follow=True, timestamps=True, tail=5, since=datetime(2026, 1, 1, 11, 59, tzinfo=UTC), limit_bytes=10
    )
    both = {"sinceTime": "2026-01-01T00:00:00Z", "sinceSeconds": "1"}
    wrong = (
        {"tailLines": "-1"},
        {"tailLines": "x"},
        {"sinceSeconds": "0"},
        {"follow": "maybe"},
        {"sinceTime": "now"},
        both,
    )
    for bad in wrong:
        with pytest.raises(BadOption):
            parse_options(bad, NOW)


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=40))
@settings(max_examples=50)
def test_lines_do_not_depend_on_the_pieces(data: bytes, sizes: list[int]) -> None:
    splitter, found, rest = Splitter(), [], data
    for size in sizes:
        found += splitter.feed(rest[:size])
        rest = rest[size:]
    found += splitter.feed(rest)
    assert b"\n".join([*found, splitter.rest]) == data


@dataclass
class Owner:
    record: PodRecord
    folders: Folders


class Desk:
    """A log server with one pod, and a client."""

    def __init__(self, folder: Path) -> None:
        self.obj = pod()
        self.record = record_of(self.obj)
        self.owner = Owner(self.record, Folders(str(folder / "pod"), str(folder / "logs")))
        self.server = KubeletServer(
            lambda ns, name: self.owner if (ns, name) == ("default", "p") else None, lambda: NOW, list
        )
        self.socket = folder / "node.sock"
        self.session: aiohttp.ClientSession

    def write(self, attempt: int, *texts: str, suffix: str = "") -> None:
        path = Path(self.owner.folders.log("c", attempt) + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"2026-01-01T00:00:00.0Z stdout F {text}\n" for text in texts)

    async def get(self, query: str = "", pod: str = "p", container: str = "c") -> tuple[int, str]:
        async with self.session.get(f"http://node/containerLogs/default/{pod}/{container}?{query}") as response:
            return response.status, await response.text()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.server.start(made.socket)
    made.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(made.socket)))
    yield made
    await made.session.close()
    await made.server.stop()


async def test_the_server_reads_rotated_parts_and_both_attempts(desk: Desk) -> None:
    run(desk.record, desk.obj)
    desk.write(0, "first")
    end(desk.record, "c", 1)
    run(desk.record, desk.obj)
    desk.write(1, "a", suffix=".2")
    desk.write(1, "b", suffix=".1")
    desk.write(1, "c", "d")
    assert await desk.get() == (200, "a\nb\nc\nd\n")
    assert await desk.get("tailLines=2") == (200, "c\nd\n")
    assert await desk.get("limitBytes=3") == (200, "a\nb")
    assert await desk.get("previous=true") == (200, "first\n")


async def test_the_server_s_refusals(desk: Desk) -> None:
    assert (await desk.get(pod="x"))[0] == 404
    assert (await desk.get(container="x"))[0] == 400
    assert await desk.get() == (400, 'container "c" in pod "p" is waiting to start: ContainerCreating\n')
    desk.record.containers["c"].waiting = Waiting("ErrImagePull", "no such image")
    assert (await desk.get())[1].endswith("is waiting to start: trying and failing to pull image\n")
    run(desk.record, desk.obj)
    assert (await desk.get("tailLines=-1"))[0] == 400
    assert (await desk.get("previous=true"))[0] == 400
    async with desk.session.get("http://node/healthz") as response:
        assert await response.text() == "ok"


async def test_following_goes_over_a_rotation_and_ends_with_the_container(desk: Desk) -> None:
    run(desk.record, desk.obj)
    desk.write(0, "one")
    async with desk.session.get("http://node/containerLogs/default/p/c?follow=true") as response:
        assert await response.content.readline() == b"one\n"
        path = Path(desk.owner.folders.log("c", 0))
        desk.write(0, "two")
        path.rename(f"{path}.1")
        desk.write(0, "three")
        assert await response.content.readline() == b"two\n"
        assert await response.content.readline() == b"three\n"
        desk.write(0, "last")
        end(desk.record, "c", 0)
        async with asyncio.timeout(2):
            assert await response.content.read() == b"last\n"
