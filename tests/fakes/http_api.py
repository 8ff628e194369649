"""An HTTP server that says what a test wrote and remembers what it was asked, in TLS if it is given a certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from control.api.objects import Object

Answer = tuple[int, Any]


class HttpApi:
    """`answer` is called with (method, path) and gives (status, JSON value or bytes); `stream` feeds watches."""

    def __init__(self, answer: Callable[[str, str], Answer]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.url = ""

    async def start(self, context: ssl.SSLContext | None = None) -> HttpApi:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{port}"
        return self

    async def close(self) -> None:
        self.stream.put_nowait(None)
        await self._runner.cleanup()

    def say(self, type_: str, obj: Object, *, pieces: int = 1) -> None:
        """Puts a watch event on the wire, in so many pieces."""
        line = orjson.dumps({"type": type_, "object": obj}) + b"\n"
        size = -(-len(line) // pieces)
        for start in range(0, len(line), size):
            self.stream.put_nowait(line[start : start + size])

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path, dict(request.query), orjson.loads(body) if body else None))
        self.headers.append(dict(request.headers))
        status, value = self.answer(request.method, request.path)
        if request.query.get("watch") and status == 200:
            response = web.StreamResponse()
            await response.prepare(request)
            while (data := await self.stream.get()) is not None:
                if data == b"cut":
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                await response.write(data)
            return response
        return web.Response(status=status, body=value if isinstance(value, bytes) else orjson.dumps(value))
