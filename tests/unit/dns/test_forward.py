"""Questions passed on to upstreams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dataplane.dns.forward import Busy, Forwarder
from tests.fakes.names import question
from tests.fakes.sockets import until

ASKED = question("example.com.", edns=1232)


class Upstream(asyncio.DatagramProtocol):
    """Keeps what it is asked and says what `reply` makes of it."""

    def __init__(self, reply: Callable[[bytes], list[bytes]]) -> None:
        self.reply = reply
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport) or hasattr(transport, "sendto")
        self.transport = transport
        self.address: tuple[str, int] = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.asked.append(data)
        for reply in self.reply(data):
            self.transport.sendto(reply, addr)


@asynccontextmanager
async def upstream(reply: Callable[[bytes], list[bytes]]) -> AsyncIterator[Upstream]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: Upstream(reply), local_addr=("127.0.0.1", 0))
    try:
        yield protocol
    finally:
        transport.close()


def said(message: bytes, tail: bytes = b"answer") -> bytes:
    """A reply to a message, as far as the forwarder looks."""
    return message[:2] + bytes((message[2] | 0x80,)) + message[3:] + tail


async def test_the_answer_comes_back_under_the_askers_id_and_the_upstream_sees_another() -> None:
    async with upstream(lambda message: [said(message)]) as there:
        replies = [await Forwarder().ask(ASKED, (there.address,), "udp") for _ in range(4)]
    assert replies == [said(ASKED)] * 4
    assert {message[2:] for message in there.asked} == {ASKED[2:]}
    assert len({message[:2] for message in there.asked}) > 1


async def test_forged_answers_are_ignored() -> None:
    def replies(message: bytes) -> list[bytes]:
        other_id = bytes((message[0] ^ 1,)) + message[1:]
        return [said(other_id, b"1"), message, said(message.replace(b"example", b"exampel"), b"2"), said(message, b"3")]

    async with upstream(replies) as there:
        assert await Forwarder().ask(ASKED, (there.address,), "udp") == said(ASKED, b"3")


async def test_the_next_upstream_is_asked_when_one_is_silent_or_absent() -> None:
    async with upstream(lambda message: []) as silent, upstream(lambda message: [said(message)]) as there:
        absent = ("127.0.0.1", await closed_port())
        forwarder = Forwarder(try_s=0.02)
        assert await forwarder.ask(ASKED, (silent.address, absent, there.address), "udp") == said(ASKED)
        assert len(silent.asked) == 1


async def closed_port() -> int:
    async with upstream(lambda message: []) as gone:
        return gone.address[1]


async def test_after_the_deadline_there_is_no_answer() -> None:
    async with upstream(lambda message: []) as silent:
        assert await Forwarder(try_s=5, deadline_s=0.02).ask(ASKED, (silent.address,) * 3, "udp") is None
    assert await Forwarder().ask(ASKED, (), "udp") is None


async def test_equal_questions_are_asked_once_and_each_gets_its_id() -> None:
    async with upstream(lambda message: [said(message)]) as there:
        forwarder = Forwarder()
        other = b"\x12\x34" + ASKED[2:]
        replies = await asyncio.gather(*(forwarder.ask(each, (there.address,), "udp") for each in (ASKED, other)))
        assert replies == [said(ASKED), said(other)]
        assert len(there.asked) == 1
        assert len(forwarder) == 0


async def test_a_loop_ends_at_the_question_that_waits_already() -> None:
    forwarder = Forwarder(try_s=0.1, deadline_s=0.1)
    tasks: list[asyncio.Task[bytes | None]] = []

    def back(message: bytes) -> list[bytes]:
        tasks.append(asyncio.get_running_loop().create_task(forwarder.ask(message, (there.address,), "udp")))
        return []

    async with upstream(back) as there:
        assert await forwarder.ask(ASKED, (there.address,), "udp") is None
        await asyncio.gather(*tasks)
        assert len(there.asked) == 1


async def test_one_more_than_may_wait_is_refused() -> None:
    async with upstream(lambda message: []) as silent:
        forwarder = Forwarder(pending_max=1)
        waiting = asyncio.ensure_future(forwarder.ask(ASKED, (silent.address,), "udp"))
        await until(lambda: len(forwarder) == 1)
        with pytest.raises(Busy):
            await forwarder.ask(question("other.example."), (silent.address,), "udp")
        forwarder.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(forwarder) == 0


async def test_tcp_is_asked_over_tcp() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        for reply in (said(b"\x00\x00" + message[2:]), said(message)):
            writer.write(len(reply).to_bytes(2, "big") + reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()[:2]
        assert await Forwarder().ask(ASKED, (address,), "tcp") == said(ASKED)


async def test_a_tcp_upstream_that_hangs_up_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert await Forwarder().ask(ASKED, (server.sockets[0].getsockname()[:2],), "tcp") is None
