"""Ending a connection so that its other side sees that something is missing: by RST, where FIN would mean the end."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() resets


def reset(transport: asyncio.Transport) -> None:
    """Close with RST, whatever is still in buffers."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
