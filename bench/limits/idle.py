"""Ten thousand idle clients of one worker: memory of each connection, and what waiting costs; beside nginx and HAProxy.

    python -m bench.limits.idle [--connections 10000] [--seconds 10] [--json FILE]

Each proxy is started anew and gets half of the connections, its one worker process is measured (PSS, which for a lone
process is what it costs the machine), it gets the other half and is measured again; the difference over their number
is a connection's memory. The first half fills what the process had free from its start. Each connection has had one
request answered, so whatever a proxy keeps between requests is there. The kernel's socket buffers belong to no process
and cost the same under each.

In TCP mode a connection is a pair: the client's and the endpoint's, and both are held open. That takes two descriptors
a connection in one process, so where the limit on descriptors does not allow the number asked for, all proxies and
both modes get what it does allow.

nginx reserves its connection slots at start for as many as it is configured for; those (about 0.4 KiB each) are not in
the difference.
"""

from __future__ import annotations

import argparse
import resource
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.limits.cluster import Figure, show
from bench.machine import cpu_s, pss_bytes
from bench.peers import haproxy, loopkube, nginx
from bench.peers.front import HOST, Front, Mode, Peer, Start
from bench.peers.processes import Missing

PEERS: dict[str, Start] = {"loopkube": loopkube.start, "nginx": nginx.start, "haproxy": haproxy.start}
MODES: tuple[Mode, ...] = ("http", "tcp")
WARM_UP = 200  # connections made and closed before the first look, so that code has run and its caches are there
WARM_UP_REQUESTS = 25  # on each: loopkube keeps the newest 4,096 requests' records, however many clients there are
DESCRIPTORS_RESERVED = 200  # of a proxy, for everything but relayed connections; loopkube's worker keeps 128 back
SETTLE_S = 1.0
REQUEST = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
ANSWER_MAX_S = 20.0


def possible(wanted: int, descriptors: int) -> int:
    """As many connections as so many descriptors allow, two each."""
    return min(wanted, (descriptors - DESCRIPTORS_RESERVED) // 2)


def descriptors() -> int:
    """The limit on descriptors, raised as far as it may be; processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


class Clients:
    """Connections that have each had one answer; closed with the block."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *error: object) -> None:
        for sock in self._open:
            sock.close()

    def connect(self, count: int, requests: int = 1) -> None:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self._port), ANSWER_MAX_S)
            self._open.append(sock)
            for _ in range(requests):
                sock.sendall(REQUEST)
                if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise SystemExit("a client was not answered with 200")

    def lost(self) -> int:
        """How many the proxy has closed, though nobody's time was up."""
        count = 0
        for sock in self._open:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                count += sock.recv(1) == b""
        return count


def measure_peer(peer: Peer, mode: Mode, connections: int, seconds: float) -> list[Figure]:
    """Memory of a connection and CPU of them all while nothing happens."""
    with Clients(peer.port) as warming:
        warming.connect(WARM_UP, WARM_UP_REQUESTS)
    with Clients(peer.port) as clients:
        first = connections // 2
        clients.connect(first)
        time.sleep(SETTLE_S)
        before = pss_bytes(peer.pid)
        clients.connect(connections - first)
        time.sleep(SETTLE_S)
        each = (pss_bytes(peer.pid) - before) / (connections - first)
        used, began = cpu_s(peer.pid), time.monotonic()
        time.sleep(seconds)
        share = (cpu_s(peer.pid) - used) / (time.monotonic() - began)
        lost = clients.lost()
    name = f"{peer.name}, {mode}"
    return [
        Figure(f"{name}: memory of an idle connection", each / 1024, "KiB"),
        Figure(f"{name}: CPU with all of them idle", share * 100, "% core"),
        Figure(f"{name}: connections lost", lost, "", 0),
    ]


def measure(wanted: int, seconds: float) -> list[Figure]:
    connections = possible(wanted, descriptors())
    figures = [
        Figure("connections", connections, "", note="" if connections == wanted else "all that descriptors allow")
    ]
    for mode in MODES:
        for name, start in PEERS.items():
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loopkube-idle-")))
                folder.chmod(0o755)  # nginx's worker may run as another user
                try:
                    peer = start(stack, folder, nginx.start_backends(stack, folder), Front(mode))
                except Missing as missing:
                    print(f"{name} is left out: {missing}")
                    continue
                figures += measure_peer(peer, mode, connections, seconds)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Idle connections.")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    show("Idle connections", measure(options.connections, options.seconds), options.json)


if __name__ == "__main__":
    main()
