"""A scripted origin on a real socket: it records raw bytes and answers as told.

`Origin(script)`: the script is an async callable that gets an `OriginConnection` for each connection accepted; it may
read, write, close or reset as it likes. `answering(...)` makes the ordinary script: a response for every request.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable


class OriginConnection:
    """One accepted connection. `received` is everything that was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.received = b""
        self.ended: asyncio.Event = asyncio.Event()

    async def head(self) -> bytes:
        """The next request's head."""
        data = await self.reader.readuntil(b"\r\n\r\n")
        self.received += data
        return data

    async def exactly(self, size: int) -> bytes:
        data = await self.reader.readexactly(size)
        self.received += data
        return data

    async def until(self, end: bytes) -> bytes:
        data = await self.reader.readuntil(end)
        self.received += data
        return data

    async def body(self, head: bytes) -> bytes:
        """The raw bytes of the body that `head` announces."""
        if length := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
            return await self.exactly(int(length[1]))
        if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
            raw = b""
            while True:
                line = await self.until(b"\r\n")
                raw += line + await self.exactly(int(line, 16) + 2)
                if line == b"0\r\n":
                    return raw
        return b""

    async def rest(self) -> bytes:
        """Everything until the peer ends its side; ConnectionResetError if it resets."""
        data = await self.reader.read()
        self.received += data
        return data

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[OriginConnection], Awaitable[None]]


def ok(body: bytes = b"ok", *fields: bytes) -> bytes:
    """A plain 200."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), lines, body)


def answering(response: bytes | Callable[[bytes], bytes] = b"") -> Script:
    """For each request read it whole and send `response` (or what it makes of the request's head)."""

    async def script(connection: OriginConnection) -> None:
        while True:
            head = await connection.head()
            await connection.body(head)
            connection.write(response(head) if callable(response) else response or ok())

    return script


class Origin:
    """A listening socket with a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: list[OriginConnection] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def received(self) -> bytes:
        """What all connections have got, one after the other."""
        return b"".join(connection.received for connection in self.connections)

    async def start(self) -> Origin:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for connection in self.connections:
            connection.writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = OriginConnection(reader, writer)
        self.connections.append(connection)
        task = asyncio.ensure_future(self._run(connection))
        self._tasks.add(task)

    async def _run(self, connection: OriginConnection) -> None:
        try:
            await self.script(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            connection.ended.set()
