"""The one place where a server's socket comes into being: opened at an address, or taken over as a descriptor.

SO_REUSEPORT lets every worker listen on the same address with a queue of its own; the kernel spreads connections over
the queues by a hash of the four-tuple. SO_REUSEADDR lets a restarted worker listen while connections of its
predecessor are in TIME_WAIT. TCP_NODELAY is inherited by accepted sockets on Linux: a proxy writes whole messages, and
waiting for more bytes only adds the peer's delayed-ACK time. The socket is non-blocking and close-on-exec.

Session affinity is a memory, and each worker has its own: spread by four-tuple, one client would be remembered by
several workers, each differently. So the kernel is told to choose the queue of such a listener by the client's
address alone: three instructions of classic BPF, "source address modulo the number of workers"
(SO_ATTACH_REUSEPORT_CBPF, no privilege needed). The result is the queue's place in the order of opening; a worker that
is killed takes its memory with it, and its successor comes last in that order.

What the operating system says is translated here, once, into what a person can act upon.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from typing import Literal

BACKLOG = 4096  # the kernel takes the smaller of this and net.core.somaxconn, 4096 since Linux 5.4

SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h; the socket module does not know it
LOAD_WORD, MODULO, RETURN_A = 0x20, 0x94, 0x16  # BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_MOD|BPF_K, BPF_RET|BPF_A
SOURCE_ADDRESS = (-0x100000 + 12) & 0xFFFFFFFF  # SKF_NET_OFF and the offset of `saddr` in an IPv4 header

Reason = Literal["port-taken", "permission", "address", "descriptor", "other"]


class ListenError(Exception):
    """A socket that could not be had: `reason` is for metrics, the text for people."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def open_socket(address: str, port: int, *, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket at the address; port 0 lets the kernel choose."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # "::" would also take IPv4's port
        sock.bind((address, port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _translated(error, address, port) from None
    return sock


def open_datagram_socket(address: str, port: int) -> socket.socket:
    """A UDP socket at the address, beside those of the other workers; port 0 lets the kernel choose."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise _translated(error, address, port) from None
    return sock


def steer_by_client(sock: socket.socket, workers: int) -> None:
    """All connections of one IPv4 client to this address go to the same one of its `workers` sockets.

    Raises OSError where the kernel cannot.
    """
    steps = ((LOAD_WORD, SOURCE_ADDRESS), (MODULO, workers), (RETURN_A, 0))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", step, 0, 0, value) for step, value in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def adopt(descriptor: int) -> socket.socket:
    """A socket of our own on a listening socket that was opened by somebody else and inherited.

    It is a duplicate: closing it neither closes the original nor drops what waits in its queue, so a listener can be
    closed and opened again.
    """
    try:
        sock = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise ListenError("descriptor", f"descriptor {descriptor}: {error.strerror}") from None
    with contextlib.suppress(OSError):
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.setblocking(False)
            os.set_inheritable(sock.fileno(), False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    sock.close()
    raise ListenError("descriptor", f"descriptor {descriptor} is no listening TCP socket")


def _translated(error: OSError, address: str, port: int) -> ListenError:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ListenError("port-taken", f"{where} is in use by another program; stop it or choose another port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ListenError(
            "permission",
            f"{where}: no permission; ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return ListenError("address", f"{where}: this machine has no such address")
    return ListenError("other", f"{where}: {error.strerror or error}")
