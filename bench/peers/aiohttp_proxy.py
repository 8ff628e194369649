"""A reverse proxy as one writes it with aiohttp's server and client: the yardstick for building on a library.

python -m bench.peers.aiohttp_proxy PORT BACKEND_PORT...
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import uvloop
from aiohttp import ClientSession, TCPConnector, web
from multidict import CIMultiDict

from bench.peers.front import Front, Peer
from bench.peers.processes import process, unused_port

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


def application(ports: list[int]) -> web.Application:
    turns = itertools.cycle(ports)

    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0, keepalive_timeout=60)
        async with ClientSession(connector=connector, auto_decompress=False) as client:
            app["client"] = client
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP)
        remote = request.remote or ""
        headers["X-Real-IP"] = headers["X-Forwarded-For"] = remote
        headers["X-Forwarded-Host"] = request.host
        headers["X-Forwarded-Proto"] = request.scheme
        url = f"http://127.0.0.1:{next(turns)}{request.raw_path}"
        body = request.content if request.body_exists else None
        async with request.app["client"].request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = CIMultiDict((k, v) for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP)
            if answer.content_length is not None and answer.content_length < 65536:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


def start(stack: ExitStack, folder: Path, backends: list[int], front: Front) -> Peer:
    port = unused_port()
    command = [sys.executable, "-m", "bench.peers.aiohttp_proxy", str(port), *map(str, backends)]
    return Peer("aiohttp", port, stack.enter_context(process(command, port)))


def main() -> None:
    port, *backends = map(int, sys.argv[1:])
    uvloop.install()
    web.run_app(application(backends), host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
