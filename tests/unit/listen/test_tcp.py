"""The set of listeners follows the table."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from typing import Any

import pytest

from dataplane.listen import tcp
from dataplane.listen.accept import Gate, Service
from dataplane.listen.sockets import open_socket
from dataplane.listen.tcp import Listeners
from dataplane.metrics import names
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Listener
from tests.fakes.sockets import connect, is_refused, until, unused_port


class Says(asyncio.Protocol):
    def __init__(self, text: str) -> None:
        self.text = text

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.text.encode())  # type: ignore[attr-defined]


def listeners(registry: Registry | None = None, **inherited: int) -> Listeners:
    """Listeners that say their backend."""
    gate = Gate(registry or Registry())
    return Listeners(lambda listener: Service(lambda client: Says(listener.backend)), gate, inherited)


def listener(name: str = "web", backend: str = "app") -> Listener:
    return Listener(name, "127.0.0.1", unused_port(), "tcp", backend)


async def heard(port: int) -> bytes:
    wire = await connect(port)
    try:
        return await wire.exactly(3)
    finally:
        wire.close()


async def test_listeners_open_and_close() -> None:
    open_ones, web, other = listeners(), listener(), listener("other", "xyz")
    open_ones.reconcile([web, other], [])
    assert await heard(web.port) == b"app"
    assert await heard(other.port) == b"xyz"
    assert open_ones.port("web") == web.port
    open_ones.reconcile([], [web])
    assert await is_refused(web.port)
    assert await heard(other.port) == b"xyz"
    assert [state.listener for state in open_ones.states] == [other]
    open_ones.close()
    assert await is_refused(other.port)
    assert open_ones.states == ()


async def test_a_listener_that_changed_serves_new_clients_in_the_new_way() -> None:
    open_ones, web = listeners(), listener()
    open_ones.reconcile([web], [])
    changed = replace(web, backend="new")
    open_ones.reconcile([changed], [web])
    assert await heard(web.port) == b"new"
    open_ones.close()


async def test_a_taken_port_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tcp, "REOPEN_S", 0.001)
    registry = Registry()
    open_ones, web = listeners(registry), listener()
    failures = registry.value(names.LISTEN_FAILURES, "web", "port-taken")
    with socket.socket() as other, caplog.at_level(logging.WARNING):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", web.port))
        other.listen()
        open_ones.reconcile([web], [])
        (state,) = open_ones.states
        assert "in use by another program" in state.error
        await until(lambda: failures.value >= 3)
        assert len(caplog.records) == 1
        assert [child.value for child in dict(registry.read())[names.LISTENERS].values()] == [0, 1]  # type: ignore[union-attr]
    await until(lambda: not open_ones.states[0].error)
    assert await heard(web.port) == b"app"
    open_ones.close()


async def test_a_failed_listener_that_is_not_wanted_any_more_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "REOPEN_S", 0.001)
    registry = Registry()
    open_ones, web = listeners(registry), replace(listener(), address="192.0.2.1")
    open_ones.reconcile([web], [])
    open_ones.reconcile([], [web])
    assert open_ones.states == ()
    assert open_ones._retry is not None
    await until(lambda: open_ones._retry is None)
    assert registry.value(names.LISTEN_FAILURES, "web", "address").value == 1


async def test_a_socket_that_was_handed_over_is_used_and_survives_closing(caplog: pytest.LogCaptureFixture) -> None:
    with open_socket("127.0.0.1", 0) as handed:
        port = handed.getsockname()[1]
        open_ones = listeners(web=handed.fileno())
        web = replace(listener(), port=port)
        open_ones.reconcile([web], [])
        assert await heard(port) == b"app"
        open_ones.reconcile([], [web])
        waiting = await connect(port)  # the queue is still there
        open_ones.reconcile([web], [])
        assert await waiting.exactly(3) == b"app"
        waiting.close()
        assert open_ones.states[0].is_inherited
        assert not caplog.records
        open_ones.reconcile([replace(web, port=1)], [web])
        assert "the socket handed over is at 127.0.0.1" in caplog.text
        open_ones.close()


async def test_a_descriptor_that_is_no_socket_is_a_failed_listener() -> None:
    open_ones: Any = listeners(web=9999)
    open_ones.reconcile([listener()], [])
    assert "descriptor 9999" in open_ones.states[0].error
    open_ones.close()
