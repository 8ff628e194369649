"""A ProcessHost without processes: starts are remembered, exits happen when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from signal import SIGKILL

from control.kubelet.process import Exit, ProcessSpec, ProcessState, StartError


class FakeHost:
    """`clock` gives Unix seconds. Processes obey every signal (128 + its number) unless named in `stubborn`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.states: dict[str, ProcessState] = {}
        self.specs: dict[str, ProcessSpec] = {}
        self.signals: list[tuple[str, int]] = []
        self.commands: list[tuple[str, ...]] = []
        self.stubborn: set[str] = set()  # containers that ignore everything but SIGKILL
        self.refused: dict[str, StartError] = {}  # by program
        self.answers: dict[str, tuple[int, bytes]] = {}  # by program, for `run`
        self.listeners: list[asyncio.Queue[ProcessState]] = []
        self.next_pid = 1000

    def named(self, container: str) -> list[ProcessState]:
        """The attempts of a container, oldest first."""
        return [state for state in self.states.values() if state.labels["container"] == container]

    def running(self) -> list[str]:
        return sorted(state.labels["container"] for state in self.states.values() if state.exit is None)

    async def start(self, spec: ProcessSpec) -> ProcessState:
        if spec.id in self.states:
            return self.states[spec.id]
        if spec.argv[0] in self.refused:
            raise self.refused[spec.argv[0]]
        self.next_pid += 1
        state = ProcessState(spec.id, self.next_pid, self.clock(), None, dict(spec.labels or {}), spec.log_path)
        self.states[spec.id], self.specs[spec.id] = state, spec
        return state

    def exit(self, container: str, code: int = 0, signum: int = 0) -> None:
        """The newest attempt of a container ends."""
        state = next(state for state in reversed(self.named(container)) if state.exit is None)
        ended = replace(state, exit=Exit(code, signum, self.clock()))
        self.states[state.id] = ended
        for listener in self.listeners:
            listener.put_nowait(ended)

    async def signal(self, id: str, signum: int) -> None:
        self.signals.append((id.split("/")[1], signum))
        state = self.states.get(id)
        if state is None or state.exit is not None:
            return
        if signum == SIGKILL or state.labels["container"] not in self.stubborn:
            self.exit(state.labels["container"], 128 + signum, signum)

    async def processes(self) -> list[ProcessState]:
        return list(self.states.values())

    async def forget(self, id: str) -> None:
        self.states.pop(id, None)

    async def run(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        self.commands.append(argv)
        if argv[0] == "hang":
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        return self.answers.get(argv[0], (0, b""))

    async def exits(self) -> AsyncIterator[ProcessState]:
        queue: asyncio.Queue[ProcessState] = asyncio.Queue()
        self.listeners.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.listeners.remove(queue)
