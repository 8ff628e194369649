"""The process table with real processes: groups, exits, logs, orphans, commands."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from control.kubelet.process import ProcessSpec, ProcessState, StartError
from control.supervise.spawn import ProcessTable, become_subreaper

DEADLINE_S = 10.0
ENV = {"PATH": os.environ["PATH"]}


def spec(tmp_path: Path, script: str, id: str = "a") -> ProcessSpec:
    return ProcessSpec(
        id, ("/bin/sh", "-c", script), ENV, str(tmp_path), str(tmp_path / f"{id}.log"), labels={"k": "v"}
    )


async def exit_of(table: ProcessTable, id: str) -> ProcessState:
    over: asyncio.Future[ProcessState] = asyncio.get_running_loop().create_future()
    unsubscribe = table.subscribe(lambda state: over.set_result(state) if state.id == id else None)
    try:
        for state in table.processes():
            if state.id == id and state.exit is not None:
                return state
        return await asyncio.wait_for(over, DEADLINE_S)
    finally:
        unsubscribe()


async def test_an_exit_comes_after_all_output_with_code_and_labels(tmp_path: Path) -> None:
    table = ProcessTable()
    table.start(spec(tmp_path, "echo one; echo two >&2; printf three; exit 7"))
    state = await exit_of(table, "a")
    assert state.exit is not None
    assert (state.exit.code, state.exit.signal, state.labels) == (7, 0, {"k": "v"})
    lines = [line.split(b" ", 3)[1:] for line in (tmp_path / "a.log").read_bytes().splitlines()]
    assert sorted(lines) == [[b"stderr", b"F", b"two"], [b"stdout", b"F", b"one"], [b"stdout", b"P", b"three"]]


async def test_a_signal_reaches_the_whole_group_and_its_number_is_the_exit_code(tmp_path: Path) -> None:
    table = ProcessTable()
    table.start(spec(tmp_path, "sleep 60 & echo $! > child; echo up; wait"))
    await wait_for_text(tmp_path / "a.log", "up")
    child = int((tmp_path / "child").read_text())
    table.signal("a", signal.SIGTERM)
    state = await exit_of(table, "a")
    assert state.exit is not None
    assert (state.exit.code, state.exit.signal) == (143, signal.SIGTERM)
    await wait_until_gone(child)


async def test_the_end_of_the_leader_ends_a_daemon_that_left_the_group(tmp_path: Path) -> None:
    become_subreaper()
    table = ProcessTable()
    program = 'import os,signal; os.setsid(); open("child","w").write(str(os.getpid())); signal.pause()'
    daemon = f"{sys.executable} -c '{program}'"
    table.start(spec(tmp_path, f"{daemon} & while [ ! -s child ]; do :; done; exit 0"))
    await exit_of(table, "a")
    await wait_until_gone(int((tmp_path / "child").read_text()), table)


async def test_the_same_id_starts_once_and_forget_needs_an_end(tmp_path: Path) -> None:
    table = ProcessTable()
    first = table.start(spec(tmp_path, "exec sleep 60"))
    assert table.start(spec(tmp_path, "exec sleep 61")).pid == first.pid
    table.forget("a")
    assert [state.id for state in table.processes()] == ["a"]
    table.signal("a", signal.SIGKILL)
    await exit_of(table, "a")
    table.forget("a")
    assert table.processes() == []


@pytest.mark.parametrize(
    ("program", "code", "text"),
    [
        ("no-such-program", 127, 'exec: "no-such-program": executable file not found in $PATH'),
        ("/no/such/program", 127, 'exec: "/no/such/program": no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ("a\0b", 128, 'exec: "a\0b": embedded null byte'),
    ],
)
async def test_what_cannot_start_says_why_in_a_runtimes_words(
    tmp_path: Path, program: str, code: int, text: str
) -> None:
    table = ProcessTable()
    with pytest.raises(StartError) as error:
        table.start(ProcessSpec("a", (program,), ENV, str(tmp_path), str(tmp_path / "a.log")))
    assert (error.value.code, error.value.message) == (code, text)
    assert table.processes() == []
    held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert str(tmp_path / "a.log") not in held, "a container that cannot start is tried for ever"


async def test_a_command_gives_its_code_and_bounded_output(tmp_path: Path) -> None:
    table = ProcessTable()
    code, output = await table.run(("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), ENV, str(tmp_path), DEADLINE_S)
    assert (code, output) == (3, b"out\nerr\n")
    code, output = await table.run(("/bin/sh", "-c", "yes | head -c 100000"), ENV, str(tmp_path), DEADLINE_S, 1000)
    assert (code, len(output)) == (0, 1000)


async def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    table = ProcessTable()
    with pytest.raises(TimeoutError):
        await table.run(("/bin/sh", "-c", "sleep 60 & echo $! > child; wait"), ENV, str(tmp_path), 0.2)
    await wait_until_gone(int((tmp_path / "child").read_text()))


async def wait_for_text(path: Path, text: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not path.exists() or text not in path.read_text():
            await asyncio.sleep(0)


async def wait_until_gone(pid: int, table: ProcessTable | None = None) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while os.path.exists(f"/proc/{pid}") and b") Z " not in Path(f"/proc/{pid}/stat").read_bytes():
            if table is not None:
                table.reap_orphans()
            await asyncio.sleep(0)
