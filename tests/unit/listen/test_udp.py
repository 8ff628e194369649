"""UDP sockets: shared by workers, watched until closed, one address with their TCP twin."""

from __future__ import annotations

import asyncio
import socket

import pytest

from dataplane.listen.accept import Gate, Service
from dataplane.listen.sockets import ListenError, open_datagram_socket, open_socket
from dataplane.listen.tcp import Listeners
from dataplane.listen.udp import Reader, Receiver
from dataplane.metrics import names
from dataplane.metrics.exposition import exposition
from dataplane.metrics.registry import Registry
from dataplane.snapshot.model import Listener
from tests.fakes.sockets import is_refused, until, unused_port


class Heard:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.closed: list[str] = []

    def receive(self, listener: Listener, sock: socket.socket) -> Reader:
        return Reader(lambda: self.datagrams.append(sock.recv(100)), lambda: self.closed.append(listener.name))


def send(port: int, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, ("127.0.0.1", port))


async def test_workers_share_an_address_and_one_that_closes_leaves_it_to_the_others() -> None:
    heard, dns = Heard(), Listener("dns", "127.0.0.1", 53, "dns")
    one = Receiver(dns, open_datagram_socket("127.0.0.1", 0), heard.receive)
    port = one.sock.getsockname()[1]
    other = Receiver(dns, open_datagram_socket("127.0.0.1", port), heard.receive)
    assert not other.sock.get_inheritable()
    one.close()
    one.close()
    assert repr(one) == "Receiver(dns: closed)"
    assert heard.closed == ["dns"]
    send(port, b"a")
    await until(lambda: heard.datagrams == [b"a"])
    other.close()


def test_what_cannot_be_opened_says_why() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ListenError, match="in use by another program") as caught:
            open_datagram_socket("127.0.0.1", taken.getsockname()[1])
    assert caught.value.reason == "port-taken"


def listeners(heard: Heard, registry: Registry) -> Listeners:
    return Listeners(lambda listener: Service(lambda client: asyncio.Protocol()), Gate(registry), receive=heard.receive)


def opened(registry: Registry) -> float:
    exposition(registry)
    return registry.value(names.LISTENERS, "open").value


async def test_a_dns_listener_has_both_and_closes_both() -> None:
    heard, dns = Heard(), Listener("dns", "127.0.0.1", unused_port(), "dns")
    made = listeners(heard, Registry())
    made.reconcile([dns], [])
    send(dns.port, b"q")
    await until(lambda: heard.datagrams == [b"q"])
    assert not await is_refused(dns.port)
    made.reconcile([], [dns])
    assert await is_refused(dns.port)
    open_socket("127.0.0.1", dns.port).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("127.0.0.1", dns.port))  # fails while anybody without SO_REUSEPORT's twin holds it


async def test_one_without_the_other_is_none_and_tried_again() -> None:
    heard, registry, dns = Heard(), Registry(), Listener("dns", "127.0.0.1", unused_port(), "dns")
    made = listeners(heard, registry)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", dns.port))
        made.reconcile([dns], [])
        assert "in use" in made.states[0].error
        assert await is_refused(dns.port)
        assert registry.value(names.LISTEN_FAILURES, "dns", "port-taken").value == 1
    made._on_retry()
    assert made.states[0].error == ""
    made.close()


async def test_a_udp_listener_has_no_tcp_port_and_none_is_given() -> None:
    heard, registry, udp = Heard(), Registry(), Listener("u", "127.0.0.1", unused_port(), "udp", "app")
    made = listeners(heard, registry)
    made.reconcile([udp], [])
    send(udp.port, b"d")
    await until(lambda: heard.datagrams == [b"d"])
    assert await is_refused(udp.port)
    assert (repr(made), opened(registry)) == ("Listeners(1 open, 0 failed)", 1)
    made.reconcile([], [udp])
    assert (heard.closed, opened(registry)) == (["u"], 0)
