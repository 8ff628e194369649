"""A worker of the data plane: the one visible place where its parts are put together.

    feed     -> table.apply -> listeners, pools, certificates, names      the change path
    listener -> relay (tcp), HTTP proxy (http, ingress), names (dns)      the request path
    both     -> recorder -> ring of flow records, metrics                 -> admin endpoint

The process is told everything by its command line and its feed; it has no configuration of its own. It ends in one
of two ways: killed, which costs its own connections and nothing else, or by SIGTERM, which drains: listeners close
(other workers and the successor take over), HTTP answers say `Connection: close`, TCP connections may finish, and
after `drain_timeout_s` at the latest what is left is cut. A second SIGTERM cuts at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from dataplane.admin import Admin, Sources
from dataplane.dns.server import DnsServer
from dataplane.feed import Applier, Feed, updates_in
from dataplane.l4.datagrams import Datagrams
from dataplane.l4.relay import Relays
from dataplane.l7.limits import Limits
from dataplane.l7.proxy import HttpProxy
from dataplane.listen.accept import Gate
from dataplane.listen.tcp import Listeners
from dataplane.listen.tls import Certificates
from dataplane.metrics import names
from dataplane.metrics.flows import FlowRing
from dataplane.metrics.process import ProcessMetrics
from dataplane.metrics.recorder import Recorder
from dataplane.metrics.registry import Registry
from dataplane.overview import Overview, overview
from dataplane.serving import Serving
from dataplane.snapshot.codec import ContractError
from dataplane.snapshot.model import Update
from dataplane.table import Changes, Table

log = logging.getLogger(__name__)

FLOWS_KEPT = 4096  # records of about 400 bytes: 1.6 MB
DRAIN_TIMEOUT_S = 10.0
DESCRIPTORS_RESERVED = 128  # for listeners, the feed, the admin endpoint and dials under way
CONNECTIONS_MAX = 65_536  # client connections, where descriptors allow it


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    name: str = "worker-0"
    feed: Path | None = None
    snapshot: Path | None = None
    admin: Path | None = None
    admin_port: int | None = None
    inherited: Mapping[str, int] = field(default_factory=dict)  # listener's name -> descriptor
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    connections_max: int = CONNECTIONS_MAX
    workers: int = 1  # that share the listeners, this one included
    ready_fd: int | None = None  # told "routes" when the first state is in force
    limits: Limits = field(default_factory=Limits)
    seed: int | None = None  # of the balancing policies; None = different each time


class Worker:
    """All parts of a worker on the running loop: `await start()`, `await stop()`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.registry = Registry()
        self.recorder = Recorder(self.registry, FlowRing(FLOWS_KEPT))
        self.table = Table(random.Random(options.seed).random)
        self.certificates = Certificates()
        self.proxy = HttpProxy(self.recorder.record, limits=options.limits)
        self.relays = Relays(self.recorder.record, time.monotonic, time.time)
        self.datagrams = Datagrams(self.recorder.record, time.monotonic, time.time)
        self.gate = gate = Gate(self.registry, lambda: self.connections < options.connections_max)
        self.dns = DnsServer(self.registry)
        self.serving = Serving(
            self.table, self.proxy, self.relays, self.datagrams, self.dns, self.certificates, time.monotonic
        )
        serve, receive = self.serving.serve, self.serving.receive
        self.listeners = Listeners(serve, gate, options.inherited, options.workers, receive)
        self.applier = Applier(self.apply, self.registry, time.time)
        self.feed = Feed(options.feed, self.applier, self.registry) if options.feed is not None else None
        self.admin = Admin(
            Sources(self.registry, self.recorder.ring, self.applier.log, lambda: self.table.is_ready, self.view)
        )
        self.registry.value(names.INFO, options.name).value = 1
        self.registry.at_scrape(self._measure)
        self.registry.at_scrape(ProcessMetrics(self.registry).measure)

    def __repr__(self) -> str:
        return f"Worker({self.options.name}, {self.table!r})"

    @property
    def connections(self) -> int:
        """Clients' connections that are open, TLS handshakes included."""
        return len(self.proxy.clients) + len(self.relays) + self.gate.handshakes

    async def start(self) -> None:
        """Bring everything up; the state comes from the snapshot file now, or from the feed when it connects."""
        self.proxy.start()
        await self.admin.start(self.options.admin, self.options.admin_port)
        if self.options.snapshot is not None:
            self.load(self.options.snapshot)
        if self.feed is not None:
            self.feed.start()

    async def stop(self, drain_timeout_s: float | None = None) -> None:
        """Drain, then end everything; 0 does not wait."""
        timeout = self.options.drain_timeout_s if drain_timeout_s is None else drain_timeout_s
        self.listeners.close()
        self.proxy.drain()
        if timeout > 0:
            log.info("draining for up to %g s", timeout)
            await asyncio.gather(self.proxy.drained(timeout), self.relays.drained(timeout))
        self.proxy.stop()
        self.relays.abort()
        self.datagrams.close()
        self.dns.close()
        if self.feed is not None:
            await self.feed.stop()
        await self.admin.stop()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn

    def load(self, path: Path) -> None:
        """Apply the updates of a file as if the publisher had sent them; ContractError if one is refused."""
        for update in updates_in(path):
            answer = self.applier(update, time.time())
            error = getattr(answer, "error", "")
            if error:
                raise ContractError(f"{path}: {error}")

    def apply(self, update: Update) -> None:
        """Swap an update in and let sockets and pools follow."""
        first = not self.table.is_ready
        changes: Changes = self.table.apply(update)
        if changes.certificates or first:
            self.certificates.update(self.table.certificates)
        self.dns.update(changes.names_gone, changes.names_new)
        touched = (*changes.removed, *changes.changed)
        self.proxy.endpoints_changed(touched)
        self.datagrams.endpoints_changed(touched)
        self.listeners.reconcile(changes.opened, changes.closed)
        if changes.closed:
            self.serving.forget()
        if first:
            log.info("first state is in force: %r", self.table)
            if self.options.ready_fd is not None:
                with contextlib.suppress(OSError):  # whoever listened may be gone
                    os.write(self.options.ready_fd, b"routes\n")

    def view(self) -> Overview:
        """What the admin page shows."""
        errors = {state.listener.name: state.error for state in self.listeners.states}
        numbers = {**self.proxy.statistics(), "relays": len(self.relays), "flows": self.recorder.ring.total}
        faces: list[object] = [
            self.table,
            self.proxy,
            self.relays,
            self.datagrams,
            self.dns,
            self.listeners,
            self.certificates,
        ]
        if self.feed is not None:
            faces.append(self.feed)
        return overview(self.options.name, self.table, errors, numbers, faces)

    def _measure(self) -> None:
        self.registry.value(names.ACTIVE, "tcp").value = len(self.relays)
        self.registry.value(names.ACTIVE, "udp").value = len(self.datagrams)
        self.registry.value(names.UDP_DROPPED).value = self.datagrams.dropped
        self.registry.value(names.ACTIVE, "http").value = len(self.proxy.clients)
        for fault, count in self.proxy.counts.items():
            self.registry.value(names.HTTP2_FAULTS, fault).value = count
        self.registry.value(names.AFFINITY).value = self.serving.remembered
        phases: dict[tuple[str, ...], float] = {}
        leases: dict[tuple[str, ...], float] = {}
        ejected: dict[tuple[str, ...], float] = {}
        for backend in self.table.backends:
            endpoints = backend.endpoints.values()
            leases[backend.name,] = sum(endpoint.active for endpoint in endpoints)
            for endpoint in endpoints:
                key = (backend.name, endpoint.phase)
                phases[key] = phases.get(key, 0) + 1
            if backend.feedback is not None:
                states = [one.health.state for one in endpoints if one.health is not None]
                ejected[backend.name,] = len(states) - states.count("healthy")
                self.registry.value(names.EJECTIONS, backend.name).value = backend.feedback.ejections
                self.registry.value(names.RETRIES_DENIED, backend.name).value = backend.feedback.retries_denied
        self.registry.replace(names.ENDPOINTS, phases)
        self.registry.replace(names.LEASES, leases)
        self.registry.replace(names.EJECTED, ejected)


async def serve(options: Options, on_ready: Callable[[], None] = lambda: None) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain."""
    loop = asyncio.get_running_loop()
    worker = Worker(options)
    ending, cutting = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (cutting if ending.is_set() else ending).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await worker.start()
    # what is there now stays for good, so the collector need not look at it again; what requests allocate dies by
    # reference count, so it may look rarely
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)
    log.info("%s is up", options.name)
    on_ready()
    await ending.wait()
    stopping = loop.create_task(worker.stop())
    cut = loop.create_task(cutting.wait())
    await asyncio.wait((stopping, cut), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await worker.stop(0)
    cut.cancel()
    log.info("%s ends", options.name)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def options_from(arguments: Sequence[str]) -> tuple[Options, argparse.Namespace]:
    """The command line, understood; ends the process with a message if it cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m dataplane.worker",
        description="A proxy worker: takes its state from a publisher's socket or from a file.",
        epilog="example: python -m dataplane.worker --snapshot state.jsonl --admin-port 9901",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--feed", type=Path, metavar="SOCKET", help="the publisher's unix socket")
    source.add_argument("--snapshot", type=Path, metavar="FILE", help="updates as JSON, one a line")
    parser.add_argument("--name", default="worker-0")
    parser.add_argument("--admin", type=Path, metavar="SOCKET", help="unix socket of the admin endpoint")
    parser.add_argument("--admin-port", type=int, metavar="N", help="the same on a port of 127.0.0.1")
    parser.add_argument(
        "--listen-fd", action="append", default=[], metavar="NAME=FD", help="use this descriptor for listener NAME"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="how many share the listeners: session affinity needs it"
    )
    parser.add_argument("--drain-timeout", type=float, default=DRAIN_TIMEOUT_S, metavar="S")
    parser.add_argument("--ready-fd", type=int, metavar="FD", help="descriptor to write to when the first state holds")
    parser.add_argument("--seed", type=int, help="of the balancing policies, to repeat an experiment")
    parser.add_argument("--log", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parsed = parser.parse_args(arguments)
    inherited = {}
    for item in parsed.listen_fd:
        name, _, number = item.rpartition("=")
        if not name or not number.isdigit():
            parser.error(f"--listen-fd {item}: NAME=FD is wanted")
        inherited[name] = int(number)
    return Options(
        name=parsed.name,
        feed=parsed.feed,
        snapshot=parsed.snapshot,
        admin=parsed.admin,
        admin_port=parsed.admin_port,
        inherited=inherited,
        drain_timeout_s=parsed.drain_timeout,
        connections_max=_connections_max(),
        workers=parsed.workers,
        ready_fd=parsed.ready_fd,
        seed=parsed.seed,
    ), parsed  # fmt: skip


def _connections_max() -> int:
    """As many client connections as descriptors allow: each needs one, and one to its endpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS_MAX + DESCRIPTORS_RESERVED
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    reserved = min(DESCRIPTORS_RESERVED, limit // 4)
    return max(1, min(CONNECTIONS_MAX, (limit - reserved) // 2))


def main(arguments: Sequence[str] | None = None) -> None:
    options, parsed = options_from(sys.argv[1:] if arguments is None else arguments)
    handler = logging.StreamHandler()
    text = logging.Formatter(f"%(asctime)s {options.name} %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if parsed.log == "json" else text)
    logging.basicConfig(level=parsed.log_level.upper(), handlers=[handler])
    try:
        uvloop.run(serve(options))
    except (ContractError, OSError) as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
