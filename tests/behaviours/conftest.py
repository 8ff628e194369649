"""Every behaviour twice: as the bytes come, and with each byte as a read of its own, on both sides of the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

from dataplane.l7.downstream import Downstream
from dataplane.l7.upstream import Upstream


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    paces = ["whole"] if metafunc.definition.get_closest_marker("large") else ["whole", "bytewise"]
    metafunc.parametrize("pace", paces, indirect=True)


@pytest.fixture(autouse=True)
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bytewise":
        for side in (Downstream, Upstream):
            monkeypatch.setattr(side, "data_received", _by_bytes(side.data_received))
    pace: str = request.param
    return pace


def _by_bytes(receive: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
    def data_received(self: Any, data: bytes) -> None:
        for at in range(len(data)):
            protocol = self.transport.get_protocol()
            if protocol is not self:  # a tunnel by now
                protocol.data_received(data[at:])
                return
            if self.transport.is_closing():
                return
            receive(self, data[at : at + 1])

    return data_received
