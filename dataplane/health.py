"""A node's health check port (Service healthCheckNodePort): tells load balancers whether the node has endpoints.

kube-proxy's answer for a Service with externalTrafficPolicy Local: 200 while the node has a ready endpoint of it, else
503, with the number in the body and in X-Load-Balancing-Endpoint-Weight. Terminating endpoints do not count (KEP-1669):
a node that only has those still serves what comes, but must not be given more. Any path, GET or HEAD, one answer a
connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

HEAD_MAX = 8 * 1024
REQUEST_TIMEOUT_S = 5.0
REASONS = {200: "OK", 400: "Bad Request", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthCheck(asyncio.Protocol):
    """One connection. `service` is `namespace/name`; `count` says how many ready endpoints the node has now."""

    def __init__(self, service: str, count: Callable[[], int]) -> None:
        self._service = service
        self._count = count
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._timer = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT_S, self._transport.close)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._answer(self._head.partition(b" ")[0])
        elif len(self._head) > HEAD_MAX:
            self._send(400, "", is_head=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _answer(self, method: bytes) -> None:
        if method not in (b"GET", b"HEAD"):
            self._send(405, "Allow: GET, HEAD\r\n", is_head=False)
            return
        count = self._count()
        weight = f"X-Load-Balancing-Endpoint-Weight: {count}\r\n"
        self._send(200 if count else 503, weight, body(self._service, count), is_head=method == b"HEAD")

    def _send(self, status: int, lines: str, payload: str = "", *, is_head: bool) -> None:
        assert self._transport is not None
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"X-Content-Type-Options: nosniff\r\n{lines}Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write((head + ("" if is_head else payload)).encode())
        self._transport.close()


def body(service: str, count: int) -> str:
    """JSON as kube-proxy lays it out."""
    namespace, _, name = service.partition("/")
    said = {"service": {"namespace": namespace, "name": name}, "localEndpoints": count, "serviceProxyHealthy": True}
    return json.dumps(said, indent="\t")
