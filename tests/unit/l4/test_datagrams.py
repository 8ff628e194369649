"""Flows of datagrams: one endpoint each, ended by silence, by their endpoint's end or for want of room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

from dataplane.l4 import datagrams
from dataplane.l4.datagrams import Datagrams
from dataplane.l4.relay import Route
from dataplane.metrics.flows import Flow, FlowFields
from dataplane.snapshot import model
from dataplane.table import Backend, Table
from tests.fakes.contract import endpoint, full, partial
from tests.fakes.sockets import WAIT_S, until


class Udp:
    """A UDP socket of a test's."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self._heard: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.sock, lambda: self._heard.put_nowait(self.sock.recvfrom(100)))

    async def heard(self) -> tuple[bytes, Any]:
        async with asyncio.timeout(WAIT_S):
            return await self._heard.get()

    def close(self) -> None:
        if self.sock.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()

    def say(self, data: bytes, port: int) -> None:
        self.sock.sendto(data, ("127.0.0.1", port))


class Setting:
    """A listener's socket in front of two endpoints, and a clock."""

    def __init__(self, flows_max: int) -> None:
        self.now = 1000.0
        self.records: list[FlowFields] = []
        self.origins = [Udp(), Udp()]
        self.table = Table(lambda: 0.0)
        spec = model.Backend("app", policy="round-robin")
        self.table.apply(full(spec, *(endpoint(f"e{n}", port=one.port) for n, one in enumerate(self.origins))))
        backend = self.table.backend("app")
        assert backend is not None
        self.backend: Backend = backend
        self.flows = Datagrams(self.records.append, lambda: self.now, lambda: 0.0, flows_max)
        self.front = Udp()
        route = Route("udp", self.backend)
        reader = self.flows.receive(lambda client: (route, self.backend.pick), self.front.sock)
        asyncio.get_running_loop().add_reader(self.front.sock, reader)
        self.clients: list[Udp] = []
        for one in self.origins:
            one.listen()

    def client(self) -> Udp:
        self.clients.append(Udp())
        self.clients[-1].listen()
        return self.clients[-1]

    async def first_of(self, client: Udp, origin: int, text: bytes = b"hello") -> Any:
        """A client's datagram, heard by this endpoint: where it came from."""
        client.say(text, self.front.port)
        data, via = await self.origins[origin].heard()
        assert data == text
        return via

    def sweep(self, after_s: float) -> None:
        self.now += after_s
        self.flows._on_sweep()

    @property
    def ended(self) -> list[Flow]:
        return [Flow(0, *record) for record in self.records]


@contextlib.asynccontextmanager
async def setting(flows_max: int = 100) -> AsyncIterator[Setting]:
    made = Setting(flows_max)
    yield made
    made.flows.close()
    assert all(one.active == 0 for one in made.backend.endpoints.values())
    for each in (made.front, *made.origins, *made.clients):
        each.close()


async def test_a_flow_keeps_its_endpoint_and_answers_find_back() -> None:
    async with setting() as made:
        client, other = made.client(), made.client()
        via = await made.first_of(client, 0)
        await made.first_of(other, 1)
        assert via == await made.first_of(client, 0, b"again")
        made.origins[0].sock.sendto(b"answer", via)
        assert await client.heard() == (b"answer", ("127.0.0.1", made.front.port))
        assert (len(made.flows), made.backend.endpoints["e0"].active) == (2, 1)
        assert repr(made.flows) == "Datagrams(2 flows, 0 dropped)"


async def test_silence_ends_a_flow_sooner_when_nothing_ever_came_back() -> None:
    async with setting() as made:
        answered, unanswered = made.client(), made.client()
        via = await made.first_of(answered, 0)
        await made.first_of(unanswered, 1)
        made.origins[0].sock.sendto(b"yes", via)
        await answered.heard()
        made.sweep(datagrams.UNREPLIED_S - 1)
        assert made.ended == []
        made.sweep(1)
        (flow,) = made.ended
        assert (flow.endpoint, flow.outcome, flow.bytes_in, flow.bytes_out) == ("e1", "timeout", 5, 0)
        made.sweep(datagrams.REPLIED_S)
        assert [(flow.endpoint, flow.outcome, flow.bytes_out) for flow in made.ended[1:]] == [("e0", "ok", 3)]
        assert len(made.flows) == 0


async def test_an_endpoint_that_leaves_takes_its_flows_with_it() -> None:
    async with setting() as made:
        client = made.client()
        await made.first_of(client, 0)
        changes = made.table.apply(partial(version=2, removes=(("endpoint", "app|e0"),)))
        made.flows.endpoints_changed((*changes.removed, *changes.changed))
        assert [(flow.outcome, flow.phase_at_end) for flow in made.ended] == [("reset", "removed")]
        await made.first_of(client, 1, b"to the other")


async def test_one_that_is_only_terminating_keeps_them() -> None:
    async with setting() as made:
        await made.first_of(made.client(), 0)
        leaving = endpoint("e0", port=made.origins[0].port, ready=False, serving=True, terminating=True)
        changes = made.table.apply(partial(leaving, version=2))
        made.flows.endpoints_changed(changes.changed)
        assert made.ended == []


async def test_the_oldest_flow_makes_room() -> None:
    async with setting(flows_max=2) as made:
        one, two, three = made.client(), made.client(), made.client()
        await made.first_of(one, 0)
        await made.first_of(two, 1)
        await made.first_of(one, 0)  # so it is not the oldest any more
        await made.first_of(three, 0)
        assert [(flow.endpoint, flow.outcome) for flow in made.ended] == [("e1", "overload")]
        assert len(made.flows) == 2


async def test_without_an_endpoint_a_datagram_is_dropped_and_counted() -> None:
    async with setting() as made:
        made.table.apply(full(model.Backend("app"), version=2))
        made.client().say(b"x", made.front.port)
        await until(lambda: made.flows.dropped == 1)
        assert len(made.flows) == 0


async def test_an_endpoint_where_nobody_listens_is_noticed() -> None:
    async with setting() as made:
        made.origins[0].close()
        client = made.client()
        client.say(b"1", made.front.port)
        await until(lambda: made.backend.endpoints["e0"].failed)
        assert len(made.flows) == 1, "conntrack keeps the entry too"


async def test_a_listener_that_closes_ends_its_flows() -> None:
    async with setting() as made:
        await made.first_of(made.client(), 0)
        made.flows.closed(made.front.sock)
        assert len(made.ended) == 1
        assert len(made.flows) == 0
