"""h2load: what it is asked to do and what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench.peers.front import HOST
from bench.peers.load import Load
from bench.peers.processes import program
from bench.peers.scenarios import Scenario


def run(port: int, scenario: Scenario, connections: int, seconds: float, folder: Path) -> Load:
    """Drive a server on loopback for so long, over HTTP/2 as ALPN agrees on it."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)  # h2load appends
    command = [program("h2load"), "-t1", f"-c{connections}", f"-m{scenario.streams}", f"-D{seconds:g}"]
    command += ["-H", f":authority: {HOST}", f"--log-file={log}", f"https://127.0.0.1:{port}{scenario.path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse(done.stdout, log.read_text())


def parse(text: str, log: str) -> Load:
    """h2load's report as numbers; `log` has a line (begin, status, microseconds) for each request."""
    rate = re.search(r"finished in [\d.]+\w*, ([\d.]+) req/s", text)
    requests = re.search(
        r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, \d+ failed, (\d+) errored", text
    )
    if rate is None or requests is None or "Application protocol: h2" not in text:
        raise ValueError(f"h2load said something else: {text}")
    _, done, succeeded, errored = map(int, requests.groups())
    took = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    p99 = took[len(took) * 99 // 100] * 1e-6 if took else 0.0
    return Load(done, float(rate[1]), p99, done - succeeded + errored)
