"""Accepting on one socket: one connection a wake-up, and a pause when there is no room for more.

We accept ourselves instead of leaving it to the event loop's server, for three reasons. The client's address is known
before the protocol object is made (session affinity needs it). When descriptors run out (EMFILE, ENFILE) libuv accepts
and closes whatever waits, and uvloop closes its server for good on any other error; here accepting pauses, connections
wait in the kernel's queue, and after `RETRY_S` it goes on. And the number of connections can be bounded: at the limit
accepting pauses too, as HAProxy's `maxconn` does. It costs about 8 us per connection on 45 us.

One connection a wake-up (nginx's `multi_accept off`): a burst of new connections takes turns with the traffic of
those that are open, and no accept is tried in vain.

Closing stops accepting for good. What already waits in the queue was acknowledged by the kernel, so it is taken out
and served: closing the socket would reset it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from dataplane.metrics import names
from dataplane.metrics.registry import Registry, Value

log = logging.getLogger(__name__)

RETRY_S = 0.05  # how long a pause lasts; short against a client's patience, long against the cost of looking
HANDSHAKE_TIMEOUT_S = 10.0  # TLS; HAProxy's and Envoy's examples use 10 s, nginx 60 s
QUEUE_MAX = 4096  # connections taken out of the queue on closing: no more than the backlog

PAUSING = {
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
    errno.ENOBUFS: "memory",
    errno.ENOMEM: "memory",
}

MakeProtocol = Callable[[str], asyncio.Protocol]
"""The client's address -> the protocol for its connection."""


@dataclass(slots=True)
class Service:
    """What happens to the connections of a listener."""

    make_protocol: MakeProtocol
    context: Callable[[], ssl.SSLContext] | None = None  # asked for each connection, so that certificates can change


@dataclass(slots=True)
class Gate:
    """What all acceptors of a worker share: whether there is room, and the counters.

    `handshakes` are connections that have no protocol yet, since TLS is being agreed upon: who says whether there is
    room must count them too, or silent clients of a TLS port would take all descriptors.
    """

    registry: Registry
    has_room: Callable[[], bool] = lambda: True
    handshakes: int = 0

    def paused(self, reason: str) -> None:
        self.registry.value(names.ACCEPT_PAUSES, reason).value += 1


class Accepted:
    """A connection on its way from the kernel to the event loop: as much of a socket as uvloop asks of one.

    `socket.accept` would make a socket, which asks the kernel for its name and family, only for the loop to take the
    descriptor out of it: 6 us a connection.
    """

    __slots__ = ("_descriptor", "family")

    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, descriptor: int, family: int) -> None:
        self._descriptor = descriptor
        self.family = family

    def fileno(self) -> int:
        return self._descriptor

    def setblocking(self, blocking: bool) -> None:
        """uvloop makes the descriptor non-blocking itself."""

    def detach(self) -> int:
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self.detach())


class Acceptor:
    """Accepts on one listening socket until closed."""

    def __init__(self, name: str, sock: socket.socket, service: Service, gate: Gate) -> None:
        self.name = name
        self.sock = sock
        self.service = service
        self.is_paused = False
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._accepted: Value = gate.registry.value(names.ACCEPTED, name)
        self._resume: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_uvloop = isinstance(self._loop, uvloop.Loop)
        self._loop.add_reader(sock, self._on_ready)

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "paused" if self.is_paused else "accepting"
        return f"Acceptor({self.name}: {state}, {self._accepted.value:.0f} accepted)"

    @property
    def is_closed(self) -> bool:
        return self.sock.fileno() < 0

    def close(self) -> None:
        """Stop accepting; connections that are open, and those that waited to be accepted, go on."""
        if self.is_closed:
            return
        if self._resume is not None:
            self._resume.cancel()
        if not self.is_paused:
            self._loop.remove_reader(self.sock)
            for _ in range(QUEUE_MAX):
                if not self._accept():
                    break
        self.sock.close()

    def _on_ready(self) -> None:
        if not self._gate.has_room():
            self._pause("limit")
            return
        self._accept()

    def _accept(self) -> bool:
        """Take one connection out of the queue; says whether there was one."""
        try:
            descriptor, peer = self.sock._accept()  # type: ignore[attr-defined]  # what accept() is made of
        except (BlockingIOError, InterruptedError):  # another process was faster on an inherited socket
            return False
        except OSError as error:
            reason = PAUSING.get(error.errno or 0)
            if reason is None:  # ECONNABORTED and the like: that client is gone, the next one may be there
                return False
            self._pause(reason)
            return False
        self._accepted.value += 1
        service = self.service
        if service.context is None and self._is_uvloop:
            taken: Any = Accepted(descriptor, self.sock.family)
            making = self._loop.connect_accepted_socket(partial(service.make_protocol, peer[0]), taken)
            task: asyncio.Task[Any] = self._loop.create_task(making)
        else:
            task = self._loop.create_task(self._serve(service, socket.socket(fileno=descriptor), peer[0]))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("%s: a connection was lost before it was served: %s", self.name, error)

    async def _serve(self, service: Service, connection: socket.socket, peer: str) -> None:
        make = partial(service.make_protocol, peer)
        try:
            if service.context is None:
                await self._loop.connect_accepted_socket(make, connection)
            else:
                await self._shake_hands(make, connection, service.context())
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            if service.context is not None:
                self._gate.registry.value(names.TLS_FAILURES, self.name).value += 1
            log.debug("%s: connection from %s failed: %s", self.name, peer, error)
            connection.close()

    async def _shake_hands(
        self, make: Callable[[], asyncio.Protocol], connection: socket.socket, context: ssl.SSLContext
    ) -> None:
        self._gate.handshakes += 1
        try:
            await self._loop.connect_accepted_socket(
                make,
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=1.0,
            )
        finally:
            self._gate.handshakes -= 1

    def _pause(self, reason: str) -> None:
        if self.is_paused or self.is_closed:
            return
        self.is_paused = True
        self._loop.remove_reader(self.sock)
        self._gate.paused(reason)
        log.log(logging.DEBUG if reason == "limit" else logging.WARNING, "%s: accepting paused: %s", self.name, reason)
        self._resume = self._loop.call_later(RETRY_S, self._on_resume)

    def _on_resume(self) -> None:
        self._resume = None
        self.is_paused = False
        self._loop.add_reader(self.sock, self._on_ready)
