"""A worker that stops: what is under way on every kind of connection is finished, and nobody sees a reset."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

from h2.errors import ErrorCodes

from dataplane.snapshot.model import Certificate
from dataplane.worker import Options, Worker
from tests.fakes.contract import endpoint, full, rule
from tests.fakes.http2_peers import http2_client, request
from tests.fakes.pem import pem
from tests.fakes.sockets import Wire, connect, is_refused, origin, until, unused_port
from tests.unit.worker.test_worker import APP, http, tcp, web

GET = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"


@contextlib.asynccontextmanager
async def held(gate: asyncio.Event) -> AsyncIterator[int]:
    """The port of an endpoint that answers once the gate is open."""

    async def talk(wire: Wire) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await wire.reader.readuntil(b"\r\n\r\n")
                await gate.wait()
                wire.send(ANSWER)
        wire.close()

    async def serve() -> None:
        while True:
            tasks.append(asyncio.ensure_future(talk(await made.connections.get())))

    async with origin() as made:
        tasks = [asyncio.ensure_future(serve())]
        yield made.port
        for task in tasks:
            task.cancel()


def trusting(*protocols: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=pem("a.com")[0])
    made.set_alpn_protocols(protocols)
    return made


async def over_tls(port: int) -> Wire:
    pair = await asyncio.open_connection("127.0.0.1", port, ssl=trusting("http/1.1"), server_hostname="a.com")
    return Wire(*pair)


def leases(of: Worker) -> int:
    return sum(one.active for backend in of.table.backends for one in backend.endpoints.values())


async def answer(wire: Wire, length: int = 4) -> tuple[bytes, bytes]:
    async with asyncio.timeout(5):
        head = await wire.reader.readuntil(b"\r\n\r\n")
    return head, await wire.exactly(length)


async def test_every_kind_of_connection_finishes_and_none_is_reset() -> None:
    fronts = (web(unused_port()), http(unused_port()), tcp(unused_port()))
    secure = replace(web(unused_port(), tls=True), name="webs")
    certificate = Certificate("c", ("a.com",), *pem("a.com"))
    gate, made = asyncio.Event(), Worker(Options(seed=1))
    async with held(gate) as app:
        await made.start()
        made.apply(full(APP, *fronts, secure, certificate, rule("r", "a.com"), endpoint("a", port=app)))
        busy = {front.name: await connect(front.port) for front in fronts}
        busy[secure.name] = await over_tls(secure.port)
        for wire in busy.values():
            wire.send(GET)
        http2 = await http2_client(secure.port, context=trusting("h2"), name="a.com")
        stream = http2.open([*request()[:2], (b":authority", b"a.com"), (b":path", b"/")])
        await until(lambda: leases(made) == 5)
        kept = await connect(fronts[0].port), await over_tls(secure.port)
        for wire in kept:
            wire.send(GET.replace(b"a.com", b"b.com"))
            assert (await answer(wire, 22))[1] == b"default backend - 404\n"

        stopping = asyncio.ensure_future(made.stop(5.0))
        for wire in kept:
            assert await wire.rest() == b""
            wire.close()
        assert all([await is_refused(front.port) for front in (*fronts, secure)])
        assert not stopping.done()
        gate.set()
        for name, wire in busy.items():
            head, body = await answer(wire)
            assert body == b"done", name
            assert (b"\r\nConnection: close\r\n" in head) is (name != "tcp"), name
            if name == "tcp":  # its end is its own affair
                wire.finish()
            assert await wire.rest() == b"", name
            wire.close()
        assert (await http2.answer(stream)).body == b"done"
        await http2.until(http2.closed.is_set)
        assert {code for code, _ in http2.goaways} == {ErrorCodes.NO_ERROR}
        assert not http2.lost
        http2.close()
        await stopping
        assert [flow.outcome for flow in made.recorder.ring if flow.endpoint] == ["ok"] * 5
