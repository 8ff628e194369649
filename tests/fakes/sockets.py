"""Raw TCP for tests: an endpoint that a script drives, a client, and conditions to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator

WAIT_S = 5.0  # no test waits so long unless it fails


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def local(self) -> tuple[str, int]:
        name: tuple[str, int] = self.writer.get_extra_info("sockname")
        return name

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Everything until the other side's FIN; ConnectionError if it is a reset."""
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read()

    def finish(self) -> None:
        """FIN."""
        self.writer.write_eof()

    def reset(self) -> None:
        """RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Origin:
    """A listening endpoint whose connections come out of a queue."""

    def __init__(self, server: asyncio.Server, connections: asyncio.Queue[Wire]) -> None:
        self.server = server
        self.connections = connections
        self.port: int = server.sockets[0].getsockname()[1]

    async def accepted(self) -> Wire:
        async with asyncio.timeout(WAIT_S):
            return await self.connections.get()


@contextlib.asynccontextmanager
async def origin(address: str = "127.0.0.1", *, echo: bytes = b"") -> AsyncIterator[Origin]:
    """An endpoint; with `echo` it says that, and then back what it hears until it hears FIN."""
    connections: asyncio.Queue[Wire] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        await connections.put(wire)
        if echo:
            with contextlib.suppress(ConnectionError):
                wire.send(echo)
                while data := await reader.read(65536):
                    wire.send(data)
            wire.close()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield Origin(server, connections)
    finally:
        server.close()


async def connect(port: int, *, address: str = "127.0.0.1", source: str = "", rcvbuf: int = 0) -> Wire:
    """A client's connection, from the loopback address `source` if given."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    if source:
        sock.bind((source, 0))
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except OSError:
        sock.close()
        raise
    return Wire(*await asyncio.open_connection(sock=sock, limit=1024 if rcvbuf else 2**16))


async def is_refused(port: int, *, address: str = "127.0.0.1") -> bool:
    try:
        wire = await connect(port, address=address)
    except ConnectionRefusedError:
        return True
    wire.close()
    return False


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until `condition` holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0)


def unused_port(address: str = "127.0.0.1", *, kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on now."""
    with socket.socket(type=kind) as sock:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """A port whose queue is full: the kernel answers nobody who connects to it."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
