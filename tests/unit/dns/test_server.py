"""Answers on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import dns.rcode
import pytest

from dataplane.dns import server as shell
from dataplane.dns.forward import Forwarder
from dataplane.dns.server import DnsServer
from dataplane.listen.accept import Gate, Service
from dataplane.listen.tcp import Listeners
from dataplane.listen.udp import Reader
from dataplane.metrics import names as metrics
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Listener, Record, Zone
from tests.fakes.names import RECORDS, ZONE, data_in, exchange, question, svc
from tests.fakes.sockets import Wire, connect, until


class Served:
    """A server behind a dns listener."""

    def __init__(self, forwarder: Forwarder | None = None) -> None:
        self.registry = Registry()
        self.server = DnsServer(self.registry, forwarder)
        self.server.update((), (ZONE, *RECORDS))
        gate = Gate(self.registry)
        self.listeners = Listeners(
            lambda listener: Service(lambda client: self.server.stream()),
            gate,
            receive=lambda listener, sock: Reader(self.server.receive(sock)),
        )

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.listeners.port("dns")

    def counted(self) -> dict[tuple[str, ...], float]:
        children = next(children for family, children in self.registry.read() if family is metrics.DNS_ANSWERS)
        return {labels: child.value for labels, child in children.items() if hasattr(child, "value")}


@asynccontextmanager
async def served(forwarder: Forwarder | None = None) -> AsyncIterator[Served]:
    made = Served(forwarder)
    made.listeners.reconcile([Listener("dns", "127.0.0.1", 0, "dns")], ())
    assert made.listeners.states[0].error == ""
    try:
        yield made
    finally:
        made.listeners.close()
        made.server.close()
        await asyncio.sleep(0)


async def test_the_same_answer_fresh_and_kept_on_udp_and_tcp() -> None:
    async with served() as here:
        asked = [question(svc("web")) for _ in range(3)]
        for reply in await exchange(here.address, *asked):
            assert data_in(reply) == ["127.96.0.9"]
        for reply in await over_tcp(here.address, *asked):
            assert data_in(reply) == ["127.96.0.9"]
        assert here.counted() == {("NOERROR", "zone"): 2, ("NOERROR", "kept"): 4}


async def test_letters_come_back_as_they_were_asked_from_a_kept_answer_too() -> None:
    async with served() as here:
        asked = [question(svc(name)) for name in ("web", "WEB", "wEb")]
        replies = await exchange(here.address, *asked)
        assert [reply[13:16] for reply in replies] == [b"web", b"WEB", b"wEb"]
        assert [str(dns.message.from_wire(reply).answer[0].name) for reply in replies] == [
            svc("web"), svc("WEB"), svc("wEb"),
        ]  # fmt: skip
        assert here.counted()["NOERROR", "kept"] == 2


async def test_answers_take_turns() -> None:
    async with served() as here:
        replies = await exchange(here.address, *(question(svc("db")) for _ in range(7)))
        first = [data_in(reply)[0] for reply in replies]
        assert sorted(set(first)) == ["127.244.0.1", "127.244.0.2", "127.244.0.3"]
        assert first[1:4] == first[4:7]


async def test_a_change_is_in_the_next_answer() -> None:
    async with served() as here:
        asked = question(svc("new")), question(svc("db-1.db")), question(svc("db"))
        before = [dns.message.from_wire(reply).rcode() for reply in await exchange(here.address, *asked)]
        assert before == [dns.rcode.NXDOMAIN, dns.rcode.NOERROR, dns.rcode.NOERROR]
        gone = [Record(svc("db-1.db"), "A", "127.244.0.1"), Record(svc("db"), "A", "127.244.0.1")]
        here.server.update(gone, [Record(svc("new"), "A", "127.96.0.77")])
        new, pod, service = await exchange(here.address, *asked)
        assert data_in(new) == ["127.96.0.77"]
        assert dns.message.from_wire(pod).rcode() == dns.rcode.NXDOMAIN
        assert sorted(data_in(service)) == ["127.244.0.2", "127.244.0.3"]


async def test_a_changed_zone_is_in_every_answer() -> None:
    async with served() as here:
        await exchange(here.address, question(svc("web")))
        here.server.update([ZONE], [Zone("cluster.local.", "ns.dns.cluster.local.", 7)])
        (reply,) = await exchange(here.address, question(svc("web")))
        assert dns.message.from_wire(reply).answer[0].ttl == 7


async def test_bad_messages_are_answered_or_dropped_and_do_no_harm() -> None:
    async with served() as here:
        asked = question(svc("web"))
        notify, short = asked[:2] + b"\x20" + asked[3:], asked[:5]
        (reply,) = await exchange(here.address, notify)
        assert dns.message.from_wire(reply).rcode() == dns.rcode.NOTIMP
        with pytest.raises(TimeoutError):
            await exchange(here.address, short, wait_s=0.02)
        assert data_in((await exchange(here.address, asked))[0]) == ["127.96.0.9"]
        assert here.registry.value(metrics.DNS_DROPPED).value == 1


async def test_a_truncated_answer_is_whole_on_tcp() -> None:
    async with served() as here:
        here.server.update((), [Record(svc("many"), "A", f"127.244.9.{at}") for at in range(200)])
        (short,) = await exchange(here.address, question(svc("many")))
        (whole,) = await over_tcp(here.address, question(svc("many")))
        assert short[2] & 0x02
        assert (len(data_in(short)) < 200, len(data_in(whole))) == (True, 200)


async def test_others_names_without_an_upstream_fail_and_are_not_kept() -> None:
    async with served() as here:
        (reply,) = await exchange(here.address, question("example.com."))
        assert dns.message.from_wire(reply).rcode() == dns.rcode.SERVFAIL
        assert here.counted() == {("SERVFAIL", "zone"): 1}


async def test_others_names_are_asked_of_the_upstream_and_aliases_are_completed() -> None:
    async with served() as there, served() as here:
        outer = Zone("example.com.", "ns.example.com.", 60)
        there.server.update((), [outer, Record("www.example.com.", "A", "192.0.2.1")])
        here.server.update((), [Zone(".", "ns.dns.cluster.local.", 30, (there.address,))])
        asked = question("www.example.com."), question(svc("outside")), question("nobody.example.com.")
        for replies in (await exchange(here.address, *asked), await over_tcp(here.address, *asked)):
            assert [data_in(reply) for reply in replies] == [["192.0.2.1"], ["www.example.com.", "192.0.2.1"], []]
            assert [dns.message.from_wire(reply).rcode() for reply in replies][2] == dns.rcode.NXDOMAIN
        assert here.counted() == {("NOERROR", "upstream"): 4, ("NXDOMAIN", "upstream"): 2}


async def test_an_alias_whose_rest_is_long_is_completed_over_tcp() -> None:
    async with served() as there, served() as here:
        many = [Record("www.example.com.", "A", f"192.0.2.{at}") for at in range(250)]
        more = [Record("www.example.com.", "A", f"198.51.100.{at}") for at in range(250)]
        there.server.update((), [Zone("example.com.", "ns.example.com.", 60), *many, *more])
        here.server.update((), [Zone(".", "ns.dns.cluster.local.", 30, (there.address,))])
        (reply,) = await over_tcp(here.address, question(svc("outside")))
        assert len(data_in(reply)) == 501


async def test_a_silent_upstream_is_a_failure_and_a_full_house_a_refusal() -> None:
    async with served(Forwarder(try_s=0.05, deadline_s=0.05, pending_max=1)) as here:
        silent, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        upstream = silent.get_extra_info("sockname")
        here.server.update((), [Zone(".", "ns.dns.cluster.local.", 30, (upstream,))])
        first = asyncio.ensure_future(exchange(here.address, question("a.example.")))
        await until(lambda: len(here.server.forwarder) == 1)
        (refused,) = await exchange(here.address, question("b.example."))
        assert dns.message.from_wire(refused).rcode() == dns.rcode.REFUSED
        assert dns.message.from_wire((await first)[0]).rcode() == dns.rcode.SERVFAIL
        silent.close()


async def test_many_questions_at_once_on_one_connection() -> None:
    async with served() as here:
        asked = [question(svc(f"db-{1 + at % 3}.db")) for at in range(300)]
        replies = await over_tcp(here.address, *asked)
        by_id = {reply[:2]: data_in(reply) for reply in replies}
        assert len(replies) == 300
        for at, message in enumerate(asked):
            assert by_id[message[:2]] == [f"127.244.0.{1 + at % 3}"] or sum(m[:2] == message[:2] for m in asked) > 1


async def test_a_question_in_single_bytes() -> None:
    async with served() as here:
        wire = await connect(here.address[1])
        for byte in framed(question(svc("web"))):
            wire.send(bytes((byte,)))
        assert data_in(await one(wire)) == ["127.96.0.9"]
        wire.close()


async def test_a_connection_that_makes_no_sense_is_closed() -> None:
    async with served() as here:
        wire = await connect(here.address[1])
        wire.send(framed(b"\x00\x01"))
        assert await wire.rest() == b""
        await until(lambda: not here.server.streams)


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "IDLE_S", 0.01)
    async with served() as here:
        wire = await connect(here.address[1])
        wire.send(framed(question(svc("web"))))
        assert data_in(await one(wire)) == ["127.96.0.9"]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await wire.exactly(1)
        await until(lambda: not here.server.streams)


async def test_a_connection_too_many_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "STREAMS_MAX", 1)
    async with served() as here:
        first = await connect(here.address[1])
        await until(lambda: len(here.server.streams) == 1)
        second = await connect(here.address[1])
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second.exactly(1)
        first.close()


async def test_questions_that_wait_for_an_upstream_hold_up_reading_not_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shell, "WAITING_MAX", 2)
    async with served(Forwarder(try_s=0.05, deadline_s=0.05)) as here:
        listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        upstream = listener.sockets[0].getsockname()[:2]
        here.server.update((), [Zone(".", "ns.dns.cluster.local.", 30, (upstream,))])
        replies = await over_tcp(here.address, *(question(f"n{at}.example.") for at in range(5)))
        assert [dns.message.from_wire(reply).rcode() for reply in replies] == [dns.rcode.SERVFAIL] * 5
        listener.close()


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def one(wire: Wire) -> bytes:
    return await wire.exactly(int.from_bytes(await wire.exactly(2), "big"))


async def over_tcp(address: tuple[str, int], *messages: bytes) -> list[bytes]:
    """All questions at once on one connection; the answers in the order of the questions, as far as ids tell."""
    wire = await connect(address[1])
    wire.send(b"".join(map(framed, messages)))
    replies = [await one(wire) for _ in messages]
    wire.close()
    order = {message[:2]: at for at, message in enumerate(messages)}
    return sorted(replies, key=lambda reply: order[reply[:2]])
