"""The HTTP proxy as `Proxied` has it, but all of it: a worker on the running loop that is told everything by updates.

Two listeners, `web` (plain) and, with certificates, `tls`, for one routing table. The worker's clock is one that the
test turns.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from dataplane.l7.limits import Limits
from dataplane.snapshot import model
from dataplane.worker import Options, Worker
from tests.fakes.origin import Script
from tests.fakes.pem import pem
from tests.fakes.proxied import Answer, Proxied, RawClient, unused_port

HOST = b"Host: h"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def message(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = HOST, body: bytes = b"") -> bytes:
    """A request of these lines."""
    return b"\r\n".join([line, *([] if host is None else [host]), *fields]) + b"\r\n\r\n" + body


class Worked(Proxied):
    """`async with Worked(script, ...) as worked:`; one origin a script, all endpoints of one backend."""

    def __init__(
        self,
        *scripts: Script,
        limits: Limits | None = None,
        backend: dict[str, Any] | None = None,
        dead: int = 0,
        certificates: tuple[str, ...] = (),
        routes: tuple[model.Resource, ...] = (),
    ) -> None:
        super().__init__(*scripts, backend=backend, dead=dead)
        self.worker = Worker(Options(limits=limits or Limits(), seed=7))
        self.proxy = self.worker.proxy
        self.proxy.clock = self.clock
        self.table = self.worker.table
        self.tls_port = unused_port()
        self._certificates = certificates
        self._routes = routes

    @property
    def flows(self) -> list[Any]:
        return list(self.worker.recorder.ring)

    async def __aenter__(self) -> Worked:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self.surprises.append(context))
        for origin in self.origins:
            await origin.start()
        ports = [origin.port for origin in self.origins] + [unused_port() for _ in range(self._dead)]
        await self.worker.start()
        self.port = unused_port()
        listeners = [model.Listener("web", "127.0.0.1", self.port, "ingress", table="t")]
        if self._certificates:
            listeners.append(model.Listener("tls", "127.0.0.1", self.tls_port, "ingress", table="t", tls=True))
        self.apply(
            *listeners,
            *(model.Certificate(host or "default", (host,), *pem(host or "default")) for host in self._certificates),
            *(self._routes or (model.Route("r", "t", "", "/", "Prefix", "b", ("", "", 0)),)),
            model.Backend("b", **self._backend),
            *(self.endpoint(number, port) for number, port in enumerate(ports)),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        for client in self._clients:
            client.writer.transport.abort()
        await self.worker.stop(0)
        for origin in self.origins:
            await origin.stop()
        await self.settle()
        assert self.surprises == []

    def apply(self, *resources: model.Resource, removes: tuple[model.ResourceKey, ...] = ()) -> None:
        self._version += 1
        self.worker.apply(model.Update(self._version, self._version == 1, resources, removes))

    async def tls_client(self, name: str | None, *, alpn: tuple[str, ...] = ()) -> RawClient:
        """A client that trusts anybody; `name` is its SNI."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        streams = await asyncio.open_connection("127.0.0.1", self.tls_port, ssl=context, server_hostname=name or "")
        client = RawClient(*streams)
        self._clients.append(client)
        return client

    @staticmethod
    def another_pem(host: str) -> tuple[str, str]:
        """A new certificate for a host that has one."""
        return pem(host, "renewed.example")

    # what most tests want to know

    async def passed(self, data: bytes) -> bytes:
        """The bytes that the origin got for this request, which is answered with 200."""
        before = len(self.origin.received)
        answer = await self.ask(data)
        assert answer.status == 200, answer
        return self.origin.received[before:]

    async def refused(self, data: bytes, *statuses: int, reaches: bool = False) -> Answer:
        """The refusal: readable, the last thing said, and (unless `reaches`) before anybody was asked."""
        client = await self.client()
        client.send(data)
        answer = await client.answer()
        assert answer.status in statuses, answer
        assert answer.field(b"Connection") == b"close"
        assert await client.rest() == b""
        if not reaches:
            assert self.origin.received == b""
        return answer
