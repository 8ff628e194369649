"""The process's own numbers under Prometheus' standard names, read from /proc when somebody asks."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from dataplane.metrics import names
from dataplane.metrics.registry import Registry

PROC = Path("/proc")


class ProcessMetrics:
    """Reads this process's entry under `proc`."""

    def __init__(self, registry: Registry, proc: Path = PROC) -> None:
        self._registry = registry
        self._proc = proc
        self._ticks = os.sysconf("SC_CLK_TCK")

    def measure(self) -> None:
        """Bring the five metrics up to date."""
        value = self._registry.value
        # the second field is the program's name in parentheses and may hold spaces; field 3 follows the last ")"
        fields = (self._proc / "self/stat").read_text().rpartition(")")[2].split()
        value(names.CPU_SECONDS).value = (int(fields[11]) + int(fields[12])) / self._ticks
        value(names.RESIDENT_BYTES).value = int(fields[21]) * resource.getpagesize()
        value(names.START_SECONDS).value = self._booted_at() + int(fields[19]) / self._ticks
        value(names.OPEN_FDS).value = len(os.listdir(self._proc / "self/fd"))
        value(names.MAX_FDS).value = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def _booted_at(self) -> int:
        for line in (self._proc / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return int(line.split()[1])
        return 0
