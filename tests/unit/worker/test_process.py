"""The worker as a process: its command line, its readiness, its signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from dataplane.snapshot.codec import encode_json
from dataplane.snapshot.model import Backend, Listener
from dataplane.worker import options_from
from tests.fakes.contract import endpoint, full
from tests.fakes.sockets import connect, is_refused, origin, unused_port

PATIENCE_S = 20.0  # a process starts in 0.2 s, on a busy machine in more


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dataplane.worker", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            made.kill()
        await made.wait()


async def heard(made: asyncio.subprocess.Process, text: bytes) -> bytes:
    """The first line of its log with `text` in it."""
    assert made.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := await made.stderr.readline():
            if text in line:
                return line
    raise AssertionError(f"it ended without saying {text!r}")


async def test_sigterm_drains_and_a_second_one_cuts(tmp_path: Path) -> None:
    port, path = unused_port(), tmp_path / "state.json"
    async with origin(echo=b"!") as app:
        state = full(Backend("app"), Listener("tcp", "127.0.0.1", port, "tcp", "app"), endpoint("a", port=app.port))
        path.write_bytes(encode_json(state))
        async with process("--snapshot", str(path), "--log", "json") as made:
            line = await heard(made, b"is up")
            assert orjson.loads(line)["level"] == "info"
            wire = await connect(port)
            assert await wire.exactly(1) == b"!"
            made.send_signal(signal.SIGTERM)
            await heard(made, b"draining for up to 10 s")
            assert await is_refused(port)
            wire.send(b"still")
            assert await wire.exactly(5) == b"still"
            made.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionResetError):
                await wire.rest()
            async with asyncio.timeout(PATIENCE_S):
                assert await made.wait() == 0


async def test_a_bad_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"update": {"version": 1}}')
    async with process("--snapshot", str(path)) as made:
        assert made.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            output = await made.stderr.read()
        assert await made.wait() == 1
        assert b"update.full: missing" in output
        assert output.count(b"\n") == 1


def test_the_command_line_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    options, _ = options_from(
        ["--feed", "p.sock", "--name", "worker-3", "--admin", "a.sock", "--listen-fd", "ingress-http=7",
         "--listen-fd", "a=b=8", "--drain-timeout", "2.5", "--seed", "4"]
    )  # fmt: skip
    assert (options.feed, options.snapshot, options.name) == (Path("p.sock"), None, "worker-3")
    assert options.inherited == {"ingress-http": 7, "a=b": 8}
    assert (options.drain_timeout_s, options.seed, options.admin_port) == (2.5, 4, None)
    assert options.connections_max >= 1
    for wrong in ([], ["--feed", "a", "--snapshot", "b"], ["--feed", "a", "--listen-fd", "web"]):
        with pytest.raises(SystemExit):
            options_from(wrong)
    assert "NAME=FD is wanted" in capsys.readouterr().err
