"""Writes events, in order, without anyone waiting for them.

A bounded queue and one task: events are news, not state, so when the API is away or slow the newest are dropped and
counted rather than kept for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from control.api.kinds import EVENT
from control.api.objects import Object
from control.api.status import StatusError
from control.kubelet.events import Again, Correlator, EventType, NewEvent
from control.mirror.client import Client

logger = logging.getLogger(__name__)
QUEUE_MAX = 1000
COMPONENT = "kubelet"


class Recorder:
    """`say` is called from anywhere in the loop; `run` writes."""

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        self.client = client
        self.clock = clock
        self.correlator = Correlator()
        self.queue: asyncio.Queue[NewEvent | Again] = asyncio.Queue(QUEUE_MAX)
        self.lost = 0

    def __repr__(self) -> str:
        return f"<Recorder {self.queue.qsize()} waiting, {self.lost} lost, {self.correlator!r}>"

    def say(self, regarding: Object, type_: EventType, reason: str, message: str, host: str) -> None:
        found = self.correlator.said(regarding, type_, reason, message, COMPONENT, host, self.clock())
        if found is None:
            return
        try:
            self.queue.put_nowait(found)
        except asyncio.QueueFull:
            self.lost += 1

    async def run(self) -> None:
        while True:
            found = await self.queue.get()
            try:
                await self.write(found)
            except (StatusError, ConnectionError, TimeoutError) as error:
                self.lost += 1
                logger.debug("event lost: %s", error)
            finally:
                self.queue.task_done()

    async def write(self, found: NewEvent | Again) -> None:
        if isinstance(found, Again):
            try:
                await self.client.patch(EVENT, found.namespace, found.name, found.patch)
                return
            except StatusError as error:
                if error.reason != "NotFound":
                    raise
        await self.client.create(EVENT, found.obj)
