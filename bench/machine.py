"""The machine that a result was measured on, as far as the result depends on it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """Processor, number of cores, kernel."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = found[1] if found else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Linux {platform.release()}"
