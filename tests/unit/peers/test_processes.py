"""Processes that a comparison starts end with it."""

from __future__ import annotations

import os
import sys

import pytest

from bench.peers.processes import Missing, process, program, unused_port


def test_a_server_runs_within_its_block() -> None:
    port = unused_port()
    with process([sys.executable, "-S", "-c", f"import socket; s = socket.create_server(('127.0.0.1', {port}))\n"
                  "while True: s.accept()"], port) as pid:  # fmt: skip
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_ends_at_once_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not start"), process(["/bin/true"], unused_port()):
        pass


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(Missing, match="no-such-proxy is not installed"):
        program("no-such-proxy")
