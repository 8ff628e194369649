"""A publisher for measurements: tells one worker its state over a unix socket, as loopkube's own does.

The contract is the documented one (`dataplane/snapshot`): each message is a 4-byte big-endian length and one JSON
object. An update holds pairs of type and fields; the worker answers each with an ack or says why not.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Upsert = tuple[str, dict[str, Any]]
"""(type, fields)"""

Key = tuple[str, str]
"""(type, name)"""

LENGTH_BYTES = 4
WORKER_MAX_S = 60.0


class Refused(Exception):
    """The worker's own words."""


def frame(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def update(version: int, upserts: Iterable[Upsert] = (), removes: Iterable[Key] = (), *, full: bool = False) -> bytes:
    """One update, ready for the socket; it says that its cause is this moment."""
    now = time.time()
    fields = {"version": version, "full": full, "upserts": list(upserts), "removes": list(removes)}
    return frame({"update": {**fields, "triggered_at": now, "published_at": now}})


class Publisher:
    """Listens at `path` from the beginning; `accept` waits for the worker, `tell` for its answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0
        self._worker: socket.socket | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.settimeout(WORKER_MAX_S)
        self._server.bind(str(path))
        self._server.listen()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()
        if self._worker is not None:
            self._worker.close()

    def accept(self) -> None:
        self._worker, _ = self._server.accept()
        self._worker.settimeout(WORKER_MAX_S)

    def tell(self, upserts: Iterable[Upsert] = (), removes: Iterable[Key] = (), *, full: bool = False) -> int:
        """Sends one update and waits until it is in force; its version. Raises Refused."""
        assert self._worker is not None, "accept first"
        self._version += 1
        self._worker.sendall(update(self._version, upserts, removes, full=full))
        length = int.from_bytes(self._read(self._worker, LENGTH_BYTES), "big")
        answer = json.loads(self._read(self._worker, length))
        if "ack" not in answer:
            raise Refused(answer["nack"]["error"])
        return self._version

    def _read(self, worker: socket.socket, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = worker.recv(size - len(found))
            if not data:
                raise Refused("the worker hung up")
            found += data
        return found
