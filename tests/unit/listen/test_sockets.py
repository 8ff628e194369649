"""Sockets opened and taken over, and what is said when they cannot be had."""

from __future__ import annotations

import os
import select
import socket

import pytest

from dataplane.listen.sockets import ListenError, adopt, open_socket, steer_by_client


def test_workers_share_an_address() -> None:
    with open_socket("127.0.0.1", 0) as one, open_socket("127.0.0.1", one.getsockname()[1]) as other:
        assert one.getsockname() == other.getsockname()
        assert not one.getblocking()
        assert not one.get_inheritable()
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_is_steered_to_one_of_the_sockets() -> None:
    with open_socket("127.0.0.1", 0) as one, open_socket("127.0.0.1", one.getsockname()[1]) as other:
        for sock in (one, other):
            steer_by_client(sock, 2)
        found: dict[int, list[int]] = {}
        for last in range(2, 6):
            for _ in range(8):  # spread by ports, 32 connections would follow their clients once in 1e8 runs
                with socket.create_connection(one.getsockname(), source_address=(f"127.0.0.{last}", 0)):
                    found.setdefault(last, []).append(where_accepted(one, other))
    assert found == {last: [last % 2] * 8 for last in range(2, 6)}


def where_accepted(*sockets: socket.socket) -> int:
    """Which of the sockets has a connection waiting."""
    readable, _, _ = select.select(sockets, (), (), 5)
    (which,) = [index for index, sock in enumerate(sockets) if sock in readable]
    sockets[which].accept()[0].close()
    return which


def test_any_address_of_127_8_will_do() -> None:
    with open_socket("127.96.3.4", 0) as sock:
        assert sock.getsockname()[0] == "127.96.3.4"


def test_a_port_of_another_program_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port} is in use by another program") as error:
            open_socket("127.0.0.1", port)
    assert error.value.reason == "port-taken"


def test_an_address_of_another_machine_cannot_be_had() -> None:
    with pytest.raises(ListenError, match="no such address") as error:
        open_socket("192.0.2.1", 0)
    assert error.value.reason == "address"


def test_permission_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dataplane.listen.sockets.socket.socket.bind", denied, raising=False)
    with pytest.raises(ListenError, match="CAP_NET_BIND_SERVICE") as error:
        open_socket("127.0.0.1", 80)
    assert error.value.reason == "permission"


def test_a_socket_is_taken_over_as_a_duplicate() -> None:
    with open_socket("127.0.0.1", 0) as original:
        with adopt(original.fileno()) as taken:
            assert taken.getsockname() == original.getsockname()
            assert taken.fileno() != original.fileno()
            assert not taken.getblocking()
        with socket.create_connection(original.getsockname()):
            accepted, _ = original.accept()  # closing the duplicate did not close the queue
            accepted.close()


def test_what_is_no_listening_socket_is_not_taken_over() -> None:
    with socket.socket() as sock, pytest.raises(ListenError, match="is no listening TCP socket"):
        adopt(sock.fileno())
    read, write = os.pipe()
    try:
        with pytest.raises(ListenError):
            adopt(read)
    finally:
        os.close(read)
        os.close(write)
    with pytest.raises(ListenError, match="descriptor 9999") as error:
        adopt(9999)
    assert error.value.reason == "descriptor"
