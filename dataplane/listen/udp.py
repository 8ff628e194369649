"""A UDP socket that is open: whoever serves it is called when datagrams wait.

There is nothing to accept on UDP. The server reads and answers on the socket itself, a bounded number of datagrams per
wake-up, so that a flood takes turns with everything else in the worker; what is not read stays in the kernel's buffer
(net.core.rmem_default) and is dropped there when it is full, as UDP has it. A socket may be connected to by every
client at once, so no error on it concerns more than one datagram.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

Receive = Callable[[socket.socket], Callable[[], None]]
"""A socket -> what to call when it is readable. The socket is non-blocking and its owner's to close."""


class Receiver:
    """Watches one UDP socket until closed."""

    def __init__(self, name: str, sock: socket.socket, receive: Receive) -> None:
        self.name = name
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, receive(sock))

    def __repr__(self) -> str:
        return f"Receiver({self.name}: {'closed' if self.is_closed else 'open'})"

    @property
    def is_closed(self) -> bool:
        return self.sock.fileno() < 0

    def close(self) -> None:
        """Stop receiving; what waits in the kernel's buffer is lost, as a datagram may be."""
        if not self.is_closed:
            self._loop.remove_reader(self.sock)
            self.sock.close()
