"""How a part of loopkube is kept running: when it ends, it is started again, at first at once, then ever later.

Pure: the supervisor tells it starts and exits with the time, and does what it answers. The delays are short, because
the others keep serving meanwhile and a person is looking; they grow so that a part that cannot start does not burn a
core.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DELAYS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # before the 1st, 2nd ... restart in a row
HOPELESS = 3  # exit code of a part that would fail again: a damaged store, a newer folder
STEADY_S = 10.0  # a part that ran this long starts a new row


@dataclass(slots=True)
class Part:
    """One of the supervisor's own processes: `role` is control, node or dataplane; `name` tells workers apart."""

    role: str
    name: str
    argv: tuple[str, ...]
    pass_fds: tuple[int, ...] = ()
    restarts: int = 0
    pid: int = 0
    ready: set[str] = field(default_factory=set)  # what it said to be ready since its start
    _started_at: float = 0.0
    _row: int = 0

    @property
    def process_id(self) -> str:
        return f"system/{self.name}/{self.restarts}"

    def started(self, pid: int, now: float) -> None:
        self.pid = pid
        self._started_at = now
        self.ready.clear()

    def ended(self, now: float) -> float:
        """Counts a restart; seconds to wait before it."""
        self._row = 0 if now - self._started_at >= STEADY_S else self._row + 1
        self.pid = 0
        self.restarts += 1
        return DELAYS_S[min(max(self._row - 1, 0), len(DELAYS_S) - 1)]
