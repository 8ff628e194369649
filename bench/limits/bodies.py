"""Bodies of a gigabyte, both ways, through a worker: how much memory it takes for them, and how long.

    python -m bench.limits.bodies [--megabytes 1024] [--json FILE]

A worker streams: what it holds of a body is two write buffers, however long the body. So its peak resident memory
(VmHWM) with a gigabyte is compared with its peak after a first megabyte, and the growth has to be a few buffers. The
client reads and writes as fast as it can; what it gets is compared byte for byte by a hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.limits.cluster import Figure, show
from bench.peers.processes import process, unused_port

PIECE: Final = bytes(range(256)) * 4096  # 1 MiB
GROWTH_GOAL_MB: Final = 8.0
HEAD: Final = b"%b / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


def serve(listening: socket.socket) -> None:
    """The endpoint: to GET as many pieces as the path says, to PUT the hash of what came."""
    while True:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as stream:
            line = stream.readline()
            length = 0
            while (field := stream.readline()) != b"\r\n":
                if field.lower().startswith(b"content-length:"):
                    length = int(field.partition(b":")[2])
            if line.startswith(b"GET"):
                count = int(line.split(b" ")[1][1:])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * len(PIECE)))
                for _ in range(count):
                    connection.sendall(PIECE)
            else:
                answer = digest(stream, length).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def digest(stream: object, length: int) -> str:
    found = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 18))
    while length:
        size = stream.readinto(buffer[: min(length, len(buffer))])  # type: ignore[attr-defined]
        if not size:
            raise SystemExit("the body is too short")
        found.update(buffer[:size])
        length -= size
    return found.hexdigest()


def download(port: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
        client.sendall(b"GET /%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % count)
        while stream.readline() != b"\r\n":
            pass
        check(digest(stream, count * len(PIECE)), count)


def upload(port: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
        client.sendall(HEAD % (b"PUT", count * len(PIECE)))
        for _ in range(count):
            client.sendall(PIECE)
        while stream.readline() != b"\r\n":
            pass
        check(stream.read().decode(), count)


def check(found: str, count: int) -> None:
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(PIECE)
    if found != expected.hexdigest():
        raise SystemExit("the body is another one")


def peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1e3


def measure(count: int) -> list[Figure]:
    figures = []
    for name, pass_through in (("download", download), ("upload", upload)):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=serve, args=(listening,), daemon=True).start()
            port = unused_port()
            path = folder / "state.json"
            upserts = [
                ["listener", {"name": "w", "address": "127.0.0.1", "port": port, "mode": "http", "backend": "b"}],
                ["backend", {"name": "b"}],
                ["endpoint", {"backend": "b", "id": "e", "address": "127.0.0.1", "port": listening.getsockname()[1],
                              "ready": True, "serving": True, "terminating": False}],
            ]  # fmt: skip
            path.write_text(json.dumps({"update": {"version": 1, "full": True, "upserts": upserts}}))
            command = [sys.executable, "-m", "dataplane.worker", "--snapshot", str(path), "--log-level", "error"]
            pid = stack.enter_context(process(command, port))
            pass_through(port, 1)
            before = peak_mb(pid)
            begin = time.monotonic()
            pass_through(port, count)
            seconds = time.monotonic() - begin
            grown = peak_mb(pid) - before
        note = f"peak {before:.1f} MB after 1 MiB, {before + grown:.1f} MB after {count} MiB, {seconds:.1f} s"
        figures.append(Figure(f"memory that a {name} of {count} MiB adds", grown, "MB", GROWTH_GOAL_MB, note=note))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--json")
    options = parser.parse_args()
    show("Bodies", measure(options.megabytes), options.json)


if __name__ == "__main__":
    main()
