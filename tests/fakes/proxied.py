"""The HTTP proxy between a raw client and scripted origins, on real sockets, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from dataplane.l7.downstream import Downstream
from dataplane.l7.limits import Limits
from dataplane.l7.proxy import HttpProxy
from dataplane.l7.upstream import Upstream
from dataplane.metrics.flows import Flow, FlowFields
from dataplane.snapshot import model
from dataplane.table import Endpoint, Match, Table
from tests.fakes.origin import Origin, Script, answering

WAIT_S = 5.0  # no test waits so long unless it fails


class TurnedClock:
    """Monotonic time plus what the test added."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Answer:
    """A response as the client read it."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def field(self, name: bytes) -> bytes | None:
        found = re.search(rb"(?i)\r\n" + re.escape(name) + rb": ([^\r]*)", self.head)
        return found[1] if found else None


class RawClient:
    """Bytes in, bytes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def exactly(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), WAIT_S)

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), WAIT_S)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next response, its body in the framing in which it came (chunks are joined)."""
        head = await self.until(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if head_only or status in (204, 304) or status < 200:
            return Answer(head, b"")
        if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
            body = b""
            while size := int((await self.until(b"\r\n")), 16):
                body += (await self.exactly(size + 2))[:-2]
            await self.until(b"\r\n")
            return Answer(head, body)
        if length := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
            return Answer(head, await self.exactly(int(length[1])))
        return Answer(head, await self.rest())

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        return await self.answer(head_only=data.startswith(b"HEAD "))

    async def rest(self) -> bytes:
        """Everything until the proxy ends the connection."""
        return await asyncio.wait_for(self.reader.read(), WAIT_S)

    def end(self) -> None:
        """Half-close."""
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Proxied:
    """`async with Proxied(script, ...) as proxied:`; one origin a script, all endpoints of one backend."""

    def __init__(
        self,
        *scripts: Script,
        limits: Limits | None = None,
        backend: dict[str, Any] | None = None,
        site: dict[str, Any] | None = None,
        dead: int = 0,
        is_gone: Any = None,
    ) -> None:
        self.origins = [Origin(script) for script in scripts or (answering(),)]
        self.records: list[FlowFields] = []
        self.clock = TurnedClock()
        extra = {} if is_gone is None else {"is_gone": is_gone}
        self.proxy = HttpProxy(self.records.append, limits=limits, clock=self.clock, **extra)
        self.table = Table(random.Random(7).random)
        self._backend = {"policy": "round-robin"} | (backend or {})
        self._site = site or {}
        self._dead = dead  # endpoints where nobody listens
        self._clients: list[RawClient] = []
        self._server: asyncio.Server | None = None
        self.port = 0
        self._version = 0
        self.surprises: list[dict[str, Any]] = []  # exceptions that escaped into the event loop

    @property
    def origin(self) -> Origin:
        return self.origins[0]

    @property
    def flows(self) -> list[Flow]:
        return [Flow(number, *record) for number, record in enumerate(self.records)]

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        backend = self.table.backend("b")
        assert backend is not None
        return backend.endpoints

    @property
    def downstreams(self) -> list[Downstream]:
        """Clients' HTTP/1 connections."""
        return [client for client in self.proxy.clients if isinstance(client, Downstream)]

    @property
    def connections(self) -> list[Upstream]:
        """HTTP/1 connections to endpoints."""
        return [upstream for upstream in self.proxy.upstreams if isinstance(upstream, Upstream)]

    async def __aenter__(self) -> Proxied:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self.surprises.append(context))
        for origin in self.origins:
            await origin.start()
        ports = [origin.port for origin in self.origins] + [unused_port() for _ in range(self._dead)]
        self.apply(
            model.Route("r", "t", "", "/", "Prefix", "b", ("", "", 0)),
            model.Backend("b", **self._backend),
            *(self.endpoint(number, port) for number, port in enumerate(ports)),
        )
        self.proxy.start()
        factory = self.proxy.protocol_factory(self._resolve, listener="web", **self._site)
        self._server = await loop.create_server(factory, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for client in self._clients:
            client.writer.transport.abort()
        self.proxy.stop()
        assert self._server is not None
        self._server.close()
        for origin in self.origins:
            await origin.stop()
        await self.settle()
        assert self.surprises == []

    def _resolve(self, host: bytes, path: bytes) -> Match | None:
        return None if path.startswith(b"/nowhere") else self.table.resolve("t", host, path)

    def endpoint(self, number: int, port: int, **conditions: bool) -> model.Endpoint:
        state: dict[str, Any] = {"ready": True, "serving": True, "terminating": False} | conditions
        return model.Endpoint("b", f"e{number}", "127.0.0.1", port, target=f"ns/pod-{number}", **state)

    def apply(self, *resources: model.Resource, removes: tuple[model.ResourceKey, ...] = ()) -> None:
        """Bring resources into force as a worker does."""
        self._version += 1
        changes = self.table.apply(model.Update(self._version, self._version == 1, resources, removes))
        self.proxy.endpoints_changed((*changes.removed, *changes.changed))

    async def client(self) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        return await (await self.client()).ask(data)

    async def pass_time(self, seconds: float) -> None:
        """Let everybody do what they can do now, then turn the clock and sweep."""
        await self.settle()
        self.clock.ahead += seconds + self.proxy.limits.sweep_s
        self.proxy.sweep()
        await self.settle()

    async def settle(self, turns: int = 10) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def until(self, condition: Any) -> None:
        """Wait for something that other sockets bring about."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0)

    @property
    def leases(self) -> int:
        return sum(endpoint.active for endpoint in self.endpoints.values())


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
