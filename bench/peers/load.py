"""wrk: what it is asked to do and what it says."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.peers.front import HOST
from bench.peers.processes import program
from bench.peers.scenarios import Scenario

VARIED = """
local n = 0
local agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
request = function()
  n = n + 1
  wrk.headers["User-Agent"] = agent
  wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
  wrk.headers["Accept-Encoding"] = "gzip, deflate, br"
  wrk.headers["Cookie"] = "session=" .. (n % 997)
  return wrk.format("GET", "/items/" .. n .. "?page=" .. (n % 10))
end
"""
"""A browser's head with a path of its own each time and one of a thousand sessions."""

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw. `errors` are socket errors and answers other than 2xx and 3xx."""

    requests: int
    requests_per_s: float
    p99_s: float
    errors: int


def run(port: int, scenario: Scenario, connections: int, seconds: float, folder: Path) -> Load:
    """Drive a server on loopback for so long."""
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "10s"]
    command += ["-H", f"Host: {HOST}"]
    if scenario.closing:
        command += ["-H", "Connection: close"]
    if scenario.varied:
        script = folder / "varied.lua"
        script.write_text(VARIED)
        command += ["-s", str(script)]
    scheme = "https" if scenario.front.tls else "http"
    url = f"{scheme}://127.0.0.1:{port}{scenario.path}"
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse(done.stdout)


def parse(text: str) -> Load:
    """wrk's report as numbers."""
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    if requests is None or rate is None or p99 is None:
        raise ValueError(f"wrk said something else: {text}")
    errors = 0
    if found := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
        errors += sum(map(int, found.groups()))
    if found := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        errors += int(found[1])
    return Load(int(requests[1]), float(rate[1]), float(p99[1]) * UNITS[p99[2]], errors)
