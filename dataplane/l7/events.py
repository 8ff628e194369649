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


class Refusal(ValueError):
    """A message that RFC 9112 does not let us act on. `status` is the answer that its sender deserves."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status: Final = status
        self.why: Final = why


class Request:
    """The head of a request. `kept` are the field lines that go upstream as they are, in their order."""

    __slots__ = (
        "body",
        "continues",
        "fields",
        "forwarded",
        "host",
        "idempotent",
        "is_head",
        "keep_alive",
        "kept",
        "length",
        "line",
        "local_status",
        "method",
        "minor",
        "path",
        "tail",
        "target",
        "trailers",
        "upgrade",
    )

    method: bytes
    target: bytes  # as it goes upstream: origin-form or "*"
    minor: int  # 1 for HTTP/1.1 (and 1.2 to 1.9), 0 for HTTP/1.0
    fields: list[Field]  # all of them, as they came
    host: bytes  # authority for routing: the URI's, else the Host field's; b"" for HTTP/1.0 without one
    path: bytes  # target without its query, undecoded; b"/" for "*"
    body: Framing  # none, length or chunked
    length: int
    keep_alive: bool  # the client wants the connection to persist
    idempotent: bool
    is_head: bool
    continues: bool  # waits for 100 (Continue) before it sends its body
    trailers: bool  # TE: trailers
    upgrade: bytes  # value of Upgrade to pass on, b"" if none is asked for
    local_status: int  # answer it ourselves with this status (Max-Forwards: 0), 0 otherwise
    line: bytes  # request line that goes upstream, with its CRLF
    kept: bytes  # field lines that go upstream, each with its CRLF
    forwarded: Fields  # names in lower case: the client's own Forwarded, X-Forwarded-* and X-Real-IP
    tail: bytes  # our own hop-by-hop and framing lines that go upstream

    def to(self, line: bytes, target: bytes) -> Request:
        """The same head with another target in origin-form and its request line: nothing else depends on these."""
        other = Request()
        other.body, other.length = self.body, self.length
        other.continues = self.continues
        other.fields = self.fields
        other.forwarded = self.forwarded
        other.host = self.host
        other.idempotent = self.idempotent
        other.is_head = self.is_head
        other.keep_alive = self.keep_alive
        other.kept, other.tail = self.kept, self.tail
        other.line = line
        other.local_status = self.local_status
        other.method = self.method
        other.minor = self.minor
        other.path = target.partition(b"?")[0]
        other.target = target
        other.trailers = self.trailers
        other.upgrade = self.upgrade
        return other

    def __repr__(self) -> str:
        return f"<{self.method!r} {self.target!r} HTTP/1.{self.minor} body={self.body}>"


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
