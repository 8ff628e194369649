"""Reading container logs: CRI lines in, what `kubectl logs` shows out.

A line is `2026-01-02T03:04:05.123456789Z stdout F text`; the tag P says that the text goes on in the next line of the
same stream. Selection is over bytes and values; who reads files and follows them is `server`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Options:
    """PodLogOptions, checked; `tail` None is everything; `since` an instant."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


class BadOption(Exception):
    """A query that cannot be answered; the message is for the client."""


def parse_options(query: dict[str, str], now: datetime) -> Options:
    def flag(name: str) -> bool:
        text = query.get(name, "").lower()
        if text not in ("", "0", "1", "true", "false", "t", "f"):
            raise BadOption(f"{name} must be true or false, not {query[name]!r}")
        return text in ("1", "true", "t") or (name in query and text == "")

    def number(name: str, lowest: int) -> int | None:
        if not query.get(name):
            return None
        try:
            value = int(query[name])
        except ValueError:
            raise BadOption(f"{name} must be a whole number, not {query[name]!r}") from None
        if value < lowest:
            raise BadOption(f"{name} must be greater than or equal to {lowest}")
        return value

    seconds = number("sinceSeconds", 1)
    since = None
    if query.get("sinceTime"):
        if seconds is not None:
            raise BadOption("at most one of `sinceTime` or `sinceSeconds` may be specified")
        try:
            since = datetime.fromisoformat(query["sinceTime"])
        except ValueError:
            raise BadOption(f"sinceTime must be RFC 3339, not {query['sinceTime']!r}") from None
        if since.tzinfo is None:
            raise BadOption(f"sinceTime {query['sinceTime']!r} has no time zone")
    elif seconds is not None:
        since = datetime.fromtimestamp(now.timestamp() - seconds, UTC)
    return Options(
        flag("follow"), flag("previous"), flag("timestamps"), number("tailLines", 0), since, number("limitBytes", 1)
    )


def stamp_of(line: bytes) -> bytes:
    return line.partition(b" ")[0]


def is_since(line: bytes, since: datetime) -> bool:
    """Whether a CRI line is not older than `since`; a line without a readable stamp is kept."""
    text = stamp_of(line).decode("ascii", "replace")
    head, dot, fraction = text.partition(".")
    digits = fraction.rstrip("Z")
    try:
        at = datetime.fromisoformat(f"{head}{dot}{digits[:6].ljust(6, '0') if dot else ''}+00:00".replace("Z", ""))
    except ValueError:
        return True
    return at >= since


def shown(line: bytes, *, timestamps: bool) -> bytes:
    """A CRI line as the client sees it; partial lines are joined by leaving their newline out."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return line + b"\n" if len(parts) != 3 else b"\n"
    text = parts[3] if parts[2] == b"P" else parts[3] + b"\n"
    return parts[0] + b" " + text if timestamps else text


def tail_start(lines: Sequence[bytes], count: int) -> int:
    """Where the last `count` lines begin: pieces count with the line that they belong to, the last ones even if that
    has not ended."""
    seen = 0
    for place in range(len(lines) - 1, -1, -1):
        if place == len(lines) - 1 or not is_piece(lines[place]):
            seen += 1
            if seen > count:
                return place + 1
    return 0 if count else len(lines)


def is_piece(line: bytes) -> bool:
    return line.split(b" ", 3)[2:3] == [b"P"]


def select(lines: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """What is there so far, filtered and rendered (without the byte limit, which is the writer's)."""
    held = list(lines)
    if options.since is not None:
        held = [line for line in held if is_since(line, options.since)]
    if options.tail is not None:
        held = held[tail_start(held, options.tail) :]
    return (shown(line, timestamps=options.timestamps) for line in held)


class Splitter:
    """Bytes in any pieces, whole lines out."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines
