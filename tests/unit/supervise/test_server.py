"""The process table through its socket: what the kubelet's process sees of the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.kubelet.process import ProcessSpec, ProcessState, StartError
from control.supervise.host import SupervisorHost
from control.supervise.server import SupervisorServer
from control.supervise.spawn import ProcessTable

DEADLINE_S = 10.0
ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[ProcessTable]:
    table = ProcessTable()
    server = SupervisorServer(table, {})
    await server.listen(tmp_path / "s.sock")
    yield table
    await server.close()
    for state in table.processes():
        table.signal(state.id, signal.SIGKILL)


@pytest.fixture
async def host(tmp_path: Path, table: ProcessTable) -> AsyncIterator[SupervisorHost]:
    host = await SupervisorHost.connect(tmp_path / "s.sock")
    yield host
    await host.close()


def spec(tmp_path: Path, id: str, script: str) -> ProcessSpec:
    return ProcessSpec(id, ("/bin/sh", "-c", script), ENV, str(tmp_path), str(tmp_path / "a.log"), labels={"pod": "p"})


async def next_exit(host: SupervisorHost) -> ProcessState:
    async for state in host.exits():
        return state
    raise AssertionError("no exit")


async def test_a_process_is_started_seen_signalled_and_forgotten(tmp_path: Path, host: SupervisorHost) -> None:
    exits = asyncio.create_task(next_exit(host))
    started = await host.start(spec(tmp_path, "a", "exec sleep 60"))
    assert started.exit is None
    assert await host.processes() == [started]
    await host.signal("a", signal.SIGTERM)
    ended = await asyncio.wait_for(exits, DEADLINE_S)
    assert ended.exit is not None
    assert (ended.id, ended.pid, ended.exit.code, ended.labels) == ("a", started.pid, 143, {"pod": "p"})
    assert await host.processes() == [ended]
    await host.forget("a")
    assert await host.processes() == []


async def test_an_exit_while_nobody_listened_is_still_on_the_books(tmp_path: Path, table: ProcessTable) -> None:
    first = await SupervisorHost.connect(tmp_path / "s.sock")
    await first.start(spec(tmp_path, "a", "exit 5"))
    await first.close()
    second = await SupervisorHost.connect(tmp_path / "s.sock")
    async with asyncio.timeout(DEADLINE_S):
        while (await second.processes())[0].exit is None:
            pass
    (state,) = await second.processes()
    assert state.exit is not None
    assert state.exit.code == 5
    await second.close()


async def test_errors_keep_their_kind_across_the_socket(tmp_path: Path, host: SupervisorHost) -> None:
    with pytest.raises(StartError) as error:
        await host.start(ProcessSpec("b", ("no-such",), ENV, str(tmp_path), str(tmp_path / "b.log")))
    assert error.value.code == 127
    with pytest.raises(TimeoutError):
        await host.run(("/bin/sleep", "60"), ENV, str(tmp_path), 0.05)
    assert await host.run(("/bin/echo", "ü"), ENV, str(tmp_path), DEADLINE_S) == (0, "ü\n".encode())
    with pytest.raises(RuntimeError, match="reserved"):
        await host.start(spec(tmp_path, "system/control/9", "exit 0"))
    with pytest.raises(RuntimeError, match="unknown operation"):
        await host.call("dance")


async def test_the_systems_own_processes_are_not_shown_to_the_kubelet(
    tmp_path: Path, table: ProcessTable, host: SupervisorHost
) -> None:
    table.start(spec(tmp_path, "system/control/0", "exec sleep 60"))
    assert await host.processes() == []


async def test_the_end_of_the_supervisor_is_a_connection_error(tmp_path: Path) -> None:
    server = SupervisorServer(ProcessTable(), {})
    await server.listen(tmp_path / "t.sock")
    host = await SupervisorHost.connect(tmp_path / "t.sock")
    exits = asyncio.create_task(next_exit(host))
    assert await host.processes() == []
    await server.close()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(exits, DEADLINE_S)
    with pytest.raises(ConnectionError):
        await host.processes()
