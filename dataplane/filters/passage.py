"""What a filter sees of a request, and what it may say about it.

A filter is called with an `Asked` and a `Passage`, once per request, and does one of three things: it returns an
`Answer`, which ends the request here; it writes into the passage what must be different about the request, its
endpoint or its response; or nothing. Filters hold no sockets and look at no clock: `now` (monotonic seconds),
`wall_s` (Unix time) and `random` come with the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import NamedTuple, Protocol


class Line(Protocol):
    """A header field of the request; `lower` is its name in lower case."""

    @property
    def lower(self) -> bytes: ...

    @property
    def value(self) -> bytes: ...


class Asked:
    """A request, as far as filters may know it."""

    __slots__ = ("client", "fields", "host", "length", "method", "now", "random", "scheme", "target", "wall_s")

    def __init__(
        self,
        method: bytes,
        host: bytes,
        target: bytes,
        fields: Iterable[Line],
        *,
        length: int = 0,
        scheme: bytes = b"http",
        client: str = "",
        now: float = 0.0,
        wall_s: float = 0.0,
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.method = method
        self.host = host  # as it came, with its port
        self.target = target  # in origin-form, query included
        self.fields = fields
        self.length = length  # of the body, as far as it is announced
        self.scheme = scheme
        self.client = client
        self.now = now
        self.wall_s = wall_s
        self.random = random

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    def field(self, name: bytes) -> bytes | None:
        """The value of a field by its lower-case name; the first one if there are several."""
        return next((field.value for field in self.fields if field.lower == name), None)

    def cookie(self, name: bytes) -> bytes | None:
        """The value of a cookie (RFC 6265 5.4: pairs joined by "; ", possibly in several fields)."""
        for field in self.fields:
            if field.lower == b"cookie":
                for pair in field.value.split(b";"):
                    key, equals, value = pair.strip(b" \t").partition(b"=")
                    if equals and key == name:
                        return value
        return None


class Answer(NamedTuple):
    """The request ends here. `lines` are whole field lines, each with its CRLF."""

    status: int
    text: str = ""
    lines: bytes = b""


def refusal(status: HTTPStatus, lines: bytes = b"") -> Answer:
    """An answer that says no more than its status does."""
    return Answer(status.value, status.phrase, lines)


class Passage:
    """What changes on the way of one request. Empty: nothing."""

    __slots__ = (
        "body_max",
        "lines",
        "location",
        "released",
        "removes",
        "response_lines",
        "response_removes",
        "rewritten_host",
        "target",
    )

    def __init__(self) -> None:
        self.target: bytes | None = None  # what the endpoint is asked for
        self.rewritten_host = b""
        self.lines = b""  # more field lines for the endpoint
        self.removes: frozenset[bytes] = frozenset()  # lower-case names that the endpoint does not see
        self.body_max = 0
        self.response_lines = b""  # more field lines for the client
        self.response_removes: frozenset[bytes] = frozenset()  # lower-case names that these replace
        self.location: tuple[bytes, bytes] | None = None  # beginning of a Location, and what it becomes
        self.released: Callable[[], None] | None = None  # called once when the exchange is over

    @property
    def touches_request(self) -> bool:
        return self.target is not None or bool(self.rewritten_host or self.lines or self.removes)

    @property
    def touches_response(self) -> bool:
        return bool(self.response_lines or self.location)

    def respond(self, lines: bytes, removes: Iterable[bytes] = ()) -> None:
        """Field lines for the client, in the place of the endpoint's of these names."""
        self.response_lines += lines
        self.response_removes = self.response_removes.union(removes)


Filter = Callable[[Asked, Passage], Answer | None]
