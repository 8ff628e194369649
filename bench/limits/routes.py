"""Routing among 10, 1,000 and 10,000 rules: CPU of a worker per request, and time and memory of compiling them.

    python -m bench.limits.routes [--requests 60000] [--rounds 3] [--json FILE]

A worker gets its state from a file: ten hosts that share the path rules, whose backend has no endpoint. So a request
costs its parsing, the look-up and a short answer (503), and nothing of a backend: the look-up's share is as large as it
can be. It is always ten hosts, because a head with another Host is parsed anew, which is not routing. Requests ask for
random rules, over one connection, in batches, so that a batch costs two system calls. The rounds of the three sizes
alternate; the best of each counts, since nothing makes a worker faster than it is.

One more worker has ten rules with a policy of six parts: what the filters cost who uses them.

The time to compile is from the worker's start to its first state in force, less that of the worker with ten rules
(reading and checking the file is in it).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.limits.cluster import Figure, show
from bench.machine import cpu_s
from bench.peers.processes import unused_port

SIZES = (10, 1_000, 10_000)
HOSTS = 10
BATCH = 32
READY_MAX_S = 60.0
GOAL_RATIO = 1.1  # "10,000 rules cost the same per request as 10", with room for caches of the processor


POLICY = {
    "name": "p",
    "cors": {"origins": ["*"], "methods": "GET", "headers": "X"},
    "limits": {"per_second": 1_000_000, "connections": 1000},
    "allow": ["127.0.0.0/8"],
    "rewrite_target": "/new",
    "host": "inner.test",
    "response_fields": [["X-Frame-Options", "DENY"]],
}
"""Six things at once: more than an Ingress usually asks for."""


def resources(rules: int, port: int, *, governed: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """The state: rule number n is of host n modulo ten."""
    listener = {"name": "web", "address": "127.0.0.1", "port": port, "mode": "ingress", "table": "t"}
    routes = [
        {
            "name": f"r{number}",
            "table": "t",
            "host": f"h{number % HOSTS}.test",
            "path": path(number),
            "path_type": "Prefix",
            "backend": "none",
            "order": ["", "", number],
            "policy": "p" if governed else "",
        }
        for number in range(rules)
    ]
    policies = [("routepolicy", POLICY)] if governed else []
    return [("listener", listener), *policies, *(("route", route) for route in routes)]


def path(number: int) -> str:
    """Of three elements, as paths of APIs are."""
    return f"/api/v{number % 3}/things-{number}"


class Worker:
    """A worker with so many rules, for as long as it is needed."""

    def __init__(self, folder: Path, rules: int, *, governed: bool = False) -> None:
        port = unused_port()
        file = folder / f"{rules}-{governed}.json"
        upserts = resources(rules, port, governed=governed)
        file.write_text(json.dumps({"update": {"version": 1, "full": True, "upserts": upserts}}))
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "dataplane.worker", "--snapshot", str(file), "--log-level", "error"]
        began = time.monotonic()
        self._process = subprocess.Popen([*command, "--ready-fd", str(writing)], pass_fds=[writing])
        os.close(writing)
        if not select.select([reading], [], [], READY_MAX_S)[0]:
            raise RuntimeError(f"a worker with {rules} rules was not ready within {READY_MAX_S:g} s")
        self.ready_s = time.monotonic() - began
        os.close(reading)
        self._socket = socket.create_connection(("127.0.0.1", port), READY_MAX_S)
        self._rules = rules

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def cpu_us(self, requests: int, seed: int) -> float:
        """CPU of one request, over so many."""
        rng = random.Random(seed)
        batches = [self._batch(rng) for _ in range(64)]
        before, done = cpu_s(self._process.pid), 0
        while done < requests:
            self._socket.sendall(batches[done // BATCH % len(batches)])
            answered = 0
            while answered < BATCH:
                answered += self._socket.recv(1 << 16).count(b"HTTP/1.1 503")
            done += BATCH
        return (cpu_s(self._process.pid) - before) / done * 1e6

    def _batch(self, rng: random.Random) -> bytes:
        numbers = [rng.randrange(self._rules) for _ in range(BATCH)]
        return b"".join(
            f"GET {path(number)}/x HTTP/1.1\r\nHost: h{number % HOSTS}.test\r\n\r\n".encode() for number in numbers
        )

    def end(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)


def measure(requests: int, rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        workers = {rules: Worker(Path(folder), rules) for rules in SIZES}
        governed = Worker(Path(folder), SIZES[0], governed=True)
        try:
            figures = []
            best = dict.fromkeys(SIZES, float("inf"))
            with_policy = float("inf")
            for number in range(rounds):
                for rules, worker in workers.items():
                    best[rules] = min(best[rules], worker.cpu_us(requests, number))
                with_policy = min(with_policy, governed.cpu_us(requests, number))
            small = best[SIZES[0]]
            for rules, worker in workers.items():
                figures.append(Figure(f"CPU of a request, {rules:,} rules", best[rules], "us"))
                if rules > SIZES[0]:
                    first = workers[SIZES[0]]
                    figures.append(Figure("  beside 10 rules", best[rules] / small, "times", GOAL_RATIO))
                    figures.append(Figure("  to compile them", (worker.ready_s - first.ready_s) * 1e3, "ms"))
                    size = (worker.resident_mb - first.resident_mb) * 1024 / rules
                    figures.append(Figure("  memory of a rule", size, "KiB"))
            figures.append(Figure("CPU of a request, 10 rules with a policy", with_policy, "us"))
            return figures
        finally:
            for worker in (*workers.values(), governed):
                worker.end()


def main() -> None:
    parser = argparse.ArgumentParser(description="Routing among many rules.")
    parser.add_argument("--requests", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    show("Routing", measure(options.requests, options.rounds), options.json)


if __name__ == "__main__":
    main()
