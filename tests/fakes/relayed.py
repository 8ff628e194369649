"""A relay in front of scripted endpoints, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from dataplane.l4.relay import Relays, Route
from dataplane.metrics.flows import Flow, FlowFields
from dataplane.snapshot import model
from dataplane.table import Backend, Table
from tests.fakes.contract import endpoint, full
from tests.fakes.sockets import Origin, Wire, connect, until


@dataclass
class Relayed:
    """What a test holds of it."""

    relays: Relays
    backend: Backend
    table: Table
    port: int
    records: list[FlowFields] = field(default_factory=list)

    async def client(self, **more: int) -> Wire:
        return await connect(self.port, **more)  # type: ignore[arg-type]

    async def flow(self) -> Flow:
        """The one record that there is, once there is one."""
        await until(lambda: self.records)
        assert len(self.records) == 1
        return Flow(0, *self.records[0])

    async def is_settled(self) -> bool:
        """All connections are forgotten and all leases given back."""
        await until(lambda: not len(self.relays))
        return all(item.active == 0 for item in self.backend.endpoints.values())


@contextlib.asynccontextmanager
async def relayed(*origins: Origin | int, **spec: object) -> AsyncIterator[Relayed]:
    """A relay whose backend has these endpoints (a number is a port), in this order."""
    ports = [item if isinstance(item, int) else item.port for item in origins]
    table = Table(lambda: 0.0)  # round-robin begins at the first
    settings = {"policy": "round-robin", **spec}
    table.apply(
        full(
            model.Backend("app", **settings),  # type: ignore[arg-type]
            *(endpoint(f"e{number}", port=port, target=f"default/e{number}") for number, port in enumerate(ports)),
        )
    )
    backend = table.backend("app")
    assert backend is not None
    records: list[FlowFields] = []
    relays = Relays(records.append, time.monotonic, time.time)
    route = Route("tcp", backend)
    server = await asyncio.get_running_loop().create_server(
        lambda: relays.protocol(route, backend.pick), "127.0.0.1", 0
    )
    try:
        yield Relayed(relays, backend, table, server.sockets[0].getsockname()[1], records)
    finally:
        server.close()
        relays.abort()
        await until(lambda: not len(relays))


def payload(size: int) -> bytes:
    return random.Random(size).randbytes(size)
