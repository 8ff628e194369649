"""Field lines: bytes to (name, value), and which names mean something to a proxy.

Most lines mean nothing to us and go on as they came. The names in `SPECIAL` decide framing, routing, persistence or
what is forwarded; a line with one of these is marked so that the codec looks at it, and only at it. A line is parsed
by one regular expression that knows the grammar; equal short lines are parsed once (clients and servers repeat
theirs for ever), which is safe because the result depends on the line's bytes alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from dataplane.l7.events import Refusal
from dataplane.l7.grammar import FIELD

FORWARDING: Final = frozenset(
    (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
    )
)
"""What proxies tell the origin about the client: believed from a trusted sender only."""

HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""For this connection only (RFC 9110 7.6.1): never passed on as they came."""

SPECIAL: Final = FORWARDING | HOP_BY_HOP | {b"content-length", b"date", b"expect", b"host", b"max-forwards"}

STOPS: Final = FORWARDING | HOP_BY_HOP | {b"shadow"}
"""Roles of fields that are never passed on as they came."""

SHADOWS: Final = FORWARDING | HOP_BY_HOP | {b"content-length", b"host"}
"""`Content_Length` is `Content-Length` to CGI and WSGI, to us an unknown field: such a double is not passed on."""

END_TO_END: Final = SPECIAL - HOP_BY_HOP | {
    b"accept",
    b"accept-encoding",
    b"age",
    b"allow",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"etag",
    b"expires",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"last-modified",
    b"location",
    b"origin",
    b"proxy-authorization",
    b"range",
    b"referer",
    b"retry-after",
    b"server",
    b"set-cookie",
    b"user-agent",
    b"vary",
    b"via",
    b"www-authenticate",
}
"""Not removed although Connection names them: the RFC forbids to name them there, and who does so wants the origin to
see another request than we do."""

LINES_MAX: Final = 1024

LINE_MEMO_MAX: Final = 256
"""Longest line worth remembering: longer ones are cookies and tokens, each its own."""


class Field:
    """One field line. `role` is its lower-case name if that is special to us, else b""; `line` ends with CRLF, and
    `onward` is the line if it goes on as it came, else b"".
    """

    __slots__ = ("line", "lower", "name", "onward", "role", "value")

    def __init__(self, name: bytes, value: bytes) -> None:
        self.name: Final = name
        self.value: Final = value
        self.lower, self.role = _meaning(name)
        self.line: Final = b"%b: %b\r\n" % (name, value)
        self.onward: Final = b"" if self.role in STOPS else self.line


@lru_cache(maxsize=1024)
def _meaning(name: bytes) -> tuple[bytes, bytes]:
    """A field's name in lower case, and its role."""
    lower = name.lower()
    if b"_" in lower and lower.replace(b"_", b"-") in SHADOWS:
        return lower, b"shadow"
    return lower, lower if lower in SPECIAL else b""


def parse_field(line: bytes) -> Field:
    """One field line without its CRLF."""
    found = FIELD.fullmatch(line)
    if found is None:
        raise Refusal(400, "a header line is malformed")
    name, value = found.groups()
    return Field(name, value)


_known: Final[dict[bytes, Field]] = {}
"""Short lines and what they mean, emptied when there are LINES_MAX of them."""


def _field(line: bytes) -> Field:
    """The field of a line that is not known yet."""
    field = parse_field(line)
    if len(line) <= LINE_MEMO_MAX:
        if len(_known) >= LINES_MAX:
            _known.clear()
        _known[line] = field
    return field


def parse_fields(block: bytes, fields_max: int) -> list[Field]:
    """The field lines of `block`, which ends with the CRLF of its last line, or is empty."""
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > fields_max:
        raise Refusal(431, f"more than {fields_max} header lines")
    known = _known.get
    return [known(line) or _field(line) for line in lines]


def specials(fields: Iterable[Field]) -> dict[bytes, list[bytes]]:
    """Values of the fields that mean something to a proxy, by lower-case name."""
    found: dict[bytes, list[bytes]] = {}
    for field in fields:
        if field.role:
            found.setdefault(field.role, []).append(field.value)
    return found
