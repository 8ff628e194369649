"""The admin endpoint of a worker: six GETs over HTTP/1.0, on a unix socket and, if asked, on a port of 127.0.0.1.

It is not aiohttp's because of what that costs where it matters: 17 MB and 190 ms for each worker, against goals of
150 MB for all of loopkube and of a worker that is ready in 200 ms. What is needed of HTTP here is small enough to be
seen at one glance: a request head of at most `HEAD_MAX` bytes, GET or HEAD, one answer, close.

    /metrics    Prometheus' text format
    /healthz    200 while the event loop turns
    /readyz     200 once a full state is in force, 503 before
    /table      the state as JSON                       /    the same as a page
    /updates    the newest updates in force as JSON lines, with the times of each step of their way
    /flows      the newest flow records as JSON lines; with `follow=1` the coming ones too, until the client goes.
                `sample=N` takes every N-th; a record's field by its name (`FILTERS`) takes those with this value

A follower that does not read loses records (counted), it never makes the worker wait or grow. All of it only reads:
nothing can be changed here, so that neither a web page nor another user can do harm. Over TCP the Host must be a
loopback name or address, so that a web page cannot read it through a name of its own that points here (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, unquote

import orjson

from dataplane.metrics import names
from dataplane.metrics.exposition import CONTENT_TYPE, exposition
from dataplane.metrics.flows import Flow, FlowRing
from dataplane.metrics.registry import Registry
from dataplane.metrics.updates import UpdateLog
from dataplane.overview import Overview, page

log = logging.getLogger(__name__)

HEAD_MAX = 8 * 1024
REQUEST_TIMEOUT_S = 5.0
FOLLOWER_BUFFER = 1024 * 1024  # bytes that may wait for a follower; about 3,000 records
CONNECTIONS_MAX = 64
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
FILTERS = ("outcome", "listener", "route", "backend", "endpoint", "target", "attempts", "status")
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to show."""

    registry: Registry
    ring: FlowRing
    updates: UpdateLog
    is_ready: Callable[[], bool]
    view: Callable[[], Overview]


class BadQuery(Exception):
    """A query parameter that cannot be understood."""


class Admin:
    """The listening sockets of the admin endpoint."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._path: Path | None = None

    def __repr__(self) -> str:
        return f"Admin({len(self._servers)} sockets, {len(self.connections)} connections)"

    @property
    def ports(self) -> list[int]:
        """The TCP ports listened on."""
        return [
            sock.getsockname()[1]
            for server in self._servers
            for sock in server.sockets
            if sock.family.name != "AF_UNIX"
        ]

    async def start(self, path: Path | None, port: int | None) -> None:
        """Listen on the unix socket `path` (a stale one is replaced) and on `port` of 127.0.0.1, as far as given."""
        loop = asyncio.get_running_loop()
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(path.stat().st_mode):
                    path.unlink()
            self._servers.append(await loop.create_unix_server(lambda: Connection(self, is_local=True), str(path)))
            path.chmod(0o600)
            self._path = path
        if port is not None:
            make = lambda: Connection(self, is_local=False)  # noqa: E731
            self._servers.append(await loop.create_server(make, "127.0.0.1", port))

    async def stop(self) -> None:
        """Stop listening and end all connections, followers included."""
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections):
            connection.end()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, admin: Admin, *, is_local: bool) -> None:
        self._admin = admin
        self._is_local = is_local
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._admin.connections.add(self)
        if len(self._admin.connections) > CONNECTIONS_MAX:
            self._answer(503, "too many connections\n")
            return
        self._timer = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT_S, self.end)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            return  # answered already
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._timer.cancel()
            self._timer = None
            self._handle(self._head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n"))
        elif len(self._head) > HEAD_MAX:
            self._timer.cancel()
            self._timer = None
            self._answer(400, "request too large\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._admin.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._leave is not None:
            self._leave()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _handle(self, lines: list[str]) -> None:
        method, _, rest = lines[0].partition(" ")
        target = rest.partition(" ")[0]
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if method not in ("GET", "HEAD"):
            self._answer(405, "this endpoint only shows: GET\n")
        elif not self._is_local and fields.get("host", "").rpartition(":")[0].lower() not in LOOPBACK_HOSTS:
            self._answer(403, "ask by a loopback address\n")
        else:
            path, _, query = target.partition("?")
            self._route(unquote(path), parse_qs(query, keep_blank_values=True), is_head=method == "HEAD")

    def _route(self, path: str, query: dict[str, list[str]], *, is_head: bool) -> None:
        sources = self._admin.sources
        if path == "/metrics":
            self._answer(200, exposition(sources.registry), CONTENT_TYPE, is_head=is_head)
        elif path == "/healthz":
            self._answer(200, "ok\n", is_head=is_head)
        elif path == "/readyz":
            ready = sources.is_ready()
            self._answer(200 if ready else 503, "ok\n" if ready else "no state yet\n", is_head=is_head)
        elif path == "/table":
            self._answer(200, orjson.dumps(sources.view()) + b"\n", "application/json", is_head=is_head)
        elif path == "/":
            self._answer(200, page(sources.view()), "text/html; charset=utf-8", is_head=is_head)
        elif path == "/updates":
            lines = b"".join(orjson.dumps(update._asdict()) + b"\n" for update in sources.updates)
            self._answer(200, lines, "application/x-ndjson", is_head=is_head)
        elif path == "/flows":
            self._flows(query, is_head=is_head)
        else:
            self._answer(404, "/metrics /healthz /readyz /table /updates /flows\n", is_head=is_head)

    def _flows(self, query: dict[str, list[str]], *, is_head: bool) -> None:
        try:
            wanted, sample = _filter(query)
        except BadQuery as error:
            self._answer(400, f"{error}\n")
            return
        assert self._transport is not None
        flows = b"".join(_line(flow) for flow in self._admin.sources.ring if flow.id % sample == 0 and wanted(flow))
        if query.get("follow", ["0"])[-1] not in ("1", "true", ""):
            self._answer(200, flows, "application/x-ndjson", is_head=is_head)
            return
        self._transport.write(
            b"HTTP/1.0 200 OK\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n\r\n"
        )
        if is_head:
            self.end()
            return
        self._transport.write(flows)
        self._leave = self._admin.sources.ring.follow(self._tell, wanted, sample)

    def _tell(self, flow: Flow) -> None:
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > FOLLOWER_BUFFER:
            self._admin.sources.registry.value(names.FLOWS_DROPPED).value += 1
            return
        self._transport.write(_line(flow))

    def _answer(
        self, status: int, body: str | bytes, kind: str = "text/plain; charset=utf-8", *, is_head: bool = False
    ) -> None:
        assert self._transport is not None
        payload = body.encode() if isinstance(body, str) else body
        head = (
            f"HTTP/1.0 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + (b"" if is_head else payload))
        self._transport.close()


def _filter(query: dict[str, list[str]]) -> tuple[Callable[[Flow], bool], int]:
    unknown = set(query) - {*FILTERS, "follow", "sample"}
    if unknown:
        raise BadQuery(
            f"unknown parameter {', '.join(sorted(unknown))}; there are {', '.join(FILTERS)}, follow, sample"
        )
    text = query.get("sample", ["1"])[-1]
    if not text.isascii() or not text.isdigit() or not int(text):
        raise BadQuery(f"sample: {text!r} is no number above 0")
    asked: Iterable[tuple[str, frozenset[str]]] = [
        (name, frozenset(query[name])) for name in FILTERS if query.get(name)
    ]
    return (lambda flow: all(str(getattr(flow, name)) in values for name, values in asked)), int(text)


def _line(flow: Flow) -> bytes:
    return orjson.dumps(flow.as_json()) + b"\n"
