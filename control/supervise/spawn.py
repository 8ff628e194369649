"""Every process that loopkube has is started, signalled, reaped and logged here: its own parts and pods alike.

A process is the leader of its own session and group, so that a signal to the group reaches its children too. It dies
with its parent: the kernel is told at birth (PR_SET_PDEATHSIG), before the program runs, so there is no moment in
which a crash of the parent leaves it behind. When a leader ends, what is left of it is killed, as the end of a
container's first process ends the container: first the group, then children that left the group (daemons: the kernel
hands orphans to us, the subreaper, and each carries the process's id in its environment).

Output goes through pipes into CRI log lines (`crilog`); an exit is told only after the pipes are read dry, so that
the log of an ended process is whole. Exits are kept until someone says `forget`: a kubelet that was away misses
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from control.kubelet.process import Exit, ProcessSpec, ProcessState, StartError
from control.supervise.crilog import Lines, LogFile

MARK = "LOOPKUBE_PROCESS"  # in each process's environment: which process it belongs to
READ_MAX = 64 * 1024  # a pipe's default capacity
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Orphans among our descendants become our children instead of init's (prctl(2))."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> Callable[[], None]:
    """What a child runs between fork and exec: be killed when `parent` dies, or at once if it is gone already."""

    def at_birth() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return at_birth


def start_error(error: OSError | ValueError, program: str) -> StartError:
    """An exec failure in the words and exit codes of a container runtime."""
    if isinstance(error, ValueError):
        return StartError(128, f'exec: "{program}": {error}')
    if isinstance(error, FileNotFoundError):
        where = "no such file or directory" if "/" in program else "executable file not found in $PATH"
        return StartError(127, f'exec: "{program}": {where}')
    if isinstance(error, PermissionError):
        return StartError(126, f'exec: "{program}": permission denied')
    return StartError(128, f'exec: "{program}": {error.strerror or error}')


def exit_of(returncode: int, now: float) -> Exit:
    """subprocess's return code (negative: killed by that signal) as a shell's exit code."""
    if returncode < 0:
        return Exit(code=128 - returncode, signal=-returncode, finished_at=now)
    return Exit(code=returncode, signal=0, finished_at=now)


@dataclass(slots=True)
class _Child:
    state: ProcessState
    popen: subprocess.Popen[bytes]
    pidfd: int
    log: LogFile | None
    pipes: dict[int, Lines] = field(default_factory=dict)  # read end -> its lines


class ProcessTable:
    """The processes of one parent. Call everything from the event loop that was running at creation."""

    def __init__(self, *, environment: Mapping[str, str] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._environment = dict(environment or {})  # added to every process, e.g. the cluster's mark
        self._children: dict[str, _Child] = {}
        self._commands: set[int] = set()  # pids of `run`, which waits for them itself
        self._listeners: list[Callable[[ProcessState], None]] = []

    def start(self, spec: ProcessSpec, *, pass_fds: Sequence[int] = ()) -> ProcessState:
        """See `ProcessHost.start`. `pass_fds` stay open in the child under the same numbers."""
        if (known := self._children.get(spec.id)) is not None:
            return known.state
        log = None
        try:
            log = LogFile(spec.log_path, spec.log_max_bytes, spec.log_files_max)
            popen = self._popen(spec.argv, {**spec.env, MARK: spec.id}, spec.cwd, pass_fds)
        except (OSError, ValueError) as error:  # ValueError: a null byte in a word
            if log is not None:
                log.close()
            raise start_error(error, spec.argv[0]) from error
        state = ProcessState(spec.id, popen.pid, time.time(), None, dict(spec.labels or {}), spec.log_path)
        child = _Child(state, popen, os.pidfd_open(popen.pid), log)
        self._children[spec.id] = child
        assert popen.stdout is not None
        assert popen.stderr is not None
        for stream, pipe in ((b"stdout", popen.stdout), (b"stderr", popen.stderr)):
            end = os.dup(pipe.fileno())
            pipe.close()
            os.set_blocking(end, False)
            child.pipes[end] = Lines(stream)
            self._loop.add_reader(end, self._read, child, end)
        self._loop.add_reader(child.pidfd, self._ended, child)
        return state

    def _popen(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, pass_fds: Sequence[int], *, joined: bool = False
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            env={**env, **self._environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if joined else subprocess.PIPE,
            bufsize=0,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )

    def _read(self, child: _Child, end: int) -> None:
        try:
            data = os.read(end, READ_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        lines = child.pipes[end]
        now = time.time()
        if data:
            if child.log is not None:
                child.log.write(lines.feed(data, now))
            return
        if child.log is not None:
            child.log.write(lines.end(now))
        self._loop.remove_reader(end)
        os.close(end)
        del child.pipes[end]

    def _ended(self, child: _Child) -> None:
        returncode = child.popen.poll()
        if returncode is None:
            return
        self._loop.remove_reader(child.pidfd)
        os.close(child.pidfd)
        self._kill_remains(child)
        for end in list(child.pipes):
            while end in child.pipes and _has_data(end):
                self._read(child, end)
        for end in list(child.pipes):  # whoever still holds the other end was killed above
            self._loop.remove_reader(end)
            os.close(end)
            if child.log is not None:
                child.log.write(child.pipes[end].end(time.time()))
        child.pipes.clear()
        if child.log is not None:
            child.log.close()
        old = child.state
        child.state = ProcessState(
            old.id, old.pid, old.started_at, exit_of(returncode, time.time()), old.labels, old.log_path
        )
        for listener in list(self._listeners):
            listener(child.state)

    def _kill_remains(self, child: _Child) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.popen.pid, signal.SIGKILL)
        mark = f"{MARK}={child.state.id}".encode()
        for pid in self._orphans():
            if mark in _environment_of(pid).split(b"\0"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.reap_orphans()

    def _orphans(self) -> list[int]:
        """Our children that we did not start: adopted as their subreaper."""
        ours = {child.popen.pid for child in self._children.values() if child.state.exit is None} | self._commands
        me = os.getpid()
        try:
            with open(f"/proc/{me}/task/{me}/children") as file:
                return [pid for pid in map(int, file.read().split()) if pid not in ours]
        except OSError:
            return []

    def reap_orphans(self) -> None:
        """Collects ended orphans, so that they do not stay as zombies (called on SIGCHLD)."""
        for pid in self._orphans():
            if _is_zombie(pid):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def signal(self, id: str, signum: int) -> None:
        child = self._children.get(id)
        if child is not None and child.state.exit is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.popen.pid, signum)

    async def end(self, ids: Iterable[str], grace_s: float) -> None:
        """SIGTERM to these, and SIGKILL to those that are still there after the grace; returns when all are gone."""
        running = {id for id in ids if id in self._children and self._children[id].state.exit is None}
        gone = asyncio.Event()

        def on_exit(state: ProcessState) -> None:
            running.discard(state.id)
            if not running:
                gone.set()

        if not running:
            return
        unsubscribe = self.subscribe(on_exit)
        for signum in (signal.SIGTERM, signal.SIGKILL):
            for id in list(running):
                self.signal(id, signum)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await gone.wait()
                break
        unsubscribe()

    def processes(self) -> list[ProcessState]:
        return [child.state for child in self._children.values()]

    def forget(self, id: str) -> None:
        child = self._children.get(id)
        if child is not None and child.state.exit is not None:
            del self._children[id]

    def subscribe(self, listener: Callable[[ProcessState], None]) -> Callable[[], None]:
        """Calls `listener` with every exit from now on; the result unsubscribes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def run(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, timeout_s: float, output_max_bytes: int = 10_240
    ) -> tuple[int, bytes]:
        """See `ProcessHost.run`."""
        try:
            popen = self._popen(argv, env, cwd, (), joined=True)
        except (OSError, ValueError) as error:
            raise start_error(error, argv[0]) from error
        self._commands.add(popen.pid)
        assert popen.stdout is not None
        os.set_blocking(popen.stdout.fileno(), False)
        output = bytearray()
        over = self._loop.create_future()

        def read() -> None:
            assert popen.stdout is not None
            data = popen.stdout.read(READ_MAX)
            if data:
                output.extend(data[: max(output_max_bytes - len(output), 0)])
            elif data == b"":
                self._loop.remove_reader(popen.stdout.fileno())

        def ended() -> None:
            if not over.done():
                over.set_result(None)

        pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(popen.stdout.fileno(), read)
        self._loop.add_reader(pidfd, ended)
        try:
            async with asyncio.timeout(timeout_s):
                await over
        finally:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(popen.pid, signal.SIGKILL)
            code = popen.wait()
            self._commands.discard(popen.pid)
            read()
            self._loop.remove_reader(popen.stdout.fileno())
            popen.stdout.close()
        return exit_of(code, 0.0).code, bytes(output)


def _has_data(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _environment_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return False
