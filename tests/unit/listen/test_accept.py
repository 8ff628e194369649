"""Accepting: the client's address, pauses, and what a close does to those who wait."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dataplane.listen.accept import RETRY_S, Acceptor, Gate, Service
from dataplane.listen.sockets import open_socket
from dataplane.metrics import names
from dataplane.metrics.registry import Registry
from tests.fakes.sockets import Wire, connect, is_refused, until


class Hello(asyncio.Protocol):
    """Says the client's address as its maker was told it."""

    def __init__(self, client: str) -> None:
        self.client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.client.encode() + b"\n")  # type: ignore[attr-defined]


class Bench:
    """An acceptor on a free port, and its numbers."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.has_room = True
        self.sock = open_socket("127.0.0.1", 0)
        self.port: int = self.sock.getsockname()[1]
        gate = Gate(self.registry, lambda: self.has_room)
        self.acceptor = Acceptor("web", self.sock, Service(Hello), gate)

    def count(self, family: Any, *labels: str) -> float:
        return self.registry.value(family, *labels).value

    async def hello(self, **more: str) -> Wire:
        wire = await connect(self.port, **more)  # type: ignore[arg-type]
        assert await wire.exactly(10) == (more.get("source", "127.0.0.1") + "\n").encode()
        return wire


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    yield made
    made.acceptor.close()


async def test_the_protocol_is_made_knowing_the_client(bench: Bench) -> None:
    for source in ("127.0.0.1", "127.0.0.9"):
        (await bench.hello(source=source)).close()
    assert bench.count(names.ACCEPTED, "web") == 2
    assert repr(bench.acceptor) == "Acceptor(web: accepting, 2 accepted)"


async def test_closing_refuses_new_clients_and_leaves_the_others(bench: Bench) -> None:
    kept = await bench.hello()
    bench.acceptor.close()
    bench.acceptor.close()
    assert await is_refused(bench.port)
    assert not kept.reader.at_eof()
    kept.close()
    assert "closed" in repr(bench.acceptor)


async def test_those_who_wait_in_the_queue_are_served_when_it_closes(bench: Bench) -> None:
    waiting = []
    for _ in range(3):  # connected by the kernel; the loop has not turned, so nobody has accepted
        sock = socket.socket()
        sock.connect(("127.0.0.1", bench.port))
        waiting.append(sock)
    bench.acceptor.close()
    for sock in waiting:
        wire = Wire(*await asyncio.open_connection(sock=sock))
        assert await wire.exactly(10) == b"127.0.0.1\n"
        wire.close()


async def test_at_the_limit_clients_wait_until_there_is_room(bench: Bench) -> None:
    bench.has_room = False
    waiting = await connect(bench.port)
    await until(lambda: bench.acceptor.is_paused)
    assert bench.count(names.ACCEPT_PAUSES, "limit") == 1
    assert bench.count(names.ACCEPTED, "web") == 0
    bench.has_room = True
    assert await waiting.exactly(10) == b"127.0.0.1\n"
    assert RETRY_S < 0.1
    waiting.close()


class ExhaustedSocket:
    """A listening socket whose accept fails as told before it works."""

    def __init__(self, sock: socket.socket, errors: Iterator[int]) -> None:
        self._sock = sock
        self._errors = errors
        self.family = sock.family

    def _accept(self) -> tuple[int, Any]:
        number = next(self._errors, 0)
        if number:
            raise OSError(number, "told to")
        return self._sock._accept()  # type: ignore[attr-defined,no-any-return]

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EMFILE, "descriptors"), (errno.ENFILE, "descriptors"), (errno.ENOMEM, "memory")]
)
async def test_without_descriptors_accepting_pauses_and_recovers(number: int, reason: str) -> None:
    registry = Registry()
    sock = open_socket("127.0.0.1", 0)
    exhausted: Any = ExhaustedSocket(sock, iter([number]))
    acceptor = Acceptor("web", exhausted, Service(Hello), Gate(registry))
    client = await connect(sock.getsockname()[1])
    assert await client.exactly(10) == b"127.0.0.1\n"
    assert registry.value(names.ACCEPT_PAUSES, reason).value == 1
    client.close()
    acceptor.close()


async def test_a_client_that_left_the_queue_pauses_nobody() -> None:
    registry = Registry()
    sock = open_socket("127.0.0.1", 0)
    exhausted: Any = ExhaustedSocket(sock, iter([errno.ECONNABORTED]))
    acceptor = Acceptor("web", exhausted, Service(Hello), Gate(registry))
    client = await connect(sock.getsockname()[1])
    assert await client.exactly(10) == b"127.0.0.1\n"
    assert names.ACCEPT_PAUSES not in dict(registry.read())
    client.close()
    acceptor.close()


async def test_closing_while_paused_does_not_resume(bench: Bench) -> None:
    bench.has_room = False
    waiting = await connect(bench.port)
    await until(lambda: bench.acceptor.is_paused)
    bench.acceptor.close()
    with pytest.raises(ConnectionResetError):
        await waiting.rest()
    assert await is_refused(bench.port)
