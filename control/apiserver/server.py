"""The API server: HTTPS in front of the handlers, and what it does by itself.

aiohttp's low-level server parses; one function serves every request, because paths are resolved by our own rules
(`paths`) and a router with middlewares would only add to each request. A connection is asked for its certificate once.
A watch ends the moment its connection does: the connection knows its flows and closes them.

By itself the server makes the objects of every cluster (`bootstrap`), looks after `default/kubernetes`, forgets
Events after an hour, and reads metrics (`metrics`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from control.api.kinds import EVENT, Kind
from control.api.objects import format_time, key_of, meta
from control.api.rows import RESOURCES
from control.api.scheme import Resource
from control.api.status import StatusError, unauthorized
from control.apiserver.auth import Authenticator, authenticated, is_own_host, user_of_certificate
from control.apiserver.body import BODY_BYTES_MAX
from control.apiserver.bootstrap import Wanted, api_endpoints, cluster, corrected, dns_service
from control.apiserver.exchange import Answer, Flow, Request, User, answer_error
from control.apiserver.handlers import Handlers
from control.apiserver.handlers_change import copied, put
from control.apiserver.handlers_context import Context, store_failure
from control.apiserver.handlers_documents import Documents, health, is_open
from control.apiserver.handlers_subresources import Subresources
from control.apiserver.handlers_write import create
from control.apiserver.local import LocalClient
from control.apiserver.logs import Logs
from control.apiserver.metrics import REST_S, Metrics
from control.apiserver.options import WriteOptions
from control.apiserver.views import EVENT_TTL, is_expired
from control.store.records import Missing, Moved, StoreError
from control.store.store import Store

logger = logging.getLogger(__name__)

BACKLOG = 1024  # connections that may wait for accept: clients of a load test come at once
KEEPALIVE_S = 180.0  # client-go keeps idle connections for 90 s: the client should be the one who closes
SHUTDOWN_S = 2.0  # how long requests may go on after stop(); watches are ended at once
TEND_EVERY_S = 10.0  # kube-apiserver's interval for reconciling default/kubernetes
HEADER_BYTES_MAX = 64 * 1024
MANAGER = "kube-apiserver"
DEFAULT_PORT = 6443


class Connection(web.RequestHandler):
    """One client's connection: who it is by its certificate, and what streams to it."""

    __slots__ = ("asked", "flows", "user")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.asked = False
        self.user: User | None = None
        self.flows: set[Flow] = set()

    def certified_user(self) -> User | None:
        if not self.asked:
            self.asked = True
            transport = self.transport
            self.user = user_of_certificate(transport.get_extra_info("peercert")) if transport else None
        return self.user

    def connection_lost(self, exc: BaseException | None) -> None:
        for flow in list(self.flows):
            flow.close()
        super().connection_lost(exc)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class ApiServer:
    """`clock` gives aware datetimes, `time_scale` of its seconds a second.

    `rng` makes UIDs and name suffixes, so it is the system's unless in tests.
    """

    def __init__(
        self,
        store: Store,
        *,
        resources: Mapping[Kind, Resource] = RESOURCES,
        auth: Authenticator,
        kubelet_socket: Path | None = None,
        worker_sockets: Sequence[Path] = (),
        metrics_resolution_s: float = REST_S,
        service_cidr: str,
        dns: tuple[str, int] | None = None,
        node_port_range: tuple[int, int] = (30000, 32767),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        time_scale: float = 1.0,
        rng: Random | None = None,
    ) -> None:
        self.context = Context(
            store,
            resources,
            clock=clock,
            rng=rng or SystemRandom(),
            service_cidr=service_cidr,
            node_port_range=node_port_range,
        )
        self._auth = auth
        self._dns = dns
        self._logs = Logs(kubelet_socket)
        self._subresources = Subresources(self.context, auth, self._logs)
        self.metrics = Metrics(
            self.context, kubelet_socket, worker_sockets, resolution_s=metrics_resolution_s, scale=time_scale
        )
        self.documents = Documents(lambda: self.address)
        self.handlers = Handlers(self.context, self.documents, self._subresources, self.metrics)
        self._runner: web.ServerRunner | None = None
        self._flows: set[Flow] = set()
        self._tending: asyncio.Task[None] | None = None
        self._host, self._port = "127.0.0.1", 0

    def __repr__(self) -> str:
        return f"<ApiServer {self.address}, {len(self._flows)} streams, {self.context!r}>"

    @property
    def address(self) -> str:
        """host:port, once started."""
        return f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def client(
        self, user: str = "system:kube-controller-manager", groups: Sequence[str] = ("system:masters",)
    ) -> LocalClient:
        return LocalClient(self.context, self._subresources, self.metrics, authenticated(user, groups))

    async def prepare(self, host: str, port: int) -> None:
        """Makes what every cluster has; local clients may be used from then on."""
        self._host, self._port = host, port
        self.context.load_books()
        await self._ensure(self._cluster(port or DEFAULT_PORT))

    async def start(
        self, host: str, port: int, ssl_context: ssl.SSLContext | None, *, sock: socket.socket | None = None
    ) -> None:
        """Prepares, then listens; `port` 0 takes any (see `port`).

        With `sock`, which listens already (the supervisor keeps it over restarts of this process), that one is served.
        """
        if sock is not None:
            host, port = sock.getsockname()[:2]
        await self.prepare(host, port)
        server = _Server(
            self._serve,
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site: web.BaseSite
        if sock is not None:
            site = web.SockSite(self._runner, sock, ssl_context=ssl_context, backlog=BACKLOG)
        else:
            site = web.TCPSite(self._runner, host, port, ssl_context=ssl_context, backlog=BACKLOG)
        await site.start()
        self._port = self._runner.addresses[0][1]
        await self._ensure(api_endpoints(host, self._port))
        self._tending = asyncio.get_running_loop().create_task(self._tend())
        self.metrics.start()

    async def stop(self) -> None:
        """Ends watches, lets requests finish, closes connections."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        for flow in list(self._flows):
            flow.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._logs.close()
        await self.metrics.close()

    # One request

    def _request(self, *args: Any) -> web.BaseRequest:
        """aiohttp's request factory: (message, payload, protocol, writer, task)."""
        message, payload, protocol, writer, task = args
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        path, _, query = raw.raw_path.partition("?")
        if is_open(path):
            return _response(health(path, "verbose" in query))
        connection = raw.protocol
        assert isinstance(connection, Connection)
        headers = raw.headers
        if not is_own_host(headers.get("Host", "")):
            return _response(answer_error(StatusError(403, "Forbidden", "this server does not answer for that host")))
        user = connection.certified_user()
        if user is None:
            user = self._auth.user_of_header(headers.get("Authorization", ""), self.context.get)
            if user is None:
                return _response(answer_error(unauthorized()))
        try:
            body = await raw.read() if raw.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {BODY_BYTES_MAX}"
            return _response(answer_error(StatusError(413, "RequestEntityTooLarge", message)))
        values = dict(reversed(parse_qsl(query, keep_blank_values=True))) if query else {}
        reply = await self.handlers.handle(Request(raw.method, path, values, headers, body, user))
        if isinstance(reply, Answer):
            return _response(reply)
        return await self._stream(raw, connection, reply)

    async def _stream(self, raw: web.BaseRequest, connection: Connection, flow: Flow) -> web.StreamResponse:
        response = web.StreamResponse(status=flow.status, headers=_headers(flow.content_type, flow.warnings))
        self._flows.add(flow)
        connection.flows.add(flow)
        try:
            await response.prepare(raw)
            async for chunk in flow.chunks:
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            pass  # the client left, as watches end
        finally:
            flow.close()
            self._flows.discard(flow)
            connection.flows.discard(flow)
        return response

    # What the server does by itself

    def _cluster(self, port: int) -> list[Wanted]:
        wanted = cluster(self.context.books.first_address, port)
        return wanted if self._dns is None else wanted + dns_service(*self._dns)

    async def _ensure(self, wanted: list[Wanted]) -> None:
        for one in wanted:
            try:
                await self._ensure_one(one)
            except StatusError as error:
                logger.warning("%s %s is not as it should be: %s", one.kind, key_of(one.obj), error.message)

    async def _ensure_one(self, one: Wanted) -> None:
        kind, (namespace, name) = one.kind, key_of(one.obj)
        resource = self.context.resources[kind]
        options = WriteOptions(MANAGER, warns=False)
        found = self.context.get(kind.resource, namespace, name)
        if found is None:
            await create(self.context, resource, namespace, copied(one.obj), options)
            return
        right = corrected(one, found)
        if right is not None:
            await put(self.context, resource, namespace, name, copied(right), options)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            try:
                await self.tend()
            except StoreError as error:
                logger.warning("%s", store_failure(error).message)

    async def tend(self) -> None:
        """Puts right what every cluster has, and forgets old Events."""
        await self._ensure(self._cluster(self._port))
        await self._ensure(api_endpoints(self._host, self._port))
        now = self.context.now()
        store = self.context.store
        oldest = format_time(now - EVENT_TTL)  # as text, for most of ten thousand Events are younger
        for stored in store.list(EVENT.resource):
            if meta(stored.obj).get("creationTimestamp", "") <= oldest and is_expired(stored.obj, now):
                try:
                    await store.delete(EVENT.resource, *stored.key, expect=stored.revision)
                except (Missing, Moved):
                    continue


def _headers(content_type: str, warnings: Sequence[str]) -> list[tuple[str, str]]:
    headers = [("Content-Type", content_type), ("Cache-Control", "no-cache, private")]
    headers += [("Warning", f"299 - {_quoted(warning)}") for warning in warnings]
    return headers


def _quoted(text: str) -> str:
    """An RFC 7230 quoted-string, on one line."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return '"' + flat.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _response(answer: Answer) -> web.Response:
    headers = _headers(answer.content_type, answer.warnings)
    if answer.headers:
        headers = [pair for pair in headers if pair[0] not in answer.headers]
        headers += list(answer.headers.items())
    return web.Response(status=answer.status, body=answer.body, headers=headers)
