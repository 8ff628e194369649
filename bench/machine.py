"""The machine that a result was measured on, as far as the result depends on it; and what /proc says of a process."""

from __future__ import annotations

import datetime
import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """Processor, number of cores, kernel."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = found[1] if found else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Linux {platform.release()}"


def provenance() -> dict[str, str]:
    """What every committed result carries: where, with which versions, by which command and on which day."""
    module = sys.modules["__main__"].__spec__
    name = module.name.removesuffix(".__main__") if module is not None else Path(sys.argv[0]).name
    return {
        "machine": machine(),
        "python": platform.python_version(),
        "uvloop": version("uvloop"),
        "loopkube": version("loopkube"),
        "command": " ".join(["python -m", name, *sys.argv[1:]]),
        "day": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    }


def cpu_s(pid: int, *, with_ended_children: bool = False) -> float:
    """CPU seconds (user and system) that a process has used; proc(5), fields 14 to 17 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended_children else 13])) * TICK_S


def pss_bytes(pid: int) -> int:
    """Memory of a process, what it shares divided by the number of those that share it; proc(5), smaps_rollup."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None, "every process has it"
    return int(found[1]) * 1024
