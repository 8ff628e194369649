"""Answers on UDP and TCP: the shell around `zone`, `wire` and `cache`.

    question -> kept answer                                          a copy of some bytes
             -> read -> find -> render -> kept, sent                 once for each name, type and kind of client
             -> read -> find -> ask upstream -> sent                 others' names

Every worker answers for the whole cluster: each has all zones and a SO_REUSEPORT socket of its own, so the kernel
spreads clients over workers, a killed worker takes nobody's names with it, and what names cost grows with the workers
as everything else does. Two workers may for a moment know two versions; a resolver that asks twice may notice.

UDP: at most `BATCH` datagrams a wake-up, fewer if they are expensive. An answer that does not fit into the socket's
buffer is dropped; the client asks again. TCP (RFC 7766): many questions on a connection, answered as they are ready,
at most `WAITING_MAX` of them waiting for upstreams, after which reading pauses; a connection on which nothing happens
for `IDLE_S` is closed, as is one whose peer does not read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from dataplane.dns import wire
from dataplane.dns.cache import Answers, end_of, key_of
from dataplane.dns.forward import Busy, Forwarder, Transport
from dataplane.dns.zone import NOERROR, REFUSED, SERVFAIL, Answer, Names
from dataplane.metrics import names as metrics
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Record, Zone

log = logging.getLogger(__name__)

BATCH = 32  # datagrams a wake-up: about 0.2 ms if all answers are kept ones
MISSES_MAX = 4  # of them not kept: 0.2 ms each
DATAGRAM_BYTES = 4096
IDLE_S = 10.0  # CoreDNS' idle timeout on TCP; RFC 7766 6.2.3 wants "a few seconds"
WAITING_MAX = 128
STREAMS_MAX = 1000  # TCP connections, of the few that resolvers make

Address = tuple[str, int] | tuple[str, int, int, int]
Send = Callable[[bytes], None]


class DnsServer:
    """The names in force, and answers about them."""

    def __init__(self, registry: Registry, forwarder: Forwarder | None = None) -> None:
        self.names = Names()
        self.forwarder = forwarder if forwarder is not None else Forwarder()
        self.streams: set[Stream] = set()
        self._kept: dict[Transport, Answers] = {"udp": Answers(), "tcp": Answers()}
        self._registry = registry
        self._codes = [0] * 16  # kept answers sent, by code; the others are counted where they are made
        self._tasks: set[asyncio.Task[None]] = set()
        registry.at_scrape(self._measure)

    def __repr__(self) -> str:
        return f"DnsServer({self.names!r}, {len(self.streams)} streams, {self.forwarder!r})"

    def update(self, gone: Iterable[Zone | Record], new: Iterable[Zone | Record]) -> None:
        """Brings a change of names into force, for the next question on."""
        touched = self.names.apply(gone, new)
        for answers in self._kept.values():
            answers.forget(touched)

    def close(self) -> None:
        """End what is under way."""
        self.forwarder.close()
        for task in self._tasks:
            task.cancel()
        for stream in tuple(self.streams):
            stream.close()

    def receive(self, sock: socket.socket) -> Callable[[], None]:
        """What reads and answers a UDP socket (`listen.udp`)."""
        receive, send = sock.recvfrom, sock.sendto
        turns, codes = self._kept["udp"].turns, self._codes

        def on_readable() -> None:
            misses = 0
            for _ in range(BATCH):
                try:
                    data, client = receive(DATAGRAM_BYTES)
                except OSError:  # nothing more; or an ICMP error about some answer of the past
                    return
                end = data.find(0, 12) + 5
                turn = turns.get(data[2:12] + data[12 : end - 4].lower() + data[end - 4 :])  # cache.key_of
                if turn is None:
                    self.answer(data, "udp", partial(_send_to, sock, client))
                    misses += 1
                    if misses == MISSES_MAX:
                        return
                    continue
                head, tail = turn()
                codes[head[1] & 15] += 1
                try:
                    send(data[:2] + head + data[12:end] + tail, client)
                except OSError:
                    continue

        return on_readable

    def stream(self) -> asyncio.Protocol:
        """The protocol of one TCP connection."""
        return Stream(self)

    def kept(self, data: bytes, transport: Transport) -> bytes | None:
        """A ready answer."""
        end = end_of(data)
        turn = self._kept[transport].turns.get(key_of(data, end))
        if turn is None:
            return None
        head, tail = turn()
        self._codes[head[1] & 15] += 1
        return data[:2] + head + data[12:end] + tail

    def answer(self, data: bytes, transport: Transport, send: Send) -> bool:
        """Answers a message that has no ready answer, now or when an upstream has; False: it deserves none."""
        question = wire.read(data)
        if question is None:
            self._registry.value(metrics.DNS_DROPPED).value += 1
            return False
        if isinstance(question, bytes):
            self._say(question, send, "zone")
            return True
        answer = self.names.find(question.name, question.type)
        bytes_max = question.bytes_max if transport == "udp" else wire.TCP_BYTES_MAX
        if answer.upstreams:
            task = asyncio.get_running_loop().create_task(self._forward(data, question, answer, transport, send))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return True
        made = wire.render(question, answer, bytes_max, has_upstream="." in self.names.zones)
        if question.is_plain and answer.code != SERVFAIL:
            self._kept[transport].put(data, made, answer.consulted)
        self._say(made[0], send, "zone")
        return True

    async def _forward(
        self, data: bytes, question: wire.Question, answer: Answer, transport: Transport, send: Send
    ) -> None:
        bytes_max = question.bytes_max if transport == "udp" else wire.TCP_BYTES_MAX
        try:
            if answer.follow:
                reply = await self._follow(question, answer)
                self._say(wire.completed(question, answer, reply, bytes_max), send, "upstream")
                return
            reply = await self.forwarder.ask(data, answer.upstreams, transport)
        except Busy:
            self._say(wire.refusal(question.message, REFUSED), send, "upstream")
            return
        self._say(wire.refusal(question.message, SERVFAIL) if reply is None else reply, send, "upstream")

    async def _follow(self, question: wire.Question, answer: Answer) -> bytes | None:
        rest = wire.ask(answer.follow, question.rdtype)
        reply = await self.forwarder.ask(rest, answer.upstreams, "udp")
        if reply is not None and wire.is_truncated(reply):
            return await self.forwarder.ask(rest, answer.upstreams, "tcp")
        return reply

    def _say(self, answer: bytes, send: Send, source: str) -> None:
        self._count(answer[3] & 15, source, 1)
        send(answer)

    def _count(self, code: int, source: str, count: int) -> None:
        self._registry.value(metrics.DNS_ANSWERS, CODES.get(code, str(code)), source).value += count

    def _measure(self) -> None:
        for code, count in enumerate(self._codes):
            if count:
                self._count(code, "kept", count)
                self._codes[code] = 0
        self._registry.value(metrics.DNS_KEPT).value = sum(map(len, self._kept.values()))
        self._registry.value(metrics.DNS_PENDING).value = len(self.forwarder)


CODES = {NOERROR: "NOERROR", 1: "FORMERR", SERVFAIL: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", REFUSED: "REFUSED"}


def _send_to(sock: socket.socket, client: Address, answer: bytes) -> None:
    try:
        sock.sendto(answer, client)
    except OSError as error:  # closed meanwhile, or no room: the client asks again
        log.debug("an answer of %d bytes to %s was not sent: %s", len(answer), client, error)


class Stream(asyncio.Protocol):
    """One TCP connection: messages with their length in front, both ways."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._waiting = 0
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._is_read = True
        self._is_taking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.streams) >= STREAMS_MAX:
            self._transport.abort()
            return
        self._server.streams.add(self)
        self._set_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.streams.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._set_idle()
        self._take()

    def pause_writing(self) -> None:
        """The peer asks and does not read: `_take` stops until it does, or until it is idle for too long."""
        self._is_read = False
        self._set_reading()

    def resume_writing(self) -> None:
        self._is_read = True
        self._set_reading()
        self._take()

    def _take(self) -> None:
        """Takes messages out of the buffer as long as there is room for their answers."""
        if self._is_taking:
            return
        self._is_taking = True
        buffer, start = self._buffer, 0
        while self._is_read and self._waiting < WAITING_MAX and len(buffer) - start >= 2:
            end = start + 2 + int.from_bytes(buffer[start : start + 2], "big")
            if end > len(buffer):
                break
            message = bytes(buffer[start + 2 : end])
            start = end
            answer = self._server.kept(message, "tcp")
            if answer is not None:
                self._write(answer)
                continue
            self._waiting += 1
            if not self._server.answer(message, "tcp", self._answered):
                self.close()  # what follows on a stream that went wrong cannot be trusted
                break
        del buffer[:start]
        self._is_taking = False
        self._set_reading()

    def _answered(self, answer: bytes) -> None:
        self._waiting -= 1
        self._write(answer)
        self._take()

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(len(answer).to_bytes(2, "big") + answer)

    def _set_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_read and self._waiting < WAITING_MAX:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _set_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._on_idle)

    def _on_idle(self) -> None:
        if self._transport is not None:
            self._transport.abort()
