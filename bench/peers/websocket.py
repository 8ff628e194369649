"""WebSocket messages there and back: an echoing backend, and a client that sends the next when the last came back.

    python -m bench.peers.websocket echo PORT...
    python -m bench.peers.websocket drive PORT CONNECTIONS SECONDS      prints a `load.Load` as JSON

Both speak just enough of RFC 6455 for messages of 64 bytes, so that they cost little beside the proxy between them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import cast

import uvloop

from bench.peers.front import HOST
from bench.peers.load import Load
from bench.peers.processes import process, unused_port

SIZE = 64
SENT = bytes([0x82, 0x80 | SIZE, 0, 0, 0, 0]) + bytes(SIZE)  # final binary frame, masked with zeros
ECHOED = bytes([0x82, SIZE]) + bytes(SIZE)
KEY = base64.b64encode(bytes(16))
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
HELLO = (
    b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: %b\r\n\r\n" % (HOST.encode(), KEY)
)
WELCOME = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %b\r\n\r\n"
    % ACCEPT
)


class Echo(asyncio.Protocol):
    """The backend's connection."""

    def __init__(self) -> None:
        self._held = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._open:
            head, end, self._held = self._held.partition(b"\r\n\r\n")
            if not end:
                self._held = head
                return
            self._open = True
            self._transport.write(WELCOME)
        whole = len(self._held) // len(SENT)
        if whole:
            self._held = self._held[whole * len(SENT) :]
            self._transport.write(ECHOED * whole)


class Client(asyncio.Protocol):
    """One connection of the load: one message under way."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.lost = False
        self._held = b""
        self._open = False
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(HELLO)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._open:
            head, end, self._held = self._held.partition(b"\r\n\r\n")
            if not end:
                self._held = head
                return
            self._open = head.startswith(b"HTTP/1.1 101 ")
            if not self._open:
                self._transport.close()
                return
        elif len(self._held) >= len(ECHOED):
            self._held = self._held[len(ECHOED) :]
            self.times.append(time.perf_counter() - self._sent_at)
        else:
            return
        self._sent_at = time.perf_counter()
        self._transport.write(SENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def echo(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(Echo, "127.0.0.1", port)
    await asyncio.Event().wait()


async def drive(port: int, connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.sleep(seconds)
    times = sorted(took for client in clients for took in client.times)
    errors = sum(client.lost for client in clients)
    p99 = times[int(len(times) * 0.99)] if times else 0.0
    return Load(len(times), len(times) / seconds, p99, errors)


def start_backends(stack: ExitStack, count: int = 3) -> list[int]:
    """Ports of echoing servers, all of one process."""
    ports = [unused_port() for _ in range(count)]
    command = [sys.executable, "-m", "bench.peers.websocket", "echo", *map(str, ports)]
    stack.enter_context(process(command, ports[-1]))
    return ports


def run(port: int, connections: int, seconds: float) -> Load:
    """Drive a server from another process."""
    command = [sys.executable, "-m", "bench.peers.websocket", "drive", str(port), str(connections), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Load(**json.loads(done.stdout))


def main() -> None:
    what, *numbers = sys.argv[1:]
    if what == "echo":
        uvloop.run(echo([int(number) for number in numbers]))
    else:
        load = uvloop.run(drive(int(numbers[0]), int(numbers[1]), float(numbers[2])))
        print(json.dumps({name: getattr(load, name) for name in Load.__slots__}))


if __name__ == "__main__":
    main()
