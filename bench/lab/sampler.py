"""An open-loop load: requests leave when they are due, whether or not earlier ones were answered.

A closed loop (send, wait, send) slows down with the system that it measures and so hides what users would have felt;
an open one does not (coordinated omission). Half of the requests use a connection of their own, the other half a
connection that earlier ones have used: a new connection meets the endpoints of this moment, a reused one may lead to
an endpoint that is on its way out. The two are told apart everywhere, because they are lost for different reasons.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from bench.lab.response import Response
from bench.lab.samples import Outcome, Regime, Sample, outcome_of_error, who_answered

SWEEP_S = 0.05  # how often time-outs are looked for


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `rate` requests a second, `reused_share` of them over reused connections."""

    host: str
    port: int
    host_header: str
    path: str = "/"
    rate: float = 1000.0
    reused_share: float = 0.5
    timeout_s: float = 5.0
    in_flight_max: int = 5000  # above it the system is not answering at all: requests count as timeouts


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.transport: asyncio.Transport | None = None
        self.flight: _Flight | None = None
        self._response = Response()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of asyncio's

    def send(self, flight: _Flight, request: bytes) -> None:
        self.flight = flight
        flight.connection = self
        self._response = Response()
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        flight = self.flight
        if flight is None:  # bytes that nobody asked for (a 408 on an idle connection): not worth keeping it
            self.close()
            return
        try:
            self._response.feed(data)
        except ValueError as error:
            self._fail(error)
            return
        if self._response.complete:
            self._complete(flight)

    def _complete(self, flight: _Flight) -> None:
        self.flight = None
        response = self._response
        pod, version = who_answered(response.body)
        self._sampler.ended(flight, "5xx" if response.status >= 500 else "ok", response.status, pod, version)
        if flight.regime == "reused" and response.keeps_alive:
            self._sampler.idle.append(self)
        else:
            self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._response.end()
        flight = self.flight
        if flight is not None and self._response.complete:
            self._complete(flight)
        elif flight is not None:
            self._fail(exc)

    def _fail(self, error: BaseException | None) -> None:
        flight, self.flight = self.flight, None
        if flight is not None:
            what = "connection ended before the response" if error is None else str(error)
            self._sampler.ended(flight, outcome_of_error(error), error=what)
        self.close()

    def close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


@dataclass(slots=True, eq=False)
class _Flight:
    due_at: float
    regime: Regime
    expires_at: float  # monotonic
    connection: _Connection | None = None
    over: bool = False


class Sampler:
    """Runs a `Load` until `stop`; `samples` grows as requests end. `on_sample` hears of each."""

    def __init__(self, load: Load, on_sample: Callable[[Sample], None] | None = None) -> None:
        self._load = load
        self._on_sample = on_sample
        self._request = (
            f"GET {load.path} HTTP/1.1\r\nHost: {load.host_header}\r\nUser-Agent: loopkube-lab\r\nAccept: */*\r\n"
        ).encode()
        self._flights: deque[_Flight] = deque()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.idle: deque[_Connection] = deque()
        self.samples: list[Sample] = []
        self.sent = 0
        self.in_flight = 0
        self.late_max_s = 0.0  # how late this very process was with a request: judge the measurement by it

    async def run(self) -> None:
        """Sends until `stop`, then waits for what is under way. Bounded by `timeout_s` after the stop."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        unix = time.time() - start
        load = self._load
        number = 0
        acc = 0.0
        sweeper = asyncio.create_task(self._sweep())
        while not self._stopping:
            due = start + number / load.rate
            wait_s = due - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            self.late_max_s = max(self.late_max_s, -wait_s)
            acc += load.reused_share
            regime: Regime = "new"
            if acc >= 1.0:
                acc -= 1.0
                regime = "reused"
            self._launch(_Flight(unix + due, regime, due + load.timeout_s))
            number += 1
            if number % 100 == 0:
                await asyncio.sleep(0)  # when late: answers must be read all the same
        while self.in_flight:
            await asyncio.sleep(SWEEP_S)
        sweeper.cancel()
        for connection in self.idle:
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        self._stopping = True

    def _launch(self, flight: _Flight) -> None:
        self.sent += 1
        self.in_flight += 1
        if self.in_flight > self._load.in_flight_max:
            self.ended(flight, "timeout", error="too many requests unanswered")
            return
        self._flights.append(flight)
        while flight.regime == "reused" and self.idle:
            connection = self.idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                connection.send(flight, self._request + b"\r\n")
                return
        task = asyncio.get_running_loop().create_task(self._dial(flight))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, flight: _Flight) -> None:
        load = self._load
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), load.host, load.port
            )
        except OSError as error:
            self.ended(flight, outcome_of_error(error), error=str(error))
            return
        if flight.over:
            connection.close()
        else:
            connection.send(
                flight, self._request + (b"\r\n" if flight.regime == "reused" else b"Connection: close\r\n\r\n")
            )

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            while self._flights and (self._flights[0].over or self._flights[0].expires_at <= now):
                flight = self._flights.popleft()
                if not flight.over:
                    connection, flight.connection = flight.connection, None
                    self.ended(flight, "timeout", error=f"no answer in {self._load.timeout_s:g} s")
                    if connection is not None:
                        connection.flight = None
                        connection.close()

    def ended(
        self, flight: _Flight, outcome: Outcome, status: int = 0, pod: str = "", version: str = "", error: str = ""
    ) -> None:
        """Books a request's end, once."""
        if flight.over:
            return
        flight.over = True
        self.in_flight -= 1
        latency_s = time.time() - flight.due_at
        sample = Sample(flight.due_at, max(latency_s, 0.0), flight.regime, outcome, status, pod, version, error)
        self.samples.append(sample)
        if self._on_sample is not None:
            self._on_sample(sample)
