"""Taking turns: in each round every peer is driven once with each number of connections, in rotating order.

The figure of a peer is the median over rounds, so that a disturbance of one round does not decide; the lowest is kept
beside it, because other work on the machine only ever adds (caches, frequency, the other hyperthread).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import cpu_s
from bench.peers import h2load, load, nginx, websocket
from bench.peers.front import Front, Peer
from bench.peers.load import Load
from bench.peers.processes import Missing
from bench.peers.scenarios import STARTERS, Scenario

WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """What was measured: in which scenario, whom, with how many connections."""

    scenario: str
    peer: str
    connections: int


@dataclass(slots=True)
class Figures:
    """One value a round; CPU and rate are of the scenario's unit."""

    cpu_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    errors: int = 0

    def add(self, scenario: Scenario, cpu: float, seen: Load) -> None:
        size = scenario.megabytes or 1.0
        self.cpu_us.append(cpu / max(1.0, seen.requests * size) * 1e6)
        self.per_s.append(seen.requests_per_s * size)
        self.p99_ms.append(seen.p99_s * 1e3)
        self.errors += seen.errors

    def summary(self) -> dict[str, float]:
        return {
            "cpu_us": statistics.median(self.cpu_us),
            "cpu_us_min": min(self.cpu_us),
            "per_s": statistics.median(self.per_s),
            "p99_ms": statistics.median(self.p99_ms),
            "errors": self.errors,
        }


class Stage:
    """The servers that are running: started when first asked for, ended with the block."""

    def __init__(self, names: list[str]) -> None:
        self.missing: dict[str, None] = {}
        self.folder = Path()
        self._names = names
        self._stack = ExitStack()
        self._backends: dict[bool, list[int]] = {}
        self._peers: dict[tuple[Front, bool, str], Peer | None] = {}

    def __enter__(self) -> Stage:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="loopkube-peers-")))
        self.folder.chmod(0o755)  # nginx's worker may run as another user
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def peers(self, scenario: Scenario) -> list[Peer]:
        """Those of the scenario that are wanted and installed."""
        echoing = scenario.unit == "message"
        found = (self._peer(name, scenario.front, echoing) for name in scenario.peers if name in self._names)
        return [peer for peer in found if peer is not None]

    def _peer(self, name: str, front: Front, echoing: bool) -> Peer | None:
        key = (front, echoing, name)
        if key not in self._peers:
            if echoing not in self._backends:
                start = (
                    websocket.start_backends(self._stack) if echoing else nginx.start_backends(self._stack, self.folder)
                )
                self._backends[echoing] = start
            try:
                self._peers[key] = STARTERS[name](self._stack, self.folder, self._backends[echoing], front)
            except Missing as error:
                self._peers[key] = None
                self.missing[str(error)] = None
        return self._peers[key]

    def drive(self, peer: Peer, scenario: Scenario, connections: int, seconds: float) -> Load:
        if scenario.unit == "message":
            return websocket.run(peer.port, connections, seconds)
        if scenario.streams:
            return h2load.run(peer.port, scenario, connections, seconds, self.folder)
        return load.run(peer.port, scenario, connections, seconds, self.folder)


def measure(
    scenarios: list[Scenario], names: list[str], connections: list[int] | None, rounds: int, seconds: float
) -> tuple[dict[Key, Figures], list[str]]:
    """All figures, and what had to be left out. `connections` instead of the scenarios' own, if given."""
    figures: dict[Key, Figures] = {}
    with Stage(names) as stage:
        for scenario in scenarios:
            peers, counts = stage.peers(scenario), connections or scenario.connections
            for peer in peers:
                stage.drive(peer, scenario, max(counts), WARM_UP_S)
            for turn in range(rounds):
                for count in counts:
                    for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                        before = cpu_s(peer.pid)
                        seen = stage.drive(peer, scenario, count, seconds)
                        used = cpu_s(peer.pid) - before
                        figures.setdefault(Key(scenario.name, peer.name, count), Figures()).add(scenario, used, seen)
            print(f"{scenario.name}: {scenario.what}: done", file=sys.stderr)
        return figures, list(stage.missing)
