"""One sample is one request of the load: when it was due, what became of it, who answered.

A request is *answered* when a whole response below 500 came back. Otherwise it is *lost*, in one of five ways that a
client can tell apart: refused (nobody accepted the connection), reset (the connection ended before the response did),
timeout, 5xx (somebody answered for the application), bad (what came back is no HTTP). Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Regime = Literal["new", "reused"]
Outcome = Literal["ok", "refused", "reset", "timeout", "5xx", "bad"]

_POD = re.compile(rb'"pod":"([^"]*)"')
_VERSION = re.compile(rb'"version":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """Times are Unix seconds; `latency_s` counts from when the request was due, so that a stall is not omitted."""

    due_at: float
    latency_s: float
    regime: Regime
    outcome: Outcome
    status: int = 0
    pod: str = ""
    version: str = ""
    error: str = ""

    @property
    def ended_at(self) -> float:
        return self.due_at + self.latency_s

    @property
    def lost(self) -> bool:
        return self.outcome != "ok"


def outcome_of_error(error: BaseException | None) -> Outcome:
    """How a connection's failure looks to the client; None is an orderly end before the response was whole."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ValueError):
        return "bad"
    return "reset"


def who_answered(body: bytes) -> tuple[str, str]:
    """(pod, version) as `loopkube/echo` says them; empty for other applications."""
    pod = _POD.search(body)
    version = _VERSION.search(body)
    return (pod.group(1).decode() if pod else "", version.group(1).decode() if version else "")
