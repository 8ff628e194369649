"""Where names are answered, and who is asked about those that are not the cluster's: two looks at the machine."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

DNS_PORT = 53
FALLBACK_PORT = 1053  # CoreDNS' own habit where 53 is not to be had; above 1023, and not mDNS' 5353
RESOLV_CONF = Path("/etc/resolv.conf")
NAMESERVERS_MAX = 3  # MAXNS of resolv.conf(5): what the machine's own resolver looks at


def dns_port(address: str) -> int:
    """The port that can be opened there, UDP and TCP: 53 if this user may and nobody else has it, else another."""
    for port in (DNS_PORT, FALLBACK_PORT, 0):
        try:
            return _tried(address, port)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EADDRINUSE):
                raise
    raise AssertionError("some port is free")


def _tried(address: str, port: int) -> int:
    """Opens and closes it, without SO_REUSEPORT, so that another program's socket is noticed."""
    with ExitStack() as opened:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            sock = opened.enter_context(socket.socket(socket.AF_INET, kind))
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            port = sock.getsockname()[1]
    return port


def resolv_conf(path: Path = RESOLV_CONF) -> str:
    """What it says; nothing if there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def upstreams(own: str, path: Path = RESOLV_CONF) -> tuple[tuple[str, int], ...]:
    """The machine's resolvers but ourselves; none if it has none. Read once, as CoreDNS reads it."""
    words = [line.split() for line in resolv_conf(path).splitlines()]
    given = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple((each, DNS_PORT) for each in given[:NAMESERVERS_MAX] if each != own and _is_address(each))


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False
