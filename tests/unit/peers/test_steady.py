"""The open-loop load against a server of our own: every request is answered or lost, and counted once."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from bench.peers.nginx import BODY
from bench.peers.steady import CONNECTIONS, NEW_EVERY, Seen, Steady

ANSWER = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY) + 1}\r\n\r\n{BODY}\n".encode()
RATE = 4000.0
SECONDS = 0.05


class Server(asyncio.Protocol):
    """Answers each request with `answers[n % len]`: b"" hangs up. Answers come in two pieces."""

    requests = 0
    connections = 0
    closing = 0

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Server.connections += 1
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert data.count(b"\r\n\r\n") == 1, "one request at a time"
        Server.closing += b"Connection: close" in data
        answer = self.answers[Server.requests % len(self.answers)]
        Server.requests += 1
        if not answer:
            self.transport.abort()
            return
        self.transport.write(answer[:30])
        asyncio.get_running_loop().call_soon(self.transport.write, answer[30:])


async def driven(answers: list[bytes]) -> Seen:
    Server.requests = Server.connections = Server.closing = 0
    server = await asyncio.get_running_loop().create_server(lambda: Server(answers), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    seen = await Steady(port, RATE, SECONDS, time.monotonic()).run()
    server.close()
    return seen


async def test_what_is_due_is_sent_and_answered() -> None:
    seen = await driven([ANSWER])
    assert seen.requests == Server.requests == RATE * SECONDS
    assert seen.lost == {}
    assert Server.closing == seen.requests // NEW_EVERY
    assert Server.connections >= CONNECTIONS + Server.closing


async def test_a_request_whose_connection_ends_is_lost_once() -> None:
    seen = await driven([ANSWER, b"", ANSWER])
    assert seen.requests == Server.requests
    assert sum(seen.lost.values()) == (Server.requests + 1) // 3
    assert set(seen.lost) <= {"closed", "ECONNRESET"}


async def test_another_status_is_a_loss_by_its_number() -> None:
    seen = await driven([ANSWER.replace(b"200 OK", b"502 No"), ANSWER])
    assert seen.lost == {"502": (Server.requests + 1) // 2}


async def test_nobody_there_is_said_at_once(unused_tcp_port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        await Steady(unused_tcp_port, RATE, SECONDS, time.monotonic()).run()
