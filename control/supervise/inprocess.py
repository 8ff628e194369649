"""A whole cluster in one process (`loopkube up --in-process`), for debuggers and quick tests.

The same parts through the same interfaces: pods are children of this process by the same process table, control and
node are the same planes (the node with a local client instead of HTTPS), and workers are given their command lines,
as the supervisor would give them. What is lost is what processes are for: one part cannot be killed and started again
without the others.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import uvloop

from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise import kubeconfig, slot, warden
from control.supervise.control_plane import ControlPlane
from control.supervise.host import LocalHost
from control.supervise.node_plane import NodePlane
from control.supervise.parts import worker_arguments
from control.supervise.ports import Doors
from control.supervise.ready import ReadyPipe
from control.supervise.server import SupervisorServer
from control.supervise.spawn import ProcessTable, become_subreaper
from control.supervise.status import Process, describe
from control.supervise.timekeeper import Timekeeper

POD_GRACE_S = 3.0
Say = Callable[[str, str, float], None]


class _Ready(ReadyPipe):
    """Says it here instead of into a pipe."""

    def __init__(self, part: str, say: Callable[[str, str], None]) -> None:
        super().__init__(None)
        self._part = part
        self._say = say

    def say(self, what: str) -> None:
        self._say(self._part, what)


class InProcess:
    """`await start()`, `await wait()`, `await stop()`; raises SettingsError and StoreError from start."""

    def __init__(self, settings: Settings, folders: Folders, say: Say) -> None:
        self._settings = settings
        self._folders = folders
        self._started_at = time.monotonic()
        self._say: Callable[[str, str], None] = lambda part, what: say(part, what, time.monotonic() - self._started_at)
        self._timekeeper = Timekeeper(settings, folders)
        self._ending = asyncio.Event()
        self._mark = os.urandom(16).hex()

    async def start(self) -> None:
        settings, folders = self._settings, self._folders
        become_subreaper()
        self._warden_pid, self._pipe = warden.start(self._mark)
        self._table = ProcessTable(environment={warden.MARK: self._mark})
        # no handler for SIGCHLD, which is uvloop's own: orphans wait as zombies for the next exit
        self._doors = doors = Doors.open(settings, folders)
        self.ports = doors.ports
        host = settings.addresses.host
        kubeconfig.write(folders.kubeconfig, folders.pki, cluster=settings.name, host=host, port=self.ports["api"])
        self._server = SupervisorServer(self._table, {"status": self._status, "shutdown": self._shutdown})
        await self._server.listen(folders.supervisor_socket)
        self._timekeeper.begin()
        self._control = ControlPlane(
            settings,
            folders,
            doors.api,
            doors.publish,
            http_port=self.ports["http"],
            https_port=self.ports["https"],
            dns_port=self.ports["dns"],
            ready=_Ready("control", self._say),
        )
        await self._control.start()
        client = self._control.server.client("system:node:loopkube", ("system:nodes", "system:masters"))
        self._node = NodePlane(
            settings,
            folders,
            client,
            LocalHost(self._table),
            dns_port=self.ports["dns"],
            ready=_Ready("node", self._say),
        )
        await self._node.start()
        # by name: a worker is told by its command line, here as there, and is imported by nobody (ARCHITECTURE.md)
        program: Any = importlib.import_module("dataplane.worker")
        self._workers = []
        for index in range(settings.workers):
            options, _ = program.options_from(worker_arguments(folders, doors, index))
            worker = program.Worker(options)
            await worker.start()
            self._workers.append(worker)
            self._say(f"worker-{index}", "started")

    async def wait(self) -> None:
        """Until `stop` is asked for, by `loopkube down` or a signal."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._ending.set)
        await self._ending.wait()

    async def stop(self) -> None:
        """In the supervisor's order: node, pods and workers, control."""
        await self._node.stop()
        pods = [state.id for state in self._table.processes()]
        await asyncio.gather(
            self._table.end(pods, POD_GRACE_S), *(worker.stop(POD_GRACE_S) for worker in self._workers)
        )
        await self._control.stop()
        self._timekeeper.end()
        await self._server.close()
        self._folders.supervisor_socket.unlink(missing_ok=True)
        os.close(self._pipe)

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        processes = [
            Process(role, name, os.getpid())
            for role, name in (("supervisor", "supervisor"), ("control", "control"), ("node", "node"))
        ]
        processes += [Process("dataplane", f"worker-{index}", os.getpid()) for index in range(self._settings.workers)]
        return describe(self._settings, self._folders, self.ports, time.monotonic() - self._started_at, processes)

    async def _shutdown(self, request: Mapping[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self._ending.set)


async def _live(settings: Settings, folders: Folders, say: Say, on_ready: Callable[[dict[str, int]], None]) -> None:
    cluster = InProcess(settings, folders, say)
    await cluster.start()
    await asyncio.get_running_loop().run_in_executor(None, on_ready, cluster.ports)
    await cluster.wait()
    await cluster.stop()


def run(settings: Settings, folders: Folders, say: Say, on_ready: Callable[[dict[str, int]], None]) -> None:
    """The cluster's whole life, in this process. `on_ready` gets the ports, in a thread: it may use the API."""
    held = folders.lock(settings.name)
    try:
        settings, _slot = slot.hold(settings)
        folders.save(settings)
        uvloop.run(_live(settings, folders, say, on_ready))
    finally:
        os.close(held)
