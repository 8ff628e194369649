"""A UDP socket that is open: whoever serves it is called when datagrams wait, and told when it closes.

There is nothing to accept on UDP. The server reads and answers on the socket itself, a bounded number of datagrams per
wake-up, so that a flood takes turns with everything else in the worker; what is not read stays in the kernel's buffer
(net.core.rmem_default) and is dropped there when it is full, as UDP has it. A socket may be connected to by every
client at once, so no error on it concerns more than one datagram.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from dataplane.snapshot.model import Listener


@dataclass(frozen=True, slots=True)
class Reader:
    """What to call when a socket is readable, and before it is closed."""

    on_readable: Callable[[], None]
    on_close: Callable[[], None] = lambda: None


Receive = Callable[[Listener, socket.socket], Reader]
"""A listener and its socket -> who reads it. The socket is non-blocking and its owner's to close."""


class Receiver:
    """Watches one UDP socket until closed."""

    def __init__(self, listener: Listener, sock: socket.socket, receive: Receive) -> None:
        self.name = listener.name
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._reader = receive(listener, sock)
        self._loop.add_reader(sock, self._reader.on_readable)

    def __repr__(self) -> str:
        return f"Receiver({self.name}: {'closed' if self.is_closed else 'open'})"

    @property
    def is_closed(self) -> bool:
        return self.sock.fileno() < 0

    def close(self) -> None:
        """Stop receiving; what waits in the kernel's buffer is lost, as a datagram may be."""
        if not self.is_closed:
            self._reader.on_close()
            self._loop.remove_reader(self.sock)
            self.sock.close()
