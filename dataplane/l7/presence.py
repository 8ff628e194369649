"""Whether a client that has ended its side of a connection is still there to read the answer.

On the wire `shutdown(SHUT_WR)` and `close()` are the same FIN, and only the next byte that we send tells the
difference. But clients of loopkube are mostly on this machine, and its kernel knows: it is asked, for exactly one
connection, over NETLINK_SOCK_DIAG, whether a process still holds the client's end (its inode is not 0). Without an
answer (another machine, another network namespace, a locked-down container) the client counts as present, since then
the worst is an answer that nobody reads.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import Any

log = logging.getLogger(__name__)

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG, linux/netlink.h
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, linux/sock_diag.h
_REQUEST = 1  # NLM_F_REQUEST
_ALL_STATES = 0xFFFFFFFF
_ERROR = 2  # NLMSG_ERROR
_INODE_AT = 16 + 4 + 48 + 16  # nlmsghdr, state etc., sockid, expires to wqueue and uid of inet_diag_msg


def is_gone(transport: Any) -> bool:
    """Whether the kernel knows for sure that nobody holds the other end of this TCP connection."""
    peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer or not local or not isinstance(peer, tuple):
        return False
    try:
        return inode_of(peer[:2], local[:2]) == 0
    except OSError as error:
        log.debug("no word from NETLINK_SOCK_DIAG: %s", error)
        return False


def inode_of(end: tuple[str, int], other: tuple[str, int]) -> int | None:
    """Inode of the TCP socket whose address is `end` and whose peer is `other`; 0 if closed, None if unknown."""
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    sockid = b"".join(
        (
            struct.pack("!HH", end[1], other[1]),
            socket.inet_pton(family, end[0]).ljust(16, b"\0"),
            socket.inet_pton(family, other[0]).ljust(16, b"\0"),
            struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF),  # any interface, no cookie
        )
    )
    body = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, _ALL_STATES) + sockid
    message = struct.pack("=IHHII", 16 + len(body), _BY_FAMILY, _REQUEST, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _SOCK_DIAG) as netlink:
        netlink.send(message)
        answer = netlink.recv(4096)  # the kernel answers within send()
    if len(answer) < _INODE_AT + 4 or struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        return None
    inode: int = struct.unpack_from("=I", answer, _INODE_AT)[0]
    return inode
