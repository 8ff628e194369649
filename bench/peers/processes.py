"""Servers that run within a block and end with it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

START_TIMEOUT_S = 10.0


class Missing(Exception):
    """A peer whose program is not installed."""


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def program(name: str) -> str:
    """Where a program is; Debian keeps servers out of an ordinary user's PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def version(name: str, *arguments: str) -> str:
    """The first line that a program says of itself; "" where it is not installed."""
    try:
        done = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=10, check=False)
    except Missing:
        return ""
    return next(iter((done.stdout + done.stderr).splitlines()), "")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def process(command: list[str], port: int) -> Iterator[int]:
    """Run a server until the block ends; its pid once it accepts connections on `port`."""
    child = subprocess.Popen(command, preexec_fn=_die_with_parent, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start listening on {port}") from None
                time.sleep(0.02)
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
