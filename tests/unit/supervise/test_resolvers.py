"""Where names are answered, and who is asked about others'."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from control.supervise import resolvers
from control.supervise.resolvers import dns_port, upstreams

ADDRESS = "127.99.0.10"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((ADDRESS, 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_somebody_has_on_either_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, kind: socket.SocketKind
) -> None:
    first, second = free_port(), free_port()
    monkeypatch.setattr(resolvers, "DNS_PORT", first)
    monkeypatch.setattr(resolvers, "FALLBACK_PORT", second)
    assert dns_port(ADDRESS) == first
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((ADDRESS, first))
        assert dns_port(ADDRESS) == second
        with socket.socket(socket.AF_INET, kind) as too:
            too.bind((ADDRESS, second))
            assert dns_port(ADDRESS) not in (0, first, second)


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        dns_port("192.0.2.1")


def test_the_machines_resolvers_but_ourselves(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert upstreams(ADDRESS, file) == ()
    file.write_text(
        f"# nameserver 10.0.0.9\nsearch x\nnameserver\nnameserver {ADDRESS}\nnameserver  10.0.0.1 \nnameserver ::1\n"
    )
    assert upstreams(ADDRESS, file) == (("10.0.0.1", 53), ("::1", 53))
    file.write_text("nameserver localhost\nnameserver fe80::1%eth0\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n")
    assert upstreams(ADDRESS, file) == (("10.0.0.2", 53),)  # the fourth is not looked at
