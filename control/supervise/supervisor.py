"""The supervisor: small, rarely changing, the parent of everything (`python -m control.supervise.supervisor DATA_DIR`).

It opens the host's ports, starts control, node and the workers, starts whichever ends again, and answers on
`supervisor.sock`: the node asks it for processes, the command line for the status and the end. It knows nothing of
Kubernetes. What it reports about its start it prints as JSON lines on standard output, which `loopkube up` turns into
text.

The end has an order. Node first, so that nobody starts pods again; pods get SIGTERM and a short grace; workers drain
meanwhile; control last. Whatever is still there then is killed. When the supervisor cannot do that any more, see
`warden`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.config.folders import Folders
from control.config.settings import Settings, SettingsError
from control.kubelet.process import ProcessSpec, ProcessState, StartError
from control.supervise import kubeconfig, slot, warden
from control.supervise.part import HOPELESS, Part
from control.supervise.parts import parts_of
from control.supervise.ports import Doors
from control.supervise.server import SYSTEM, SupervisorServer
from control.supervise.spawn import ProcessTable, become_subreaper
from control.supervise.status import Process, describe
from control.supervise.timekeeper import Timekeeper

POD_GRACE_S = 3.0  # on `down` nobody waits for connections to drain; pods that need longer are killed
PART_GRACE_S = 3.0

# glibc moves its thresholds up to the largest block that it has seen freed, and then keeps that much: after one list of
# 7 MB by 32 clients the API server stays at 370 MB. With fixed ones (mallopt(3)) it returns to about 100 MB.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}

log = logging.getLogger(__name__)


class Supervisor:
    """One cluster's processes. `run` returns when the cluster is down."""

    def __init__(self, settings: Settings, folders: Folders) -> None:
        self._settings = settings
        self._folders = folders
        self._started_at = time.monotonic()
        self._timekeeper = Timekeeper(settings, folders)
        self._mark = uuid.uuid4().hex
        self._parts: list[Part] = []
        self._ending = asyncio.Event()
        self._failed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._table = ProcessTable(environment={warden.MARK: self._mark})
        self._server = SupervisorServer(self._table, {"status": self._status, "shutdown": self._shutdown})

    async def run(self) -> bool:
        """Whether it ended as asked, not because a part cannot run."""
        become_subreaper()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, self._ending.set)
        loop.add_signal_handler(signal.SIGCHLD, self._table.reap_orphans)
        warden_pid, _pipe = warden.start(self._mark)
        self._warden_pid = warden_pid
        self._open_ports()
        await self._server.listen(self._folders.supervisor_socket)
        self._table.subscribe(self._on_exit)
        self._report("supervisor", "ports open", pid=os.getpid(), ports=self.ports)
        self._timekeeper.begin()
        for part in self._parts:
            self._start(part)
        await self._ending.wait()
        await self._end()
        return not self._failed

    def _open_ports(self) -> None:
        settings, folders = self._settings, self._folders
        self._doors = Doors.open(settings, folders)
        self.ports = self._doors.ports
        host = settings.addresses.host
        kubeconfig.write(folders.kubeconfig, folders.pki, cluster=settings.name, host=host, port=self.ports["api"])
        self._parts = parts_of(settings, folders, self._doors)

    def _start(self, part: Part) -> None:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        spec = ProcessSpec(
            id=part.process_id,
            argv=(*part.argv, "--ready-fd", str(write_end)),
            env={**MALLOC, **os.environ},
            cwd="/",
            log_path=str(self._folders.logs / "system" / f"{part.name}.log"),
            labels={"part": part.name},
        )
        loop = asyncio.get_running_loop()
        try:
            state = self._table.start(spec, pass_fds=(*part.pass_fds, write_end))
        except StartError as error:
            log.error("%s: %s", part.name, error)
            self._ending.set()
            os.close(read_end)
            return
        finally:
            os.close(write_end)
        part.started(state.pid, time.monotonic())
        loop.add_reader(read_end, self._on_ready, part, read_end)

    def _on_ready(self, part: Part, read_end: int) -> None:
        """A part says `name of what is ready` a line; end of file when it ended or has nothing more to say."""
        data = os.read(read_end, 4096)
        if not data:
            asyncio.get_running_loop().remove_reader(read_end)
            os.close(read_end)
            return
        for line in data.decode(errors="replace").splitlines():
            if line.startswith("failed: "):
                self._report(part.name, "failed", message=line.removeprefix("failed: "))
                continue
            part.ready.add(line)
            self._report(part.name, line, pid=part.pid)

    def _on_exit(self, state: ProcessState) -> None:
        if not state.id.startswith(SYSTEM):
            return
        part = next((part for part in self._parts if part.process_id == state.id), None)
        self._table.forget(state.id)
        if part is None or self._ending.is_set():
            return
        assert state.exit is not None
        if state.exit.code == HOPELESS:
            self._failed = True
            self._ending.set()
            return
        delay_s = part.ended(time.monotonic())
        log.warning("%s ended with code %d; started again in %.1f s", part.name, state.exit.code, delay_s)
        self._report(part.name, "ended", code=state.exit.code)
        asyncio.get_running_loop().call_later(delay_s, self._restart, part)

    def _restart(self, part: Part) -> None:
        if not self._ending.is_set():
            self._start(part)

    async def _end(self) -> None:
        """Ends everything in order; see the top of this file."""
        by_role: dict[str, list[str]] = {"node": [], "dataplane": [], "control": []}
        for part in self._parts:
            by_role[part.role].append(part.process_id)
        await self._table.end(by_role["node"], PART_GRACE_S)
        pods = [state.id for state in self._table.processes() if not state.id.startswith(SYSTEM)]
        await asyncio.gather(self._table.end(pods, POD_GRACE_S), self._table.end(by_role["dataplane"], PART_GRACE_S))
        await self._table.end(by_role["control"], PART_GRACE_S)
        self._timekeeper.end()
        await self._server.close()
        self._folders.supervisor_socket.unlink(missing_ok=True)
        self._report("supervisor", "down")

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        processes = [
            Process("supervisor", "supervisor", os.getpid()),
            *(Process(p.role, p.name, p.pid, p.restarts, bool(p.ready)) for p in self._parts),
            Process("warden", "warden", self._warden_pid),
        ]
        return describe(self._settings, self._folders, self.ports, time.monotonic() - self._started_at, processes)

    async def _shutdown(self, request: Mapping[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self._ending.set)

    def _report(self, part: str, what: str, **more: Any) -> None:
        """One JSON line for `loopkube up`; nobody may be listening any more (`--detach`)."""
        message = {"part": part, "what": what, "seconds": round(time.monotonic() - self._started_at, 3), **more}
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(message).encode() + b"\n")


async def supervise(settings: Settings, folders: Folders) -> bool:
    return await Supervisor(settings, folders).run()


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folders = Folders(Path(sys.argv[1]))
    try:
        settings = folders.load()
        if settings is None:
            raise SettingsError(f"{folders.data} holds no cluster")
        _held = folders.lock(settings.name)
        settings, _slot = slot.hold(settings)
        folders.save(settings)
        ended_well = asyncio.run(supervise(settings, folders))
    except SettingsError as error:
        print(json.dumps({"part": "supervisor", "what": "failed", "message": str(error)}), flush=True)
        return 1
    return 0 if ended_well else 1


if __name__ == "__main__":
    sys.exit(main())
