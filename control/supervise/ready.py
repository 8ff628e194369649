"""How a part tells the supervisor that something of it is ready: a line on the descriptor it was given."""

from __future__ import annotations

import contextlib
import os


class ReadyPipe:
    """`say("API server")`; without a descriptor (a part started by hand) nothing is said."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def say(self, what: str) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._fd, what.encode() + b"\n")
