"""Taking turns: in each round every peer is driven once with each number of connections, in rotating order.

The figure of a peer is the median over rounds, so that a disturbance of one round does not decide; the lowest is kept
beside it, because other work on the machine only ever adds (caches, frequency, the other hyperthread).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import load
from bench.peers.peers import STARTERS, Missing, Peer, start_backends

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """What was measured: whom, with how many connections, and with heads repeated or varied."""

    peer: str
    connections: int
    heads: str


@dataclass(slots=True)
class Figures:
    """One value a round."""

    cpu_us: list[float] = field(default_factory=list)
    requests_per_s: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    errors: int = 0

    def summary(self) -> dict[str, float]:
        return {
            "cpu_us": statistics.median(self.cpu_us),
            "cpu_us_min": min(self.cpu_us),
            "requests_per_s": statistics.median(self.requests_per_s),
            "p99_ms": statistics.median(self.p99_ms),
            "errors": self.errors,
        }


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(
    names: list[str], connections: list[int], rounds: int, seconds: float, *, varied: bool
) -> tuple[dict[Key, Figures], list[str]]:
    """All figures, and what had to be left out."""
    figures: dict[Key, Figures] = {}
    missing: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loopkube-peers-")))
        folder.chmod(0o755)  # nginx's worker may run as another user
        backends = start_backends(stack, folder)
        peers: list[Peer] = []
        for name in names:
            try:
                peers.append(STARTERS[name](stack, folder, backends))
            except Missing as error:
                missing.append(str(error))
        script = folder / "varied.lua"
        script.write_text(load.VARIED)
        kinds: list[tuple[str, Path | None]] = [("same", None)] + ([("varied", script)] if varied else [])
        for peer in peers:
            load.run(peer.port, max(connections), WARM_UP_S, None)
        for turn in range(rounds):
            for heads, kind in kinds:
                for count in connections:
                    order = peers[turn % len(peers) :] + peers[: turn % len(peers)]
                    for peer in order:
                        took = figures.setdefault(Key(peer.name, count, heads), Figures())
                        _take(peer, count, seconds, kind, took)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return figures, missing


def _take(peer: Peer, connections: int, seconds: float, script: Path | None, into: Figures) -> None:
    before = cpu_s(peer.pid)
    seen = load.run(peer.port, connections, seconds, script)
    used = cpu_s(peer.pid) - before
    into.cpu_us.append(used / max(1, seen.requests) * 1e6)
    into.requests_per_s.append(seen.requests_per_s)
    into.p99_ms.append(seen.p99_s * 1e3)
    into.errors += seen.errors
