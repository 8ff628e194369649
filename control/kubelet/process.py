"""How the kubelet asks for processes: by name, from whoever is their parent.

The kubelet's own process may be killed at any moment while pods go on, so it never forks. The supervisor is the
parent of every process: it starts, signals, reaps and logs them, and keeps exit codes until told to forget them. This
protocol is all that the kubelet knows of it (the supervisor's side is `control.supervise`). Process ids are the
kubelet's own names (`<pod uid>/<container>/<restart count>`), so after a crash `processes()` tells it what runs and
what ended meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to start. `id` is unique for ever; `env` is the whole environment; `log_path` gets stdout and stderr.

    The log file has CRI lines (`2026-01-02T03:04:05.123456789Z stdout F text`), rotated at `log_max_bytes` into
    `<log_path>.1` ... keeping `log_files_max` in all. `labels` come back unchanged in `ProcessState`.
    """

    id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    log_path: str
    log_max_bytes: int = 10 * 1024 * 1024  # kubelet's containerLogMaxSize default, 10Mi
    log_files_max: int = 5  # kubelet's containerLogMaxFiles default
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: `code` as a shell says it (128 + signal when killed), `signal` 0 if it exited by itself."""

    code: int
    signal: int
    finished_at: float  # Unix time, seconds


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process that was started and not yet forgotten; `exit` is None while it runs."""

    id: str
    pid: int
    started_at: float  # Unix time, seconds
    exit: Exit | None
    labels: Mapping[str, str]
    log_path: str


class StartError(Exception):
    """The process could not be started (no such file, not executable, no permission): says which and why.

    `code` is what a container runtime reports: 127 not found, 126 not executable, 128 anything else.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ProcessHost(Protocol):
    """All methods raise ConnectionError when the supervisor is gone (then everything is dying anyway)."""

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """Starts the process as leader of its own group; raises StartError. A repeated id returns the first's state."""
        ...

    async def signal(self, id: str, signum: int) -> None:
        """Sends a signal to the whole process group; nothing happens if it ended already."""
        ...

    async def processes(self) -> list[ProcessState]:
        """Everything started and not forgotten, running or ended."""
        ...

    async def forget(self, id: str) -> None:
        """Drops an ended process from the books; unknown ids are ignored."""
        ...

    async def run(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        """Runs a command to its end, for exec probes and hooks: (exit code, first bytes of stdout and stderr).

        Raises StartError when it cannot start, TimeoutError (after killing its group) when it does not end in time.
        """
        ...

    def exits(self) -> AsyncIterator[ProcessState]:
        """Every exit from now on, in order, the moment it is reaped."""
        ...
