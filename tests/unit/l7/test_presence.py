"""The kernel's word on who still holds a connection. Needs NETLINK_SOCK_DIAG, which every Linux has."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dataplane.l7.presence import inode_of, is_gone


class Transport:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def get_extra_info(self, name: str) -> object:
        return self.sock.getpeername() if name == "peername" else self.sock.getsockname()


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        try:
            listening.bind((request.param, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        listening.listen()
        with socket.create_connection(listening.getsockname()[:2]) as client:
            server, _ = listening.accept()
            with server:
                yield client, server


def test_half_closed_is_present_and_closed_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    assert not is_gone(Transport(server))
    client.shutdown(socket.SHUT_WR)
    assert not is_gone(Transport(server))
    transport = Transport(server)
    client.close()
    assert is_gone(transport)


def test_what_is_not_known_is_not_gone() -> None:
    assert inode_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None

    class Unix:
        def get_extra_info(self, name: str) -> object:
            return ""

    assert not is_gone(Unix())
