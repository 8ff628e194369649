"""Container logs as the kubelet keeps them: CRI lines in a file, rotated by size.

A process writes bytes; `kubectl logs --timestamps --since` asks for lines with times. So whoever reads the process'
pipes stamps each line (`2026-01-02T03:04:05.123456789Z stdout F text`); a line longer than 16 KiB is cut into partial
ones (tag P), as container runtimes do, so that a reader's memory is bounded. When the file passes its size it becomes
`.1`, the old `.1` becomes `.2` and so on; the last falls off.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

LINE_MAX = 16 * 1024  # containerd's max_container_log_line_size


def stamp(now: float) -> bytes:
    """Unix time as RFC 3339 with nanoseconds, UTC."""
    seconds = int(now)
    at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{at}.{int((now - seconds) * 1e9):09d}Z".encode()


class Lines:
    """Cuts one stream into CRI lines; keeps what has no line end yet."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes, now: float) -> bytes:
        """CRI lines for the complete lines in `data` (and for over-long pieces)."""
        head = stamp(now) + b" " + self._stream
        *lines, rest = (self._rest + data).split(b"\n")
        out = []
        for line in lines:
            while len(line) > LINE_MAX:
                out.append(head + b" P " + line[:LINE_MAX] + b"\n")
                line = line[LINE_MAX:]
            out.append(head + b" F " + line + b"\n")
        while len(rest) > LINE_MAX:
            out.append(head + b" P " + rest[:LINE_MAX] + b"\n")
            rest = rest[LINE_MAX:]
        self._rest = rest
        return b"".join(out)

    def end(self, now: float) -> bytes:
        """What was left without a line end, when the stream is over: a partial line, so that readers add none."""
        rest, self._rest = self._rest, b""
        return stamp(now) + b" " + self._stream + b" P " + rest + b"\n" if rest else b""


class LogFile:
    """An append-only log of at most `files_max` files of about `max_bytes` each."""

    def __init__(self, path: str, max_bytes: int, files_max: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._files_max = max(files_max, 1)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size
        self.lost_bytes = 0

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, lines: bytes) -> None:
        """Appends whole lines. A full disk loses log lines (counted), never the process that writes them."""
        if not lines:
            return
        try:
            if self._size and self._size + len(lines) > self._max_bytes:
                self._rotate()
            self._size += os.write(self._fd, lines)
        except OSError:
            self.lost_bytes += len(lines)

    def _rotate(self) -> None:
        os.close(self._fd)
        for index in range(self._files_max - 1, 0, -1):
            older = f"{self._path}.{index}"
            newer = f"{self._path}.{index - 1}" if index > 1 else self._path
            if os.path.exists(newer):
                os.replace(newer, older)
        if self._files_max == 1:
            os.unlink(self._path)
        self._fd = self._open()
        self._size = 0

    def close(self) -> None:
        os.close(self._fd)
