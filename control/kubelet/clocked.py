"""The supervisor's news in cluster time.

The parent of the processes lives in machine time, and so are the moments at which one started and ended. The kubelet
compares them with its own clock and writes them into statuses, so they are translated here, on their way in.
What goes out (how long a command may take) stays as it is: programs are as fast as the machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from control.config.clock import Clock
from control.kubelet.process import ProcessHost, ProcessSpec, ProcessState


def in_cluster_time(host: ProcessHost, clock: Clock) -> ProcessHost:
    return host if clock.is_machine_time else ClockedHost(host, clock)


class ClockedHost:
    """A `ProcessHost` whose moments are cluster time."""

    def __init__(self, host: ProcessHost, clock: Clock) -> None:
        self._host = host
        self._clock = clock

    def _told(self, state: ProcessState) -> ProcessState:
        over = state.exit and replace(state.exit, finished_at=self._clock.at(state.exit.finished_at))
        return replace(state, started_at=self._clock.at(state.started_at), exit=over)

    async def start(self, spec: ProcessSpec) -> ProcessState:
        return self._told(await self._host.start(spec))

    async def signal(self, id: str, signum: int) -> None:
        await self._host.signal(id, signum)

    async def processes(self) -> list[ProcessState]:
        return [self._told(state) for state in await self._host.processes()]

    async def forget(self, id: str) -> None:
        await self._host.forget(id)

    async def run(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        return await self._host.run(argv, env, cwd, timeout_s, output_max_bytes)

    async def exits(self) -> AsyncIterator[ProcessState]:
        async for state in self._host.exits():
            yield self._told(state)
