"""The open-loop load against small servers that behave, refuse, reset, stall and fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from bench.lab.sampler import Load, Sampler
from bench.lab.stats import count

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"pod":"p","version":"v9"}'


async def sampled(handler: Handler | None, requests: int = 20, **more: float) -> Sampler:
    """A finished run of `requests` at least."""
    if handler is not None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    load = Load("127.0.0.1", port, "x", rate=2000, **{"timeout_s": 5.0, **more})  # type: ignore[arg-type]
    sampler: Sampler
    seen = 0

    def on_sample(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen >= requests:
            sampler.stop()

    sampler = Sampler(load, on_sample)
    await asyncio.wait_for(sampler.run(), 30)
    if handler is not None:
        server.close()
    assert len(sampler.samples) == sampler.sent
    return sampler


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)
            if b"Connection: close" in head:
                break
    except asyncio.IncompleteReadError:
        pass
    writer.close()


async def test_every_request_is_booked_once_under_both_regimes() -> None:
    connections = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await serve(reader, writer)

    sampler = await sampled(counted, requests=40)
    found = count(sampler.samples)
    assert (found.lost, found.answered) == (0, sampler.sent)
    assert found.by_version == {"v9": sampler.sent}
    regimes = [sample.regime for sample in sampler.samples]
    assert abs(regimes.count("new") - regimes.count("reused")) <= 1
    assert connections < sampler.sent  # connections were reused


async def test_a_refused_connection_is_told_from_a_reset_one() -> None:
    assert count((await sampled(None)).samples).losses.keys() == {"refused"}

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:30])
        writer.close()

    assert count((await sampled(cut)).samples).losses.keys() == {"reset"}


async def test_no_answer_in_time_is_a_timeout_and_a_5xx_a_5xx() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert count((await sampled(silent, timeout_s=0.1)).samples).losses.keys() == {"timeout"}

    async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    found = count((await sampled(failing)).samples)
    assert found.losses.keys() == {"5xx"}


async def test_nonsense_is_bad() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    assert count((await sampled(nonsense)).samples).losses.keys() == {"bad"}
