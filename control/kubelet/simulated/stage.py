"""What a simulated pod does and when, as annotations say it: on the pod, else on its node, else what kwok's pods do.

    loopkube.io/start-after    from the pod's arrival on its node to its containers' start (0s)
    loopkube.io/ready-after    from a container's start to its readiness (0s)
    loopkube.io/ready          "false": never ready; may be changed at any time, readiness follows (true)
    loopkube.io/exit-after     from a container's start to its end by itself (0s for a Job's pods; the others run on)
    loopkube.io/exit-code      how it ends (0)
    loopkube.io/stop-after     from the stop signal to the end, cut short by the grace period (0s)

Durations are Go's (`1m30s`, `500ms`) or plain seconds. What cannot be read counts as not said, and is complained about.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from control.api.objects import Object, annotations_of, controller_of
from control.kubelet.usage import said_usage

T = TypeVar("T")
PREFIX = "loopkube.io/"
UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
SECONDS = re.compile(r"\d+\.?\d*|\.\d+")
EXIT_CODE_MAX = 255


@dataclass(frozen=True, slots=True)
class Stage:
    """`exit_after_s` None: runs on. `complaints` are for an event."""

    start_after_s: float = 0.0
    ready_after_s: float = 0.0
    ready: bool = True
    exit_after_s: float | None = None
    exit_code: int = 0
    stop_after_s: float = 0.0
    says_usage: bool = False  # by the annotations that `usage` reads
    complaints: tuple[str, ...] = ()


def stage_of(pod: Object, node: Object) -> Stage:
    said = {**_ours(annotations_of(node)), **_ours(annotations_of(pod))}
    complaints: list[str] = []

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        try:
            return parse(said[name]) if name in said else default
        except ValueError as error:
            complaints.append(f"annotation {PREFIX}{name}: {error}")
            return default

    of_job = (controller_of(pod) or {}).get("kind") == "Job"
    return Stage(
        read("start-after", seconds, 0.0),
        read("ready-after", seconds, 0.0),
        read("ready", truth, True),
        read("exit-after", seconds, 0.0 if of_job else None),
        read("exit-code", exit_code, 0),
        read("stop-after", seconds, 0.0),
        said_usage(pod, 0.0) is not None,
        tuple(complaints),
    )


def _ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(PREFIX): value for name, value in annotations.items() if name.startswith(PREFIX)}


def seconds(text: str) -> float:
    """A duration that is not negative; raises ValueError."""
    if SECONDS.fullmatch(text):
        return float(text)
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"invalid duration {text!r}")
    return math.fsum(float(number) * UNITS_S[unit] for number, unit in parts)


def truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def exit_code(text: str) -> int:
    if not text.isdecimal() or int(text) > EXIT_CODE_MAX:
        raise ValueError(f"{text!r} is not an exit code between 0 and {EXIT_CODE_MAX}")
    return int(text)
