"""What is measured, as a table: what the proxies are, what is asked of them, beside whom, and what ought to come out.

CPU of the proxy per unit of work comes first: it is what a shared, noisy machine disturbs least, and it bounds what
one core can do. For bodies the unit is a megabyte, and bytes per second are a goal too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.peers import aiohttp_proxy, haproxy, loopkube, nginx
from bench.peers.front import Front, Start

STARTERS: dict[str, Start] = {
    "loopkube": loopkube.start,
    "nginx": nginx.start,
    "haproxy": haproxy.start,
    "aiohttp": aiohttp_proxy.start,
}

Unit = Literal["request", "MB", "message"]
SMALL = (1, 32, 256)


@dataclass(frozen=True, slots=True)
class Goal:
    """loopkube's figure over that of `beside`: `cpu` at most so much, `rate` at least so much."""

    beside: str
    figure: Literal["cpu", "rate"]
    limit: float

    def met(self, ratio: float) -> bool:
        return ratio <= self.limit if self.figure == "cpu" else ratio >= self.limit


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. `megabytes` of each answer, where the unit is a megabyte."""

    name: str
    front: Front
    connections: tuple[int, ...]
    what: str
    path: str = "/"
    unit: Unit = "request"
    megabytes: float = 0.0
    closing: bool = False  # a new connection for each request
    varied: bool = False  # heads that differ from request to request
    streams: int = 0  # at a time on each connection, over HTTP/2; 0: HTTP/1.1
    peers: tuple[str, ...] = ("loopkube", "nginx", "haproxy")
    goals: tuple[Goal, ...] = ()


SMALL_GOALS = (Goal("nginx", "cpu", 1.0), Goal("haproxy", "cpu", 1.0), Goal("aiohttp", "cpu", 1 / 6))
TCP_GOALS = (Goal("nginx", "cpu", 1.05), Goal("haproxy", "cpu", 1.05))
BULK_GOALS = (Goal("haproxy", "rate", 1.0),)
ALL = ("loopkube", "nginx", "haproxy", "aiohttp")

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("small", Front(), SMALL, "small requests, kept-alive", peers=ALL, goals=SMALL_GOALS),
        Scenario("varied", Front(), SMALL, "the same, each with another path and cookie", varied=True, peers=ALL),
        Scenario("new", Front(), (32,), "a connection for each request", closing=True),
        Scenario("tcp", Front("tcp"), SMALL, "small requests over relayed connections", goals=TCP_GOALS),
        Scenario("tcp-new", Front("tcp"), (32,), "a relayed connection for each request", closing=True),
        Scenario(
            "tcp-1m", Front("tcp"), (8,), "1 MB answers, relayed", path="/1m", unit="MB", megabytes=1.0,
            goals=BULK_GOALS,
        ),
        Scenario("1m", Front(), (8,), "1 MB answers", path="/1m", unit="MB", megabytes=1.0),
        Scenario("100m", Front(), (2,), "100 MB answers", path="/100m", unit="MB", megabytes=100.0),
        Scenario("tls", Front(tls=True), (32,), "small requests over TLS, kept-alive"),
        Scenario("handshake", Front(tls=True), (32,), "a TLS connection for each request", closing=True),
        Scenario("h2", Front(tls=True, http2=True), (1, 32), "small requests over HTTP/2", streams=1),
        Scenario("h2-many", Front(tls=True, http2=True), (8,), "the same, 16 at a time on each connection", streams=16),
        Scenario("websocket", Front(), (32,), "WebSocket messages of 64 bytes, echoed", unit="message"),
    )
}  # fmt: skip
