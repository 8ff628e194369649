"""The last resort against leftovers: a shell that waits for the supervisor's end and then clears up.

Each child of the supervisor dies with it by the parent-death signal, but a child's own children do not: the kernel
sends that signal to direct children only, and after kill -9 nobody of us is left to tell the others. So a shell (1
MB, no Python) holds the read end of a pipe whose write end only the supervisor has. End of file means the supervisor
is gone, by whatever signal: the shell kills what still carries the cluster's mark in its environment, a few times
over, because processes may be forking.
"""

from __future__ import annotations

import os
import subprocess

MARK = "LOOPKUBE_CLUSTER"
PASSES = 5

SCRIPT = f"""
trap '' INT TERM HUP
read -r _
pass=0
while [ $pass -lt {PASSES} ]; do
  pass=$((pass + 1))
  found=$(grep -lzx -e "{MARK}=$1" /proc/[0-9]*/environ 2>/dev/null)
  for file in $found; do
    pid=${{file#/proc/}}
    pid=${{pid%/environ}}
    [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
  done
  [ -n "$found" ] || break
done
"""


def start(mark: str) -> tuple[int, int]:
    """(its pid, the write end to keep open). `mark` is the value that our processes have in their environment."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, False)
    warden = subprocess.Popen(
        ("/bin/sh", "-c", SCRIPT, "loopkube-warden", mark),
        stdin=read_end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
        cwd="/",
    )
    os.close(read_end)
    return warden.pid, write_end
