"""The kubelet's `ProcessHost` in its two forms: the supervisor behind its socket, or a table in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from control.kubelet.process import ProcessSpec, ProcessState, StartError
from control.supervise import wire
from control.supervise.spawn import ProcessTable


class LocalHost:
    """A process table of this very process (`--in-process`, tests)."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    async def start(self, spec: ProcessSpec) -> ProcessState:
        return self._table.start(spec)

    async def signal(self, id: str, signum: int) -> None:
        self._table.signal(id, signum)

    async def processes(self) -> list[ProcessState]:
        return self._table.processes()

    async def forget(self, id: str) -> None:
        self._table.forget(id)

    async def run(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        return await self._table.run(argv, env, cwd, timeout_s, output_max_bytes)

    async def exits(self) -> AsyncIterator[ProcessState]:
        queue: asyncio.Queue[ProcessState] = asyncio.Queue()
        unsubscribe = self._table.subscribe(queue.put_nowait)
        try:
            while True:
                yield await queue.get()
        finally:
            unsubscribe()


class SupervisorHost:
    """The supervisor of another process, over its unix socket. Create with `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._exits: list[asyncio.Queue[ProcessState | None]] = []
        self._lost: ConnectionError | None = None
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def connect(cls, path: Path) -> SupervisorHost:
        """Raises ConnectionError (or FileNotFoundError) when nobody listens."""
        reader, writer = await asyncio.open_unix_connection(str(path), limit=wire.LINE_MAX)
        return cls(reader, writer)

    async def call(self, op: str, **arguments: Any) -> Any:
        """One request, its result. Raises StartError, TimeoutError or ConnectionError as the op says."""
        if self._lost is not None:
            raise self._lost
        self._next_id += 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._next_id] = future
        self._writer.write(wire.encode({"id": self._next_id, "op": op, **arguments}))
        return await future

    async def start(self, spec: ProcessSpec) -> ProcessState:
        return wire.state_from_json(await self.call("start", spec=wire.spec_to_json(spec)))

    async def signal(self, id: str, signum: int) -> None:
        await self.call("signal", process=id, signum=signum)

    async def processes(self) -> list[ProcessState]:
        return [wire.state_from_json(value) for value in await self.call("processes")]

    async def forget(self, id: str) -> None:
        await self.call("forget", process=id)

    async def run(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        code, output = await self.call(
            "run", argv=list(argv), env=dict(env), cwd=cwd, timeout_s=timeout_s, output_max_bytes=output_max_bytes
        )
        return code, output.encode("utf-8", "surrogateescape")

    async def exits(self) -> AsyncIterator[ProcessState]:
        queue: asyncio.Queue[ProcessState | None] = asyncio.Queue()
        self._exits.append(queue)
        try:
            await self.call("subscribe")
            while (state := await queue.get()) is not None:
                yield state
            raise ConnectionError("the supervisor closed its socket")
        finally:
            self._exits.remove(queue)

    async def close(self) -> None:
        self._writer.close()
        await self._task

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if "exit" in message:
                    state = wire.state_from_json(message["exit"])
                    for queue in self._exits:
                        queue.put_nowait(state)
                elif (future := self._waiting.pop(message["id"], None)) is not None and not future.done():
                    _settle(future, message)
        except (OSError, ValueError):
            pass  # a torn line or a reset: the peer is gone, which is all that matters below
        self._lost = ConnectionError("the supervisor closed its socket")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._lost)
        for queue in self._exits:
            queue.put_nowait(None)


def _settle(future: asyncio.Future[Any], message: Mapping[str, Any]) -> None:
    error = message.get("error")
    if error is None:
        future.set_result(message.get("result"))
    elif error["type"] == "start":
        future.set_exception(StartError(error["code"], error["message"]))
    elif error["type"] == "timeout":
        future.set_exception(TimeoutError(error["message"]))
    else:
        future.set_exception(RuntimeError(error["message"]))
