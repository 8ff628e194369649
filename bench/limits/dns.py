"""Names: CPU per answer and answers per second beside dnsmasq and unbound, and how soon a change is answered.

    python -m bench.limits.dns [--seconds 4] [--rounds 3] [--json FILE]

The three servers know the same 1,000 Services (an address and a headless set of three each, an SRV, a PTR). dnsperf
asks each of them for the same mix of names, one in eight of which does not exist, in turns, so that whatever else the
machine does hits all alike. Each server has one process with one thread and no log. The CPU of an answer is the
server's own, from /proc; of several rounds the best counts, since nothing makes a server faster than it is. The p99 is
dnsperf's at 2,000 questions a second, where nobody is at his limit.

"Fresh" is the same with questions whose names are in another case each time (0x20, as resolvers against forgery
have it), "missed" with names that nobody asked before: an answer that has to be made.

A change is measured with a publisher and a client of our own: from the moment at which the update is written to the
worker's socket until the new address is in an answer; the client asks without a pause.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.limits.cluster import Figure, show
from bench.machine import cpu_s
from bench.peers.processes import Missing, program, unused_port, version
from bench.publisher import Publisher, Upsert

SERVICES = 1_000
QUESTIONS = 20_000  # in dnsperf's file, which it reads again and again
STEADY_PER_S = 2_000
CLIENTS, OUTSTANDING = 8, 64
CHANGES = 200
CHANGE_MAX_MS = 5.0
READY_MAX_S = 20.0
WARM_MAX_S = 60.0
ZONE = "cluster.local"


def services() -> Iterator[tuple[str, str, list[str]]]:
    """(name, address, addresses of its headless sister)."""
    for number in range(SERVICES):
        high, low = divmod(number, 250)
        name = f"svc-{number}.ns-{number % 10}.svc.{ZONE}"
        yield name, f"127.96.{high}.{low + 1}", [f"127.244.{high * 3 + each}.{low + 1}" for each in range(3)]


def records() -> Iterator[tuple[str, str, str, int]]:
    """(owner, type, data, port), without final dots."""
    for name, address, pods in services():
        yield name, "A", address, 0
        yield f"_http._tcp.{name}", "SRV", name, 80
        yield f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa", "PTR", name, 0
        for pod in pods:
            yield f"h-{name}", "A", pod, 0


def questions(rng: random.Random) -> Iterator[str]:
    """Lines of dnsperf's input: what a machine's pods ask for."""
    everything = list(services())
    for _ in range(QUESTIONS):
        name, address, _ = rng.choice(everything)
        reverse = ".".join(reversed(address.split(".")))
        yield rng.choice(
            [f"{name} A"] * 3
            + [f"h-{name} A", f"_http._tcp.{name} SRV", f"{reverse}.in-addr.arpa PTR", f"{name} AAAA"]
            + [f"{name}.ns-0.svc.{ZONE} A"]  # what a search path makes of it
        )


def upserts(port: int) -> list[Upsert]:
    """The worker's state."""
    nameserver = f"ns.dns.{ZONE}."
    found: list[Upsert] = [("listener", {"name": "dns", "address": "127.0.0.1", "port": port, "mode": "dns"})]
    found += [("zone", {"name": name, "nameserver": nameserver, "ttl_s": 30}) for name in (f"{ZONE}.", "in-addr.arpa.")]
    return found + [("record", record(*fields)) for fields in records()]


def record(owner: str, type_: str, data: str, port: int = 0) -> dict[str, object]:
    return {"owner": f"{owner}.", "type": type_, "data": data if type_ == "A" else f"{data}.", "port": port}


def dnsmasq(folder: Path, port: int) -> list[str]:
    lines = [f"port={port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "no-daemon",
             "cache-size=10000", f"local=/{ZONE}/", "local-ttl=30", "user=root",
             "pid-file="]  # fmt: skip
    for owner, type_, data, number in records():
        lines.append(
            {"A": f"host-record={owner},{data}", "SRV": f"srv-host={owner},{data},{number}"}.get(
                type_, f"ptr-record={owner},{data}"
            )
        )
    (folder / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
    return [program("dnsmasq"), "--keep-in-foreground", f"--conf-file={folder / 'dnsmasq.conf'}"]


def unbound(folder: Path, port: int) -> list[str]:
    lines = ["server:", f"  port: {port}", "  interface: 127.0.0.1", "  num-threads: 1", "  do-daemonize: no",
             "  use-syslog: no", "  verbosity: 0", '  username: ""', '  chroot: ""', '  pidfile: ""',
             f'  directory: "{folder}"', '  module-config: "iterator"', "  access-control: 127.0.0.0/8 allow",
             f'  local-zone: "{ZONE}." static', '  local-zone: "127.in-addr.arpa." static']  # fmt: skip
    for owner, type_, data, number in records():
        said = {"A": data, "SRV": f"0 100 {number} {data}."}.get(type_, f"{data}.")
        lines.append(f'  local-data: "{owner}. 30 IN {type_} {said}"')
    (folder / "unbound.conf").write_text("\n".join([*lines, "remote-control:", "  control-enable: no"]) + "\n")
    return [program("unbound"), "-d", "-c", str(folder / "unbound.conf")]


def loopkube(folder: Path, port: int) -> list[str]:
    (folder / "state.json").write_text(json.dumps({"update": {"version": 1, "full": True, "upserts": upserts(port)}}))
    return [sys.executable, "-m", "dataplane.worker", "--snapshot", str(folder / "state.json"), "--log-level", "error"]


SERVERS: dict[str, Callable[[Path, int], list[str]]] = {"loopkube": loopkube, "dnsmasq": dnsmasq, "unbound": unbound}


class Server:
    """A server that answers, until closed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.port = name, unused_port()
        command = SERVERS[name](folder, self.port)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_MAX_S
        while ask(self.port, next(services())[0]) is None:
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.close()
                raise RuntimeError(f"{name} does not answer: {' '.join(command)}")
            time.sleep(0.02)

    @property
    def cpu_s(self) -> float:
        return cpu_s(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def ask(port: int, name: str, wait_s: float = 0.2) -> str | None:
    """The last address in the answer; "" if there is none; None if nobody answers."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    message = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait_s)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(message)
            reply = sock.recv(4096)
        except OSError:
            return None
    if not reply[2] & 0x80:  # our own question: before the server is there, a socket may get the server's port
        return None
    return ".".join(map(str, reply[-4:])) if reply[7] else ""


def dnsperf(port: int, file: Path, seconds: float) -> dict[str, float]:
    """As fast as the server answers: answers and answers per second."""
    said = _dnsperf(port, file, seconds, "-q", str(OUTSTANDING))
    return {
        "answers": number(r"Queries completed:\s+(\d+)", said),
        "per_s": number(r"Queries per second:\s+([\d.]+)", said),
    }


def p99_ms(port: int, file: Path, seconds: float) -> float:
    """At a pace that none of the servers minds; dnsperf tells the time of each question (`-v`)."""
    said = _dnsperf(port, file, seconds, "-v", "-Q", str(STEADY_PER_S))
    took = sorted(float(each) for each in re.findall(r"^> \S+ \S+ \S+ ([\d.]+)$", said, re.MULTILINE))
    if not took:
        raise RuntimeError(f"dnsperf tells no times: {said[:500]}")
    return took[int(len(took) * 0.99) - 1] * 1e3


def _dnsperf(port: int, file: Path, seconds: float, *more: str) -> str:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", f"{seconds:g}", "-W"]
    said = subprocess.run(
        [*command, "-c", str(CLIENTS), "-T", "1", *more], capture_output=True, text=True, check=True
    ).stdout
    if number(r"Queries lost:\s+(\d+)", said):
        raise RuntimeError(f"questions to {port} were lost: {said[-400:]}")
    return said


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"dnsperf does not say {pattern}: {text}")
    return float(found[1])


def compared(servers: list[Server], files: dict[str, Path], seconds: float, rounds: int) -> list[Figure]:
    best: dict[tuple[str, str], dict[str, float]] = {}
    for _ in range(rounds):
        for kind, file in files.items():
            for server in servers:
                if kind != "missed":
                    _dnsperf(server.port, file, WARM_MAX_S, "-n", "1")  # what is kept is kept by then
                before = server.cpu_s
                said = dnsperf(server.port, file, seconds)
                said["cpu_us"] = (server.cpu_s - before) / said["answers"] * 1e6
                said["p99_ms"] = p99_ms(server.port, file, seconds / 2)
                so_far = best.setdefault((kind, server.name), said)
                for key, value in said.items():
                    so_far[key] = max(so_far[key], value) if key == "per_s" else min(so_far[key], value)
    figures = []
    for (kind, name), said in best.items():
        figures.append(Figure(f"{kind}, {name}: CPU of an answer", said["cpu_us"], "us"))
        figures.append(Figure(f"{kind}, {name}: answers", said["per_s"], "per s"))
        figures.append(Figure(f"{kind}, {name}: p99 at {STEADY_PER_S:,} per s", said["p99_ms"], "ms"))
    return figures


def changes(folder: Path) -> list[Figure]:
    """How soon a changed address is answered by a worker that knows all the names."""
    port, name, took = unused_port(), f"svc-7.ns-7.svc.{ZONE}", []
    with Publisher(folder / "publish.sock") as publisher:
        command = [sys.executable, "-m", "dataplane.worker", "--feed", str(publisher.path), "--log-level", "error"]
        process = subprocess.Popen(command)
        try:
            publisher.accept()
            publisher.tell(upserts(port), full=True)
            old = ask(port, name, READY_MAX_S) or ""
            for turn in range(CHANGES):
                new = f"127.97.1.{turn + 1}"
                began = time.monotonic()
                publisher.tell([("record", record(name, "A", new))], [("record", f"{name}. A {old} 0")])
                while ask(port, name) != new:
                    pass
                took.append((time.monotonic() - began) * 1e3)
                old = new
        finally:
            process.terminate()
            process.wait(10)
    took.sort()
    return [
        Figure("a change is answered, median", statistics.median(took), "ms"),
        Figure("a change is answered, p99", took[int(len(took) * 0.99) - 1], "ms", CHANGE_MAX_MS),
    ]


@contextmanager
def running(folder: Path) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        servers = []
        for name in SERVERS:
            try:
                servers.append(Server(name, folder))
            except Missing as missing:
                print(f"{missing}: left out", file=sys.stderr)
                continue
            stack.callback(servers[-1].close)
        yield servers


def main() -> None:
    parser = argparse.ArgumentParser(description="Names beside dnsmasq and unbound.")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        asked = list(questions(rng))
        files = {"usual": folder / "usual", "fresh": folder / "fresh", "missed": folder / "missed"}
        files["usual"].write_text("\n".join(asked) + "\n")
        cased = ("".join(rng.choice((each.upper(), each)) for each in line.split()[0]) for line in asked)
        files["fresh"].write_text(
            "\n".join(f"{name} {line.split()[1]}" for name, line in zip(cased, asked, strict=True))
        )
        missing = (f"n-{at}.ns-0.svc.{ZONE} A" for at in range(200_000))
        files["missed"].write_text("\n".join(missing) + "\n")
        with running(folder) as servers:
            figures = compared(servers, files, options.seconds, options.rounds)
        figures += changes(folder)
    packages = ("dnsmasq-base", "unbound", "dnsperf")
    versions = {name: version("dpkg-query", "--show", "--showformat=${Version}", name) for name in packages}
    show("Names", figures, options.json, programs=versions)


if __name__ == "__main__":
    main()
