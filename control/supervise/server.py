"""The supervisor's ear: answers the requests of `wire` on its unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from control.kubelet.process import ProcessState, StartError
from control.supervise import wire
from control.supervise.spawn import ProcessTable

SYSTEM = "system/"  # ids of loopkube's own parts, which are the supervisor's alone
Operation = Callable[[Mapping[str, Any]], Awaitable[Any]]


class SupervisorServer:
    """Serves the pods' process table, and whatever further `operations` the supervisor has (status, down)."""

    def __init__(self, pods: ProcessTable, operations: Mapping[str, Operation]) -> None:
        self._pods = pods
        self._operations: dict[str, Operation] = {
            "start": self._start,
            "signal": self._signal,
            "processes": self._processes,
            "forget": self._forget,
            "run": self._run,
            **operations,
        }
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=wire.LINE_MAX)
        path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unsubscribe: Callable[[], None] | None = None
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request["op"] == "subscribe":
                    unsubscribe = unsubscribe or self._pods.subscribe(lambda state: _tell(writer, state))
                    writer.write(wire.encode({"id": request["id"], "result": None}))
                    continue
                # requests are independent: a slow `run` must not hold up a `signal`
                task = asyncio.create_task(self._answer(request, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (OSError, ValueError, KeyError):
            pass  # the client is gone or talks nonsense: either way this connection is over
        finally:
            if unsubscribe is not None:
                unsubscribe()
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        operation = self._operations.get(request["op"])
        try:
            if operation is None:
                raise ValueError(f"unknown operation {request['op']!r}")
            answer["result"] = await operation(request)
        except StartError as error:
            answer["error"] = {"type": "start", "code": error.code, "message": error.message}
        except TimeoutError:
            answer["error"] = {"type": "timeout", "code": 0, "message": "timed out"}
        except (ValueError, KeyError, OSError) as error:
            answer["error"] = {"type": "other", "code": 0, "message": f"{request['op']}: {error}"}
        if not writer.is_closing():
            writer.write(wire.encode(answer))

    async def _start(self, request: Mapping[str, Any]) -> Any:
        spec = wire.spec_from_json(request["spec"])
        if spec.id.startswith(SYSTEM):
            raise ValueError(f"process id {spec.id!r}: {SYSTEM} is reserved")
        return wire.state_to_json(self._pods.start(spec))

    async def _signal(self, request: Mapping[str, Any]) -> None:
        self._pods.signal(request["process"], int(request["signum"]))

    async def _processes(self, request: Mapping[str, Any]) -> Any:
        return [wire.state_to_json(state) for state in self._pods.processes() if not state.id.startswith(SYSTEM)]

    async def _forget(self, request: Mapping[str, Any]) -> None:
        self._pods.forget(request["process"])

    async def _run(self, request: Mapping[str, Any]) -> Any:
        code, output = await self._pods.run(
            request["argv"], request["env"], request["cwd"], request["timeout_s"], request["output_max_bytes"]
        )
        return [code, output.decode("utf-8", "surrogateescape")]


def _tell(writer: asyncio.StreamWriter, state: ProcessState) -> None:
    if not writer.is_closing() and not state.id.startswith(SYSTEM):
        writer.write(wire.encode({"exit": wire.state_to_json(state)}))
