"""What a process holds of memory, as the kernel tells it (proc(5), smaps_rollup)."""

from __future__ import annotations


def memory_of(pid: int) -> tuple[int, int]:
    """(resident, proportional) set size in bytes; zeros when the process is gone or another user's."""
    resident = proportional = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Rss:"):
                    resident = int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    proportional = int(line.split()[1]) * 1024
                    break
    except OSError:
        return 0, 0
    return resident, proportional
