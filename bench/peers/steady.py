"""An open-loop load in a process of its own: so many requests a second, whether or not earlier ones were answered.

    python -m bench.peers.steady PORT RATE SECONDS BEGIN      prints a `Seen` as JSON; BEGIN in monotonic seconds

wrk waits for an answer before it asks again, so a proxy that pauses is asked less just then. Here a request leaves
when it is due: over an idle connection, over one more if none is idle; every `NEW_EVERY`-th over a connection of its
own, closed after it, because connections that are being made meet other code than those that are open. Nothing that
the proxy does can delay a request, so its latency counts from when it was sent.

What was lost is counted over the whole run, latencies from the second segment (of `SEGMENT_S`) on and for each by
itself, because what else a machine does comes in bursts. `late` is how late this very process was with a request.

The laboratory's sampler is an open loop too, and tells much more of each request; this one costs a quarter of it.
"""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from errno import errorcode
from typing import Any, cast

import uvloop

from bench.lab.stats import percentile
from bench.peers.front import HOST
from bench.peers.nginx import BODY

SEGMENT_S = 1.0
CONNECTIONS = 64  # at the beginning
NEW_EVERY = 50
TICK_S = 0.001  # the event loop's own resolution
ANSWER_MAX_S = 5.0
UNANSWERED_MAX = 5000  # above it the proxy is not answering at all, and what is due is lost
SENT = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n"
KEPT, CLOSING = (SENT + "\r\n").encode(), (SENT + "Connection: close\r\n\r\n").encode()
BEGINS, ENDS = b"HTTP/1.1 200 ", BODY.encode() + b"\n"


@dataclass(slots=True)
class Seen:
    """What became of the requests."""

    requests: int
    p99_s: list[float]  # of each segment but the first
    lost: dict[str, int]  # how -> requests
    late_max_s: float


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: Steady, *, closes: bool) -> None:
        self._load = load
        self._closes = closes
        self._held = b""
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0  # of the request under way; 0: none is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self._sent_at:
            self._transport.write(CLOSING if self._closes else KEPT)
        else:
            self._load.idle.append(self)

    def send(self, now: float) -> None:
        """The request is due; what is not connected yet sends it when it is."""
        self._sent_at = now
        if self._transport is not None:
            self._transport.write(KEPT)

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        held = self._held + data if self._held else data
        if not held.endswith(ENDS):
            self._held = held
            return
        self._held = b""
        sent_at, self._sent_at = self._sent_at, 0.0
        if sent_at:
            self._load.ended(sent_at, "" if held.startswith(BEGINS) else held[9:12].decode("latin-1"))
        if self._closes:
            self.close()
        else:
            self._load.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed("closed" if exc is None else _name(exc))

    def failed(self, why: str) -> None:
        sent_at, self._sent_at = self._sent_at, 0.0
        if sent_at:
            self._load.ended(sent_at, self._held[9:12].decode("latin-1") or why)
        self._held = b""

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Steady:
    """The load: `await run()` once."""

    def __init__(self, port: int, rate: float, seconds: float, begin: float) -> None:
        self.idle: list[Connection] = []
        self._port, self._rate, self._seconds, self._begin = port, rate, seconds, begin
        self._sent = self._unanswered = 0
        self._latencies_s = [array("d") for _ in range(math.ceil(seconds / SEGMENT_S) + 1)]  # the last: sent late
        self._lost: Counter[str] = Counter()
        self._late_max_s = 0.0
        self._dials: set[asyncio.Task[None]] = set()

    async def run(self) -> Seen:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Connection(self, closes=False), "127.0.0.1", self._port)
        await asyncio.sleep(self._begin - time.monotonic())
        while (now := time.monotonic()) < self._begin + self._seconds:
            self._send_due(now)
            await asyncio.sleep(TICK_S)
        self._send_due(time.monotonic())  # an open loop leaves nothing out, however late it is
        until = time.monotonic() + ANSWER_MAX_S
        while self._unanswered and time.monotonic() < until:
            await asyncio.sleep(TICK_S)
        if self._unanswered:
            self._lost["no answer"] = self._unanswered
        p99_s = [percentile(latencies, 0.99) for latencies in self._latencies_s[1:-1]]
        return Seen(self._sent, p99_s, dict(self._lost), self._late_max_s)

    def _send_due(self, now: float) -> None:
        due = int(min(now - self._begin, self._seconds) * self._rate)
        if self._sent < due:
            self._late_max_s = max(self._late_max_s, now - self._begin - self._sent / self._rate)
        while self._sent < due:
            self._sent += 1
            if self._unanswered >= UNANSWERED_MAX:
                self._lost["too many unanswered"] += 1
                continue
            self._unanswered += 1
            if self._sent % NEW_EVERY == 0:
                self._dial(closes=True)
                continue
            while self.idle and self.idle[-1].is_closing:
                self.idle.pop()
            if self.idle:
                self.idle.pop().send(time.monotonic())
            else:
                self._dial(closes=False)

    def _dial(self, *, closes: bool) -> None:
        connection = Connection(self, closes=closes)
        connection.send(time.monotonic())
        task = asyncio.get_running_loop().create_task(self._connect(connection))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _connect(self, connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", self._port)
        except OSError as error:
            connection.failed(_name(error))

    def ended(self, sent_at: float, why: str) -> None:
        """`why`: it was lost so; "" if it was answered."""
        self._unanswered -= 1
        if why:
            self._lost[why] += 1
        else:
            self._latencies_s[int((sent_at - self._begin) / SEGMENT_S)].append(time.monotonic() - sent_at)


def _name(error: Exception) -> str:
    """ECONNRESET and the like."""
    return errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)


def drive(port: int, rate: float, seconds: float, begin: float, meanwhile: Callable[[], None]) -> Seen:
    """Drive a server from another process; `meanwhile` runs in this one, from before the beginning to its own end."""
    command = [sys.executable, "-m", "bench.peers.steady", str(port), str(rate), str(seconds), str(begin)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            meanwhile()
            text, _ = child.communicate(timeout=seconds + ANSWER_MAX_S + 60)
        except BaseException:
            child.kill()
            raise
    found: dict[str, Any] = json.loads(text)
    return Seen(**found)


def main() -> None:
    port, rate, seconds, begin = sys.argv[1:]
    seen = uvloop.run(Steady(int(port), float(rate), float(seconds), float(begin)).run())
    print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
