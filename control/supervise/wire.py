"""What is said on `supervisor.sock`: one JSON object a line, both ways.

A request is `{"id": 7, "op": "start", ...}`; its answer `{"id": 7, "result": ...}` or `{"id": 7, "error": {"type",
"code", "message"}}`. After the op `subscribe` the server also sends `{"exit": <process>}` for every exit. Answers may
come in any order. The socket lies in a 0700 folder: who can open it may start processes as this user, and already is
this user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from control.kubelet.process import Exit, ProcessSpec, ProcessState

LINE_MAX = 4 * 1024 * 1024  # a process's whole environment and arguments: Linux's own limit is 2 MB with 6 MB of stack


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def spec_to_json(spec: ProcessSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "argv": list(spec.argv),
        "env": dict(spec.env),
        "cwd": spec.cwd,
        "log_path": spec.log_path,
        "log_max_bytes": spec.log_max_bytes,
        "log_files_max": spec.log_files_max,
        "labels": dict(spec.labels or {}),
    }


def spec_from_json(value: Mapping[str, Any]) -> ProcessSpec:
    return ProcessSpec(
        id=value["id"],
        argv=tuple(value["argv"]),
        env=value["env"],
        cwd=value["cwd"],
        log_path=value["log_path"],
        log_max_bytes=value["log_max_bytes"],
        log_files_max=value["log_files_max"],
        labels=value["labels"],
    )


def state_to_json(state: ProcessState) -> dict[str, Any]:
    ended = state.exit
    return {
        "id": state.id,
        "pid": state.pid,
        "started_at": state.started_at,
        "exit": None if ended is None else [ended.code, ended.signal, ended.finished_at],
        "labels": dict(state.labels),
        "log_path": state.log_path,
    }


def state_from_json(value: Mapping[str, Any]) -> ProcessState:
    ended = value["exit"]
    return ProcessState(
        id=value["id"],
        pid=value["pid"],
        started_at=value["started_at"],
        exit=None if ended is None else Exit(*ended),
        labels=value["labels"],
        log_path=value["log_path"],
    )
