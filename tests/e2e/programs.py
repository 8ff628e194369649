"""Programs that are no pods: origins in the test's own process, which see every byte and decide every moment."""

from __future__ import annotations

import hashlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "127.10.20.30"
BLOCK = 256 * 1024


@contextmanager
def program(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serves each connection in a thread; yields the port at ADDRESS."""
    listening = socket.create_server((ADDRESS, 0), backlog=64)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(30)
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def read_head(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """(request line, fields by lower-case name, what came behind the head)."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("ended within a head")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, fields, rest


def big_bodies(connection: socket.socket) -> None:
    """POST: answers with the number of bytes and their hash; GET /N: a body of N bytes, one block repeated."""
    first, fields, rest = read_head(connection)
    method, target, _ = first.split(" ")
    if method == "GET":
        size = int(target[1:])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for block in blocks(size):
            connection.sendall(block)
        return
    left = int(fields["content-length"]) - len(rest)
    digest, count = hashlib.sha256(rest), len(rest)
    while left:
        data = connection.recv(min(left, 1 << 20))
        if not data:
            return
        digest.update(data)
        count += len(data)
        left -= len(data)
    answer = f"{count} {digest.hexdigest()}".encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


PATTERN = bytes(range(251)) * (BLOCK // 251 + 1)  # 251 is prime: a lost or doubled kilobyte shows


def blocks(size: int) -> Iterator[bytes]:
    for offset in range(0, size, BLOCK):
        yield PATTERN[: min(BLOCK, size - offset)]


def hash_of(size: int) -> str:
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


class Ticker:
    """An origin of server-sent events, each sent when `send` says so, b"" the last; any path but "/" is answered at
    once. `left` is set when it learns that nobody listens any more."""

    def __init__(self) -> None:
        self.events: queue.Queue[bytes] = queue.Queue()
        self.left = threading.Event()

    def send(self, event: bytes) -> None:
        self.events.put(event)

    def __call__(self, connection: socket.socket) -> None:
        first, _, _ = read_head(connection)
        if first.split(" ")[1] != "/":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        try:
            connection.sendall(head)
            while event := self.events.get():
                connection.sendall(b"%x\r\n%b\r\n" % (len(event), event))
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            self.left.set()


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def forget_peak(pid: int) -> None:
    """The kernel's note of the most memory a process had begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The most resident bytes since `forget_peak`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
