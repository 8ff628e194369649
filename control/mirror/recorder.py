"""Writes a component's Events: never in the way of who emits, never without bound.

`emit` decides at once (`correlate`) and returns; one task sends what was decided, in order. Events are news, not state:
when the queue is full or the server keeps refusing, they are dropped and counted, and nothing else is held up. A
namespace that is being deleted refuses new events (403), which is as it should be.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from control.api.kinds import EVENT
from control.api.objects import Object, meta, name_of
from control.api.status import StatusError
from control.mirror.client import Client
from control.mirror.correlate import Correlator, Write

logger = logging.getLogger(__name__)

QUEUE_MAX = 1000  # client-go's broadcaster holds 1000 (maxQueuedEvents)
TRIES_MAX = 12  # client-go's maxTriesPerEvent; it sleeps 10 s between them, we a second: the server is on this machine
RETRY_S = 1.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Recorder:
    """Events of one component; `close` sends what is queued, if it can be sent at once."""

    def __init__(
        self,
        client: Client,
        component: str,
        *,
        host: str = "",
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.dropped = 0
        self.written = 0
        self._client = client
        self._correlator = Correlator(component, host)
        self._clock = clock
        self._pause = pause
        self._queue: deque[Write] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def emit(self, regarding: Object, type_: str, reason: str, message: str) -> None:
        """`regarding` is the object, or a part of one with its identity; `fieldPath` on it names a container."""
        if len(self._queue) >= QUEUE_MAX or self._closing:
            self.dropped += 1
            return
        write = self._correlator.observe(regarding, type_, reason, message, self._clock())
        if write is None:
            self.dropped += 1
            return
        self._queue.append(write)
        if self._task is None:
            self._task = asyncio.ensure_future(self._send())

    async def settled(self) -> None:
        """Returns when everything emitted so far has been written or dropped."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        self._closing = True
        await self.settled()

    async def _send(self) -> None:
        try:
            while self._queue:
                await self._deliver(self._queue.popleft())
        finally:
            self._task = None

    async def _deliver(self, write: Write) -> None:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                await self._write(write)
                self.written += 1
                return
            except StatusError as error:
                if error.code < 500 and error.code != 429:
                    logger.debug("event %s was refused: %s", name_of(write.full), error)
                    break
                failure: Exception = error
            except (ConnectionError, TimeoutError) as error:
                failure = error
            except Exception as error:
                logger.exception("event %s could not be written", name_of(write.full))
                failure = error
                break
            if self._closing or attempt == TRIES_MAX:
                logger.debug("event %s was given up: %s", name_of(write.full), failure)
                break
            await self._pause(RETRY_S)
        self.dropped += 1
        self._correlator.forget(write.identity)

    async def _write(self, write: Write) -> None:
        if write.patch is not None:
            try:
                await self._client.patch(EVENT, meta(write.full)["namespace"], name_of(write.full), write.patch)
                return
            except StatusError as error:
                if error.reason != "NotFound":
                    raise
        try:
            await self._client.create(EVENT, write.full)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise  # else an earlier attempt arrived although its answer did not
