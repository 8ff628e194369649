"""Requests while endpoints change: p99 and losses at half of saturation, with 100 changes a second and without.

    python -m bench.peers.churn [--rounds 3] [--seconds 6] [--changes 100] [--rate N] [--json FILE]

Each proxy has twenty backends, and all of them really run all the time, so no request has to be lost. An open-loop
load (`steady.py`) goes through, in alternating runs without changes and with them, one endpoint at a time:

    loopkube    updates from a publisher on its socket: not ready, ready, replaced by another of the same address
    nginx       a configuration with one server fewer or again, and a reload. A reload is over when its new worker is
                there; the next begins no earlier, so it says itself how many changes it can take
    haproxy     `set server ... state maint` and `ready` on its runtime socket

The rate is half of what wrk gets through loopkube over kept-alive connections (two runs, the higher counts), and the
same for all three. p99 is the median over the seconds of all runs of one kind, since what else the machine does comes
in bursts. CPU is of all of a proxy's processes, for nginx those that a reload ended too.

Goals are loopkube's: p99 with changes at most 1.2 times that without, no request lost, and every change made.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from bench.limits.cluster import Figure, show
from bench.machine import cpu_s
from bench.peers import haproxy, load, loopkube, nginx
from bench.peers.front import Front, Peer
from bench.peers.processes import Missing
from bench.peers.scenarios import SCENARIOS
from bench.peers.steady import Seen, drive
from bench.publisher import Publisher

BACKENDS = 20
P99_GOAL = 1.2
RELOAD_MAX_S = 10.0
LEAD_S = 1.5  # for the load's process to start
CALIBRATION_S = 2.0
CALIBRATION_CONNECTIONS = 64


class Subject(Protocol):
    """A proxy and how it is told of changes."""

    peer: Peer

    def change(self, number: int) -> None:
        """Make the number-th change, and return when the proxy has taken it."""

    def cpu_s(self) -> float:
        """Of all its processes, ended ones included."""


class Loopkube:
    """Told by a publisher of our own."""

    def __init__(self, stack: ExitStack, folder: Path, backends: list[int]) -> None:
        self._publisher = stack.enter_context(Publisher(folder / "publish.sock"))
        self.peer = loopkube.start_fed(stack, folder, backends, Front(), self._publisher)
        self._backends = backends
        self._ids = [f"e{number}" for number in range(len(backends))]

    def change(self, number: int) -> None:
        step, place = number % 3, number // 3 % len(self._backends)
        port, before = self._backends[place], self._ids[place]
        if step < 2:
            self._publisher.tell([loopkube.endpoint(before, port, ready=step == 1)])
            return
        self._ids[place] = f"e{place}-{number}"
        self._publisher.tell([loopkube.endpoint(self._ids[place], port)], [("endpoint", f"b|{before}")])

    def cpu_s(self) -> float:
        return cpu_s(self.peer.pid)


class Nginx:
    """Told by files and SIGHUP."""

    def __init__(self, stack: ExitStack, folder: Path, backends: list[int]) -> None:
        self.peer = nginx.start(stack, folder, backends, Front())
        self._file = folder / f"nginx-{Front()}.conf"
        self._text = self._file.read_text()
        self._backends = backends
        self._master = int(Path(f"/proc/{self.peer.pid}/stat").read_text().rpartition(")")[2].split()[1])

    def change(self, number: int) -> None:
        port = self._backends[number // 2 % len(self._backends)]
        server = f"server 127.0.0.1:{port};"
        self._file.write_text(self._text if number % 2 else self._text.replace(server, ""))
        before = self._workers()
        os.kill(self._master, signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_MAX_S
        while self._workers() <= before:
            if time.monotonic() > deadline:
                raise RuntimeError("nginx did not reload")
            time.sleep(0.001)

    def _workers(self) -> set[int]:
        return set(map(int, Path(f"/proc/{self._master}/task/{self._master}/children").read_text().split()))

    def cpu_s(self) -> float:
        return cpu_s(self._master, with_ended_children=True) + sum(map(cpu_s, self._workers()))


class Haproxy:
    """Told over its runtime socket."""

    def __init__(self, stack: ExitStack, folder: Path, backends: list[int]) -> None:
        self.peer = haproxy.start(stack, folder, backends, Front())
        self._socket = haproxy.runtime_socket(folder, Front())
        self._backends = backends

    def change(self, number: int) -> None:
        port = self._backends[number // 2 % len(self._backends)]
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._socket))
            sock.sendall(f"set server backends/s{port} state {'ready' if number % 2 else 'maint'}\n".encode())
            answer = b""
            while data := sock.recv(4096):
                answer += data
        if answer.strip():
            raise RuntimeError(f"haproxy: {answer.decode()}")

    def cpu_s(self) -> float:
        return cpu_s(self.peer.pid)


SUBJECTS: dict[str, Callable[[ExitStack, Path, list[int]], Subject]] = {
    "loopkube": Loopkube,
    "nginx": Nginx,
    "haproxy": Haproxy,
}


@dataclass(slots=True)
class Changer:
    """Changes a proxy's endpoints `rate` times a second, or as often as the proxy takes it. 0: leaves it alone."""

    subject: Subject
    rate: float
    numbers: Iterator[int]  # of the changes, over all runs
    made: int = 0
    cpu_s: float = 0.0

    def run(self, begin: float, seconds: float) -> None:
        _sleep_until(begin)
        before, count = self.subject.cpu_s(), round(self.rate * seconds)
        for due in range(count):
            _sleep_until(begin + due / self.rate)
            if time.monotonic() >= begin + seconds:
                break
            self.subject.change(next(self.numbers))
            self.made += 1
        _sleep_until(begin + seconds)
        self.cpu_s = self.subject.cpu_s() - before


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


@dataclass(slots=True)
class Found:
    """What one proxy's runs of one kind came to."""

    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    made: int = 0

    def add(self, seen: Seen, changer: Changer) -> None:
        self.p99_ms += [each * 1e3 for each in seen.p99_s]
        self.cpu_us.append(changer.cpu_s / seen.requests * 1e6)
        self.lost.update(seen.lost)
        self.requests += seen.requests
        self.made += changer.made


def figures_of(name: str, quiet: Found, changing: Found, seconds: float, changes: float) -> list[Figure]:
    """`seconds`: for how long `changes` a second were wanted."""
    ours = name == "loopkube"
    before, after = statistics.median(quiet.p99_ms), statistics.median(changing.p99_ms)
    figures = [
        Figure(f"{name}: changes made", changing.made / seconds, "/s", changes if ours else None, more_is_better=True),
        Figure(f"{name}: p99 without changes", before, "ms"),
        Figure(f"{name}: p99 with changes", after, "ms"),
        Figure(f"{name}: p99 with over without", after / before, "times", P99_GOAL if ours else None),
    ]
    for kind, found in (("without", quiet), ("with", changing)):
        cpu_us = statistics.median(found.cpu_us)
        figures.append(Figure(f"{name}: CPU of a request {kind} changes", cpu_us, "us"))
        note = ", ".join([f"of {found.requests:,}", *(f"{count} {how}" for how, count in found.lost.most_common())])
        lost = found.lost.total()
        figures.append(Figure(f"{name}: requests lost {kind} changes", lost, "", 0 if ours else None, note=note))
    return figures


def saturation(peer: Peer, folder: Path) -> float:
    """Requests per second, as wrk finds them."""
    runs = [load.run(peer.port, SCENARIOS["small"], CALIBRATION_CONNECTIONS, CALIBRATION_S, folder) for _ in range(2)]
    return max(run.requests_per_s for run in runs)


def measure(rounds: int, seconds: float, changes: float, rate: float | None) -> list[Figure]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loopkube-churn-")))
        folder.chmod(0o755)  # nginx's worker may run as another user
        backends = nginx.start_backends(stack, folder, BACKENDS)
        subjects: dict[str, Subject] = {}
        for name, start in SUBJECTS.items():
            try:
                subjects[name] = start(stack, folder, backends)
            except Missing as missing:
                print(f"{name} is left out: {missing}", file=sys.stderr)
        if rate is None:
            rate = saturation(subjects["loopkube"].peer, folder) / 2
        found = {name: (Found(), Found()) for name in subjects}
        numbers = {name: itertools.count() for name in subjects}
        for turn in range(rounds):
            names = list(subjects)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                for kind in (turn % 2, 1 - turn % 2):  # with changes first in every second round
                    changer = Changer(subjects[name], changes * kind, numbers[name])
                    begin = time.monotonic() + LEAD_S
                    seen = drive(subjects[name].peer.port, rate, seconds, begin, partial(changer.run, begin, seconds))
                    found[name][kind].add(seen, changer)
                    late = f"the load was up to {seen.late_max_s * 1e3:.0f} ms late"
                    print(f"{name} {'with' if kind else 'without'} changes: done; {late}", file=sys.stderr)
    figures = [Figure("requests a second", rate, "/s")]
    for name, (quiet, changing) in found.items():
        figures += figures_of(name, quiet, changing, rounds * seconds, changes)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests while endpoints change.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=int, default=20, help="of each run, an even number; half of them with changes"
    )
    parser.add_argument("--changes", type=float, default=100.0, help="a second")
    parser.add_argument("--rate", type=float, help="requests a second, instead of half of saturation")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures = measure(options.rounds, options.seconds, options.changes, options.rate)
    show("Requests while endpoints change", figures, options.json)


if __name__ == "__main__":
    main()
