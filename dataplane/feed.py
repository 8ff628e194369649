"""Where a worker's state comes from: the publisher's socket, for as long as the worker lives, or a file.

The feed connects, takes what it is sent, and answers each update: Ack once it is in force, Nack when it was refused.
It owns no state. When the publisher goes away (control was killed, is being upgraded) the worker goes on with what it
has and the feed tries again, at first at once and then ever more rarely, up to every `RETRY_MAX_S`, for ever: a unix
socket costs nothing to try. A new connection begins with a full update, which is compared with the state in force, so
what did not change is not touched.

Bytes that break the contract end the connection: nothing after them can be trusted. The publisher is told by a Nack
and by the closed socket; the state in force stays.

The measure of the change path is taken here: from `triggered_at` (when the cause happened) to the moment when the
update is in force in this worker. Full updates are not counted, their causes are old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import orjson

from dataplane.metrics import names
from dataplane.metrics.registry import Registry
from dataplane.metrics.updates import ENDPOINTS_NAMED, AppliedUpdate, UpdateLog
from dataplane.snapshot.codec import ContractError, Decoder, decode_json, encode
from dataplane.snapshot.model import Ack, Endpoint, Message, Nack, Update
from dataplane.table import TableError

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.02  # a restarted control is back within about a second: try often at first
RETRY_MAX_S = 0.5

Apply = Callable[[Update], None]
"""Brings an update into force or raises TableError."""


class Feed(asyncio.Protocol):
    """The connection to the publisher, made again whenever it is lost."""

    def __init__(self, path: Path, apply: Applier, registry: Registry, retry_s: float = RETRY_MIN_S) -> None:
        self._path = path
        self._retry_min_s = retry_s
        self._apply = apply
        self._connected = registry.value(names.FEED_CONNECTED)
        self._connects = registry.value(names.FEED_CONNECTS)
        self._decoder = Decoder()
        self._answered = 0
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Feed({self._path}, {'connected' if self.is_connected else 'not connected'})"

    @property
    def is_connected(self) -> bool:
        return self._transport is not None

    def start(self) -> None:
        """Begin to connect, and keep at it."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Let go of the publisher."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        delay, said = self._retry_min_s, False
        while True:
            self._lost.clear()
            try:
                await loop.create_unix_connection(lambda: self, str(self._path))
            except OSError as error:
                if not said:
                    log.warning("publisher at %s: %s; trying again, the last good state stays", self._path, error)
                    said = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
                continue
            said, answered = False, self._answered
            log.info("publisher at %s: connected", self._path)
            await self._lost.wait()
            log.warning("publisher at %s: connection lost, the last good state stays", self._path)
            # a publisher that hangs up without a word is as good as absent
            delay = self._retry_min_s if self._answered > answered else min(delay * 2, RETRY_MAX_S)
            await asyncio.sleep(delay)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._decoder = Decoder()
        self._connected.value = 1
        self._connects.value += 1

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        received_at = self._apply.clock()
        try:
            messages = self._decoder.feed(data)
        except ContractError as error:
            log.error("publisher at %s broke the contract: %s", self._path, error)
            self._transport.write(encode(self._apply.refuse(error)))
            self._transport.close()
            return
        for message in messages:
            self._answered += 1
            self._transport.write(encode(self._apply(message, received_at)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connected.value = 0
        self._lost.set()


class Applier:
    """A message in, the answer out; counts, measures, and keeps the newest in `log`. `clock` is Unix time."""

    def __init__(self, apply: Apply, registry: Registry, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.log = UpdateLog()
        self._apply = apply
        self._applied = registry.value(names.UPDATES, "applied")
        self._refused = registry.value(names.UPDATES, "refused")
        self._programming = registry.histogram(names.PROGRAMMING)
        self._version = registry.value(names.VERSION)
        self._version.value = -1
        self._registry = registry

    def __call__(self, message: Message, received_at: float) -> Ack | Nack:
        if not isinstance(message, Update):
            return Nack(-1, f"a worker takes updates, not {type(message).__name__}")
        try:
            self._apply(message)
        except TableError as error:
            log.error("update %d refused, the last good state stays: %s", message.version, error)
            self._refused.value += 1
            return Nack(message.version, str(error))
        now = self.clock()
        self.log.append(_applied(message, received_at, now))
        self._applied.value += 1
        self._version.value = message.version
        self._registry.replace(names.WARNINGS, {(reason,): count for reason, count in message.warnings})
        if message.triggered_at and not message.full:
            self._programming.observe(max(0.0, now - message.triggered_at))
        return Ack(message.version, now)

    def refuse(self, error: ContractError) -> Nack:
        """Of bytes that are no message."""
        self._refused.value += 1
        return Nack(-1, str(error))


def _applied(update: Update, received_at: float, now: float) -> AppliedUpdate:
    ready = (item.name for item in update.upserts if isinstance(item, Endpoint) and item.ready)
    return AppliedUpdate(
        update.version,
        update.full,
        update.triggered_at,
        update.published_at,
        received_at,
        now,
        len(update.upserts),
        len(update.removes),
        tuple(islice(ready, ENDPOINTS_NAMED)),
    )


def updates_in(path: Path) -> Iterator[Update]:
    """The updates of a file: one JSON message, or one a line; ContractError says which line is wrong."""
    text = path.read_bytes()
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    try:
        orjson.loads(text)
        lines = [(1, text)]
    except orjson.JSONDecodeError:
        pass  # then it is one message a line
    messages = []
    for number, line in lines or [(1, b"")]:
        try:
            messages.append(decode_json(line))
        except ContractError as error:
            raise ContractError(f"{path}: line {number}: {error}") from None
    for message in messages:
        if not isinstance(message, Update):
            raise ContractError(f"{path}: holds a {type(message).__name__}, updates belong there")
        yield message
