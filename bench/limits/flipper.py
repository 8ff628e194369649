"""A pod for `change_path`: ready when told, and it knows when it said so and when the first request came.

    python flipper.py        listens on $POD_IP:8080

`GET /readyz` is the probe; `POST /ready` and `POST /unready` flip; `GET /times` answers JSON of Unix times since the
flip, null if not yet: `flipped`, `said_ready` (the first positive probe answer), `probe_closed` (the prober, which
hangs up when it has read that answer, did so) and `first_request` (the first other request after it).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

PORT = 8080


class Flipper:
    """The state, and the handler of one connection."""

    def __init__(self) -> None:
        self.ready = False
        self._flip(False)

    def _flip(self, ready: bool) -> None:
        self.ready = ready
        self.flipped = time.time()
        self.said_ready: float | None = None
        self.probe_closed: float | None = None
        self.first_request: float | None = None

    def answer(self, method: str, path: str) -> tuple[int, str]:
        now = time.time()
        if path == "/readyz":
            if self.ready and self.said_ready is None:
                self.said_ready = now
            return (200, "ok") if self.ready else (503, "not ready")
        if method == "POST" and path in ("/ready", "/unready"):
            self._flip(path == "/ready")
            return 200, "ok"
        if path == "/times":
            names = ("flipped", "said_ready", "probe_closed", "first_request")
            return 200, json.dumps({name: getattr(self, name) for name in names})
        if self.said_ready is not None and self.first_request is None:
            self.first_request = now
        return 200, "ok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said_ready: float | None = None  # by this connection: then it is a prober's
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.decode("latin-1").split(" ", 2)
                before = self.said_ready
                status, body = self.answer(method, path)
                if before is None:
                    said_ready = self.said_ready
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        if said_ready is not None and said_ready == self.said_ready:
            self.probe_closed = time.time()
        writer.close()


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.start_server(Flipper().serve, os.environ["POD_IP"], PORT)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
