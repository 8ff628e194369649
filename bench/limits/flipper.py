"""A pod for `change_path`: ready when told, and it knows when it said so and when the first request came.

    python -m bench.limits.flipper        listens on $POD_IP:8080

`GET /readyz` is the probe; `POST /ready` and `POST /unready` flip; `GET /times` answers JSON: `said_ready` (Unix time
of the first positive probe answer after the flip) and `first_request` (of the first other request after that); null
if not yet.
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
        self.said_ready: float | None = None
        self.first_request: float | None = None

    def answer(self, method: str, path: str) -> tuple[int, str]:
        now = time.time()
        if path == "/readyz":
            if self.ready and self.said_ready is None:
                self.said_ready = now
            return (200, "ok") if self.ready else (503, "not ready")
        if method == "POST" and path in ("/ready", "/unready"):
            self.ready = path == "/ready"
            self.said_ready = self.first_request = None
            return 200, "ok"
        if path == "/times":
            return 200, json.dumps({"said_ready": self.said_ready, "first_request": self.first_request})
        if self.said_ready is not None and self.first_request is None:
            self.first_request = now
        return 200, "ok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.decode("latin-1").split(" ", 2)
                status, body = self.answer(method, path)
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        writer.close()


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.start_server(Flipper().serve, os.environ["POD_IP"], PORT)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
