"""The values that flow through the proxy: what a request's and a response's head say, decided once and then read.

A head is parsed into everything that later steps ask about it: where it is routed to, how its body is framed, whether
the connection may persist, and the bytes that go on to the other side with hop-by-hop fields already taken out. So
the answer to every question is a pure function of the head's bytes, which is why the codec may share one value among
all messages with equal heads. Nothing here is ever changed after it was made.

`Refusal` is the one exception that these steps raise: it names whose message is at fault, and a request's refusal
carries the status code that RFC 9110 or 9112 asks for (a response's is always 502; `rescue` says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from dataplane.l7.fields import Field

Framing = Literal["none", "length", "chunked", "close"]
"""Where a body ends: there is none, after `length` bytes, at the last chunk, or when the sender closes."""

Fields = tuple[tuple[bytes, bytes], ...]
"""Header or trailer fields in the order and spelling in which they came, values without surrounding white space."""

NO_FIELDS: Final[Fields] = ()


class Refusal(ValueError):
    """A message that RFC 9112 does not let us act on. `status` is the answer that its sender deserves."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status: Final = status
        self.why: Final = why


class Terms:
    """What a request says besides where it goes: a function of its method, version and special fields alone."""

    __slots__ = (
        "announced",
        "body",
        "continues",
        "forwarded",
        "host",
        "idempotent",
        "is_head",
        "keep_alive",
        "length",
        "local_status",
        "method",
        "minor",
        "rewritten",
        "stops",
        "tail",
        "trailers",
        "upgrade",
    )

    method: bytes
    minor: int  # 1 for HTTP/1.1 (and 1.2 to 1.9), 0 for HTTP/1.0
    host: bytes  # authority for routing: the URI's, else the Host field's; b"" for HTTP/1.0 without one
    body: Framing  # none, length or chunked
    length: int
    keep_alive: bool  # the client wants the connection to persist
    idempotent: bool
    is_head: bool
    continues: bool  # waits for 100 (Continue) before it sends its body
    trailers: bool  # TE: trailers
    announced: bytes  # value of Trailer to pass on: names of fields that may follow the body
    upgrade: bytes  # value of Upgrade to pass on, b"" if none is asked for
    local_status: int  # answer it ourselves with this status (Max-Forwards: 0), 0 otherwise
    forwarded: Fields  # names in lower case: the client's own Forwarded, X-Forwarded-* and X-Real-IP
    stops: frozenset[bytes]  # names of fields that Connection takes out, besides those that never go on
    rewritten: dict[bytes, bytes]  # lines to put in the place of a special field's, by its name
    tail: bytes  # our own hop-by-hop and framing lines that go upstream


class Request:
    """The head of a request: where it goes, on which terms, and the field lines that go upstream as they are."""

    __slots__ = ("fields", "kept", "path", "target", "terms")

    def __init__(self, terms: Terms, target: bytes, path: bytes, fields: list[Field], kept: bytes) -> None:
        self.terms: Final = terms
        self.target: Final = target  # as it goes upstream: origin-form or "*"
        self.path: Final = path  # target without its query, undecoded; b"/" for "*"
        self.fields: Final = fields  # all of them, as they came
        self.kept: Final = kept  # field lines that go upstream, each with its CRLF

    def to(self, target: bytes) -> Request:
        """The same with another target in origin-form, on which nothing else depends."""
        return Request(self.terms, target, target.partition(b"?")[0], self.fields, self.kept)

    def __repr__(self) -> str:
        return f"<{self.terms.method!r} {self.target!r} HTTP/1.{self.terms.minor} body={self.terms.body}>"


class Response:
    """The head of a response. `head` goes downstream; the proxy adds its own framing, connection and date lines."""

    __slots__ = (
        "body",
        "dated",
        "fields",
        "head",
        "keep_alive",
        "length",
        "minor",
        "plain",
        "reason",
        "status",
        "upgrade",
    )

    status: int
    reason: bytes
    minor: int
    fields: list[Field]  # all of them, as they came
    body: Framing  # as if the request was not HEAD
    length: int
    keep_alive: bool  # the origin lets the connection persist
    dated: bool  # has a Date of its own
    upgrade: bytes  # value of Upgrade, b"" if there is none
    head: bytes  # status line and field lines that go downstream, each with its CRLF, without the empty line
    plain: bytes  # the whole head for a persistent HTTP/1.1 client if nothing must be added, else b""

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason!r} HTTP/1.{self.minor} body={self.body}>"
