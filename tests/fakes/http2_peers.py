"""HTTP/2 clients and origins made of the h2 library as it comes, on real sockets: the other end of what is tested."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

WAIT_S = 5.0  # no test waits so long unless it fails

Headers = list[tuple[bytes, bytes]]


def request(method: bytes = b"GET", path: bytes = b"/", *more: tuple[bytes, bytes]) -> Headers:
    return [(b":method", method), (b":scheme", b"http"), (b":authority", b"shop.example"), (b":path", path), *more]


@dataclass
class Exchange:
    """What came on one stream."""

    id: int
    headers: dict[bytes, bytes] = field(default_factory=dict)
    raw: Headers = field(default_factory=list)
    interim: list[Headers] = field(default_factory=list)
    body: bytes = b""
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    ended: bool = False
    ended_with_head: bool = False
    reset: ErrorCodes | int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(b":status", b"0"))

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Http2Peer:
    """One end of a connection. `taking`: whether data is acknowledged as it comes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_client: bool,
        settings: dict[SettingCodes, int],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.exchanges: dict[int, Exchange] = {}
        self.goaways: list[tuple[int, int]] = []  # (code, last stream)
        self.events: list[Event] = []
        self.taking = True
        self.closed = asyncio.Event()
        self.lost = False  # by a reset
        config = H2Configuration(is_client)
        config.validate_outbound_headers = config.normalize_outbound_headers = False
        self.link = H2Connection(config)
        self.link.local_settings = Settings(client=is_client, initial_values=settings)
        self.link._frame_dispatch_table[GoAwayFrame] = self._goaway  # h2 would let nothing finish after it
        self.link.initiate_connection()
        self.flush()
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(self._read())

    def flush(self) -> None:
        self.writer.write(self.link.data_to_send())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        self._task.cancel()
        self.writer.transport.abort()

    async def _read(self) -> None:
        try:
            while data := await self.reader.read(65536):
                self._receive(data)
                self.flush()
                self._changed.set()
        except ConnectionError:
            self.lost = True
        finally:
            self.closed.set()
            self._changed.set()

    def _receive(self, data: bytes) -> None:
        for event in self.link.receive_data(data):
            self.events.append(event)
            stream = getattr(event, "stream_id", None)
            if stream:
                self._of(self.exchanges.setdefault(stream, Exchange(stream)), event)

    def _goaway(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        self.goaways.append((frame.error_code, frame.last_stream_id))
        return [], []

    def _of(self, exchange: Exchange, event: Event) -> None:
        if isinstance(event, RequestReceived | ResponseReceived):
            exchange.raw = list(event.headers)
            exchange.headers = dict(event.headers)
            exchange.ended_with_head = event.stream_ended is not None
        elif isinstance(event, InformationalResponseReceived):
            exchange.interim.append(list(event.headers))
        elif isinstance(event, DataReceived):
            exchange.body += event.data
            if self.taking:
                self.link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            exchange.trailers = dict(event.headers)
        elif isinstance(event, StreamEnded):
            exchange.ended = True
        elif isinstance(event, StreamReset):
            exchange.reset = event.error_code


class Http2Client(Http2Peer):
    """A client."""

    def open(self, headers: Headers, *, end: bool = True) -> int:
        """Begin a request; its stream."""
        stream = self.link.get_next_available_stream_id()
        self.link.send_headers(stream, headers, end_stream=end)
        self.exchanges[stream] = Exchange(stream)
        self.flush()
        return stream

    def data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self.link.send_data(stream, data, end_stream=end)
        self.flush()

    def reset(self, stream: int, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        self.link.reset_stream(stream, code)
        self.flush()

    async def answer(self, stream: int) -> Exchange:
        """What came, once it is over."""
        await self.until(lambda: self.exchanges[stream].over or self.closed.is_set())
        return self.exchanges[stream]

    async def head(self, stream: int) -> Exchange:
        await self.until(lambda: self.exchanges[stream].headers or self.exchanges[stream].over or self.closed.is_set())
        return self.exchanges[stream]

    async def ask(self, headers: Headers, body: bytes | None = None, trailers: Headers | None = None) -> Exchange:
        """One request and its answer."""
        stream = self.open(headers, end=body is None)
        if body is not None:
            self.link.send_data(stream, body, end_stream=trailers is None)
            if trailers is not None:
                self.link.send_headers(stream, trailers, end_stream=True)
            self.flush()
        return await self.answer(stream)


async def http2_client(
    port: int,
    *,
    settings: dict[SettingCodes, int] | None = None,
    context: ssl.SSLContext | None = None,
    name: str | None = None,
) -> Http2Client:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    return Http2Client(reader, writer, is_client=True, settings=settings or {})


Script = Callable[[Http2Peer, Exchange], Awaitable[None]]


def answering(
    body: bytes = b"ok", *fields: tuple[bytes, bytes], status: int = 200, trailers: Headers | None = None
) -> Script:
    """For each request, once it is whole: a response."""

    async def script(peer: Http2Peer, exchange: Exchange) -> None:
        await peer.until(lambda: exchange.over)
        if exchange.reset is not None:
            return
        link = peer.link
        link.send_headers(exchange.id, [(b":status", b"%d" % status), *fields])
        if body:
            link.send_data(exchange.id, body, end_stream=trailers is None)
        if trailers is not None:
            link.send_headers(exchange.id, trailers, end_stream=True)
        elif not body:
            link.end_stream(exchange.id)
        peer.flush()

    return script


class Http2Origin:
    """A listening socket whose every stream is answered by a script."""

    def __init__(self, script: Script, settings: dict[SettingCodes, int] | None = None) -> None:
        self.script = script
        self.settings = settings or {}
        self.connections: list[Http2Peer] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> list[Exchange]:
        return [exchange for connection in self.connections for exchange in connection.exchanges.values()]

    async def start(self) -> Http2Origin:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for connection in self.connections:
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Http2Peer(reader, writer, is_client=False, settings=self.settings)
        self.connections.append(peer)
        seen = 0
        while not peer.closed.is_set():
            fresh = [exchange for exchange in list(peer.exchanges.values())[seen:] if exchange.headers]
            for exchange in fresh:
                seen += 1
                task = asyncio.ensure_future(self.script(peer, exchange))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            peer._changed.clear()
            await peer._changed.wait()
