"""A cluster for a measurement: started by the command line in a temporary folder on free ports, ended with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.machine import provenance

LOOPKUBE = (sys.executable, "-m", "control.cli.main")
COMMAND_MAX_S = 120.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside its goal. `goal` None: no goal was set."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal


def show(title: str, figures: list[Figure], json_file: str | None = None, **more: object) -> None:
    """Prints the figures as a table and writes them as JSON where asked, with `more` about how they came about; exit
    code 1 when a goal is not met."""
    print(f"\n{title}")
    for figure in figures:
        sign = "≥" if figure.more_is_better else "≤"
        goal = "" if figure.goal is None else f"goal {sign} {figure.goal:g} {figure.unit}"
        verdict = {None: "", True: "met", False: "NOT met"}[figure.met]
        print(f"  {figure.name:<52}{figure.value:>12.2f} {figure.unit:<8}{goal:<22}{verdict:<9}{figure.note}")
    if json_file:
        rows = [
            {
                "name": f.name,
                "value": f.value,
                "unit": f.unit,
                "goal": f.goal,
                "met": f.met,
                "more_is_better": f.more_is_better,
            }
            for f in figures
        ]
        result = {"title": title, "settings": {**provenance(), **more}, "figures": rows}
        Path(json_file).write_text(json.dumps(result, indent=1) + "\n")
    if any(figure.met is False for figure in figures):
        raise SystemExit(1)


class Cluster:
    """`with Cluster("--workers", "1") as cluster:`; `started_at` is when `loopkube up` was called (monotonic).

    `manifest` is applied with `-f` before the block begins.
    """

    def __init__(self, *options: str, manifest: list[dict[str, Any]] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="loopkube-bench-"))
        self.started_at = 0.0
        self._options = options
        if manifest is not None:
            file = self.folder / "manifest.json"
            file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest}))
            self._options = (*options, "-f", str(file))

    def __enter__(self) -> Cluster:
        self.started_at = time.monotonic()
        ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
        self.run("up", "--detach", *ports, *self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(self._command("down", "--purge"), capture_output=True, timeout=COMMAND_MAX_S, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, command: str, *arguments: str) -> tuple[str, ...]:
        return (*LOOPKUBE, command, "--data-dir", str(self.folder), *arguments)

    def run(self, command: str, *arguments: str) -> str:
        """A loopkube command's output; raises SystemExit with its errors."""
        result = subprocess.run(
            self._command(command, *arguments), capture_output=True, text=True, timeout=COMMAND_MAX_S, check=False
        )
        if result.returncode:
            raise SystemExit(f"loopkube {command} failed: {result.stdout}{result.stderr}")
        return result.stdout

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "-o", "json"))  # type: ignore[no-any-return]

    def pid(self, name: str) -> int:
        return next(int(p["pid"]) for p in self.status()["processes"] if p["name"] == name)


def wait_for(what: str, condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Polls quickly until the condition holds; raises SystemExit with `what`."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {deadline_s:.0f} s")
        time.sleep(0.002)
