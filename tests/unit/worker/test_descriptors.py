"""A worker whose descriptors run out, for real: a process with a low RLIMIT_NOFILE."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from pathlib import Path

import aiohttp

from dataplane.snapshot.codec import encode_json
from dataplane.snapshot.model import Backend, Listener
from tests.fakes.contract import endpoint, full, rule
from tests.fakes.origin import Origin, answering
from tests.fakes.sockets import connect, unused_port

DESCRIPTORS = 64
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


async def test_accepting_pauses_without_descriptors_and_goes_on_when_there_are_some(tmp_path: Path) -> None:
    port, path, admin = unused_port(), tmp_path / "state.json", tmp_path / "admin.sock"
    origin = await Origin(answering()).start()
    listener = Listener("web", "127.0.0.1", port, "ingress", table="web")
    path.write_bytes(encode_json(full(Backend("app"), listener, rule("r"), endpoint("a", port=origin.port))))
    command = (sys.executable, "-m", "dataplane.worker", "--snapshot", str(path), "--admin", str(admin))
    made = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, preexec_fn=limit)
    try:
        assert made.stderr is not None
        async with asyncio.timeout(20):
            while b"is up" not in await made.stderr.readline():
                pass
        wires = [await connect(port) for _ in range(2 * DESCRIPTORS)]  # the kernel's queue takes all of them
        wires[0].send(GET)
        assert await wires[0].exactly(15) == b"HTTP/1.1 200 OK"
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin))) as session:
            metrics = await (await session.get("http://worker/metrics")).text()
        assert "loopkube_accept_pauses_total{reason=" in metrics
        for wire in wires[:-1]:
            wire.close()
        wires[-1].send(GET)  # waited in the queue behind all the others
        assert await wires[-1].exactly(15) == b"HTTP/1.1 200 OK"
        assert made.returncode is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            made.kill()
        await made.wait()
        await origin.stop()
