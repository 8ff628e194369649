"""Questions about other people's names, passed on as they came.

An upstream is asked over the transport on which we were asked, with an id and a source port of chance (RFC 5452), and
its answer is passed back with the asker's id; nothing in it is changed, a set TC makes the asker come by TCP. Upstreams
are asked in their order, each for `TRY_S`, all together for `DEADLINE_S` (CoreDNS' plugin/forward: 2 s and 5 s); then
it is the caller's to say SERVFAIL.

Of two equal questions at the same time one is asked. That also ends a loop: where an upstream leads back to us, the
question that comes back is the one that waits already. `PENDING_MAX` bounds what waits (kubeadm's Corefile:
`max_concurrent 1000`); one more is refused.

Answers are not kept: pods' resolvers and the machine's own resolver do that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Literal, cast

from dataplane.dns.wire import TCP_BYTES_MAX, is_reply
from dataplane.dns.zone import Upstreams

TRY_S = 2.0
DEADLINE_S = 5.0
PENDING_MAX = 1000

Transport = Literal["udp", "tcp"]
Reply = bytes | None
Key = tuple[bytes, Transport, Upstreams]


class Busy(Exception):
    """Too many questions wait for upstreams."""


class Forwarder:
    """Asks upstreams; `ask` gives their answer with the asker's id, or None."""

    def __init__(self, try_s: float = TRY_S, deadline_s: float = DEADLINE_S, pending_max: int = PENDING_MAX) -> None:
        self._try_s = try_s
        self._deadline_s = deadline_s
        self._pending_max = pending_max
        self._pending: dict[Key, asyncio.Task[Reply]] = {}

    def __repr__(self) -> str:
        return f"Forwarder({len(self._pending)} of at most {self._pending_max} pending)"

    def __len__(self) -> int:
        return len(self._pending)

    def close(self) -> None:
        for task in self._pending.values():
            task.cancel()

    async def ask(self, message: bytes, upstreams: Upstreams, transport: Transport) -> Reply:
        """The answer of the first upstream that has one; Busy if there is no room to wait."""
        key = message[2:], transport, upstreams
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= self._pending_max:
                raise Busy
            task = asyncio.get_running_loop().create_task(self._ask(message, upstreams, transport))
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key))
        reply = await asyncio.shield(task)
        return None if reply is None else message[:2] + reply[2:]

    async def _ask(self, message: bytes, upstreams: Upstreams, transport: Transport) -> Reply:
        exchange = _by_udp if transport == "udp" else _by_tcp
        try:
            async with asyncio.timeout(self._deadline_s):
                for upstream in upstreams:
                    question = random.randbytes(2) + message[2:]
                    try:
                        async with asyncio.timeout(self._try_s):
                            return await exchange(question, upstream)
                    except (OSError, EOFError, TimeoutError):
                        continue
        except TimeoutError:
            pass
        return None


class _Asked(asyncio.DatagramProtocol):
    """A connected UDP socket with one question under way; whatever does not answer it is ignored."""

    def __init__(self, question: bytes, answered: asyncio.Future[bytes]) -> None:
        self._question = question
        self._answered = answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._question)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answered.done() and is_reply(data, self._question):
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


async def _by_udp(question: bytes, upstream: tuple[str, int]) -> bytes:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    make: Callable[[], _Asked] = lambda: _Asked(question, answered)  # noqa: E731
    transport, _ = await loop.create_datagram_endpoint(make, remote_addr=upstream)
    try:
        return await answered
    finally:
        transport.close()


async def _by_tcp(question: bytes, upstream: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream, limit=TCP_BYTES_MAX + 2)
    try:
        writer.write(len(question).to_bytes(2, "big") + question)
        while True:
            reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            if is_reply(reply, question):
                return reply
    finally:
        writer.close()
