"""The kubelet's HTTP API on a unix socket: container logs, for the API server's pods/log, and what containers use.

    GET /healthz
    GET /stats/summary    {"items": [...]}: the summary of each virtual node, measured now (`usage`)
    GET /containerLogs/{namespace}/{pod}/{container}
        ?follow&previous&tailLines&sinceSeconds&sinceTime&timestamps&limitBytes

Logs are read from the files that the supervisor writes, oldest rotated part first. Following goes on across rotations
(the old file is read to its end, then its successor from the start) and ends when the container has ended and
everything it wrote has been sent. Files are looked at every `POLL_S`, as kubelet does where inotify fails.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote

import orjson
from aiohttp import web

from control.api.objects import Object
from control.kubelet.launch import Folders
from control.kubelet.logs import BadOption, Options, Splitter, is_since, parse_options, select, shown
from control.kubelet.record import ContainerRecord, PodRecord

POLL_S = 0.05
READ_SIZE = 256 * 1024


class LogOwner(Protocol):
    """What is needed of a pod's runner."""

    record: PodRecord

    @property
    def folders(self) -> Folders: ...


class NoLogs(Exception):
    """The pod is one that never has logs; says why."""


class KubeletServer:
    """`find(namespace, name)` answers with the pod's runner, `summaries()` with every node's summary."""

    def __init__(
        self,
        find: Callable[[str, str], LogOwner | None],
        clock: Callable[[], datetime],
        summaries: Callable[[], list[Object]],
    ) -> None:
        self.find = find
        self.clock = clock
        self.summaries = summaries
        self.runner: web.ServerRunner | None = None

    async def start(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.runner = web.ServerRunner(web.Server(self.handle, access_log=None))
        await self.runner.setup()
        old_mask = os.umask(0o077)
        try:
            await web.UnixSite(self.runner, str(path)).start()
        finally:
            os.umask(old_mask)

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = [unquote(part) for part in request.rel_url.raw_path.strip("/").split("/")]
        if request.method != "GET":
            return web.Response(status=405, text="method not allowed\n")
        if parts == ["healthz"]:
            return web.Response(text="ok")
        if parts == ["stats", "summary"]:
            return web.Response(body=orjson.dumps({"items": self.summaries()}), content_type="application/json")
        if len(parts) != 4 or parts[0] != "containerLogs":
            return web.Response(status=404, text="404 page not found\n")
        return await self.logs(request, *parts[1:])

    async def logs(self, request: web.BaseRequest, namespace: str, pod: str, name: str) -> web.StreamResponse:
        try:
            owner = self.find(namespace, pod)
        except NoLogs as error:
            return web.Response(status=400, text=f"{error}\n")
        if owner is None:
            return web.Response(status=404, text=f'pod "{pod}" does not exist\n')
        container = owner.record.containers.get(name)
        if container is None:
            return web.Response(status=400, text=f'container "{name}" not found in pod "{pod}_{namespace}"\n')
        try:
            options = parse_options(dict(request.query), self.clock())
        except BadOption as error:
            return web.Response(status=400, text=f"{error}\n")
        attempt = attempt_to_show(container, previous=options.previous)
        if attempt is None:
            what = f'previous terminated container "{name}"' if options.previous else f'container "{name}"'
            waiting = container.waiting.reason if container.waiting else "ContainerCreating"
            waiting = "trying and failing to pull image" if waiting == "ErrImagePull" else waiting
            why = "not found" if options.previous else f"is waiting to start: {waiting}"
            return web.Response(status=400, text=f'{what} in pod "{pod}" {why}\n')
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        left = options.limit_bytes
        async for data in self.read(owner.folders.log(name, attempt), options, lambda: is_over(container, attempt)):
            await response.write(data if left is None else data[:left])
            if left is not None:
                left -= len(data)
                if left <= 0:
                    break
        await response.write_eof()
        return response

    async def read(self, path: str, options: Options, over: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Rendered log text: what is there, then, when following, what comes until the container is over."""
        splitter = Splitter()
        file = open_log(path)
        lines = [line for part in rotated_parts(path) for line in part.read_bytes().split(b"\n") if line]
        if file is not None:
            lines += splitter.feed(file.read())
        data = b"".join(select([line for line in lines if line], options))
        if data:
            yield data
        try:
            while options.follow:
                ended = over()  # asked before reading: what was written before the end is still sent
                if file is None:
                    file = open_log(path)
                fresh = file.read(READ_SIZE) if file is not None else b""
                if fresh:
                    kept = [
                        line for line in splitter.feed(fresh) if options.since is None or is_since(line, options.since)
                    ]
                    yield b"".join(shown(line, timestamps=options.timestamps) for line in kept)
                elif file is not None and was_rotated(file, path):
                    file.close()
                    file = open_log(path)
                elif ended:
                    break
                else:
                    await asyncio.sleep(POLL_S)
        finally:
            if file is not None:
                file.close()


def attempt_to_show(container: ContainerRecord, *, previous: bool) -> int | None:
    """Which attempt's log is meant; None when there is none. A container between attempts shows the one that ended."""
    if container.attempt < 0:
        return None
    if not previous:
        return container.attempt
    return container.attempt - 1 if container.attempt > 0 and container.last is not None else None


def is_over(container: ContainerRecord, attempt: int) -> bool:
    return container.attempt != attempt or container.phase == "ended"


def open_log(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")  # kept open while it is followed
    except FileNotFoundError:
        return None


def rotated_parts(path: str) -> list[Path]:
    """The older parts of a log (`<path>.3`, `.2`, `.1`), oldest first."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        return []
    found = []
    for entry in os.listdir(folder):
        match = re.fullmatch(re.escape(name) + r"\.(\d+)", entry)
        if match:
            found.append((int(match[1]), Path(folder, entry)))
    return [part for _, part in sorted(found, reverse=True)]


def was_rotated(file: BinaryIO, path: str) -> bool:
    """Whether another file has taken the name of the open one, and the open one is read to its end."""
    try:
        return os.fstat(file.fileno()).st_ino != os.stat(path).st_ino
    except FileNotFoundError:
        return False
