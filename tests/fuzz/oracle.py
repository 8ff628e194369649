"""How h11 reads the same bytes: a parser written by others from the same RFC, slower and in plain state tables.

Only its public interface is used. A text stands for bytes that h11 refuses, and says why. What h11 is more lenient
about (line ends of one octet, folded lines, equal Content-Length fields) shows up as refusals of ours alone, which are
counted by reason and not findings; what we are more lenient about is listed in `LENIENT` with the reason why that does
no harm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import h11

LENIENT: Final = {
    # white space before an extension's semicolon: RFC 9112 7.1.1 wants it parsed, and neither goes on
    r"illegal chunk header: bytearray\(b['\"][0-9A-Fa-f]+(\\t| )+;",
    # more than 20 digits of which all but 16 are zeros: one number to all who can count so far, and written anew
    r"illegal chunk header: bytearray\(b['\"]0{5,}[0-9A-Fa-f]{16}",
    # framing fields in a trailer section: never read (RFC 9110 6.5.1), never passed on
    r"(Only |multiple )Transfer-Encoding|(bad|conflicting) Content-Length",
    # a trailer line that has not ended is judged when it has, or when it is too long
    r"illegal header line|continuation line",
}
"""What h11 says of chunked bodies that we take, and why we do."""

Framing = tuple[Literal["none", "length", "chunked", "close"], int]

EVENT_MAX = 256 * 1024  # more than what we accept, so that sizes are our own limits' concern
BODY_HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says. `start` is (method, target) or (status, reason)."""

    start: tuple[bytes, bytes]
    fields: list[tuple[bytes, bytes]]
    framing: Framing


@dataclass(slots=True)
class Message:
    """A request with its body as far as it came."""

    method: bytes
    target: bytes
    body: bytes = b""
    complete: bool = False


def request_head(head: bytes) -> Head | str:
    """A request's head, alone in its connection."""
    server = h11.Connection(h11.SERVER, EVENT_MAX)
    try:
        server.receive_data(head)
        event = server.next_event()
    except h11.RemoteProtocolError as error:
        return str(error)
    if not isinstance(event, h11.Request):
        return f"{event!r} instead of a head"
    framing = _framing(event.headers, default="none")
    return Head((event.method, event.target), event.headers.raw_items(), framing)


def response_head(head: bytes, method: bytes) -> Head | str:
    """A response's head, to a request with this method."""
    client = h11.Connection(h11.CLIENT, EVENT_MAX)
    client.send(
        h11.Request(method=method, target="/", headers=[("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "x")])
    )
    client.send(h11.EndOfMessage())
    try:
        client.receive_data(head)
        event = client.next_event()
    except h11.RemoteProtocolError as error:
        return str(error)
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        return f"{event!r} instead of a head"
    framing = _framing(event.headers, default="close")
    if event.status_code < 200 or event.status_code in (204, 304):
        framing = ("none", 0)
    return Head((b"%d" % event.status_code, bytes(event.reason)), event.headers.raw_items(), framing)


def _framing(headers: h11._headers.Headers, *, default: Literal["none", "close"]) -> Framing:
    """RFC 9112 6.3 over fields that h11 has validated."""
    length: Framing = (default, 0)
    for name, value in headers:
        if name == b"transfer-encoding":  # in lower case, and "chunked": h11 takes no other
            return "chunked", 0
        if name == b"content-length":
            length = ("length", int(value)) if int(value) or default == "close" else ("none", 0)
    return length


def chunked_body(coded: bytes) -> tuple[bytes, bool, bytes, list[tuple[bytes, bytes]]] | str:
    """(data, done, rest, trailers) of a chunked body, h11's reason if it refuses."""
    server = h11.Connection(h11.SERVER, EVENT_MAX)
    server.receive_data(BODY_HEAD + coded)
    server.next_event()
    data: list[bytes] = []
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Data):
                data.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(data), True, server.trailing_data[0], event.headers.raw_items()
            else:
                return b"".join(data), False, b"", []
    except h11.RemoteProtocolError as error:
        return str(error)


def is_lenient(why: str) -> bool:
    """Whether this is a reason that we know and do not share."""
    return any(re.match(pattern, why) for pattern in LENIENT)


def requests(stream: bytes) -> tuple[list[Message], bool]:
    """The requests of a whole connection, up to the first that h11 refuses or that is the last one; whether h11's
    reason to stop is one that we do not share.

    Line ends before a request are skipped as RFC 9112 2.2 asks, which h11 does not do.
    """
    found: list[Message] = []
    while stream := stream.lstrip(b"\r\n"):
        server = h11.Connection(h11.SERVER, EVENT_MAX)
        server.receive_data(stream)
        try:
            while not isinstance(event := server.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    found.append(Message(event.method, event.target))
                elif isinstance(event, h11.Data):
                    found[-1].body += bytes(event.data)
                else:
                    return found, False
        except h11.RemoteProtocolError as error:
            return found, is_lenient(str(error))
        found[-1].complete = True
        if server.their_state is h11.MUST_CLOSE:
            break
        stream = server.trailing_data[0]
    return found, False


def response(stream: bytes, method: bytes, *, ended: bool) -> tuple[list[int], bytes, bool, bytes] | None:
    """(statuses, body, complete, rest) of the first final response in `stream`; None if h11 refuses it."""
    client = h11.Connection(h11.CLIENT, EVENT_MAX)
    client.send(
        h11.Request(method=method, target="/", headers=[("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "x")])
    )
    client.send(h11.EndOfMessage())
    client.receive_data(stream)
    if ended:
        client.receive_data(b"")
    statuses: list[int] = []
    body: list[bytes] = []
    try:
        while True:
            event = client.next_event()
            if isinstance(event, h11.InformationalResponse | h11.Response):
                statuses.append(event.status_code)
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return statuses, b"".join(body), True, client.trailing_data[0]
            else:
                return statuses, b"".join(body), False, b""
    except h11.RemoteProtocolError as error:
        if ended and "without sending complete message body" in str(error):
            return statuses, b"".join(body), False, b""
        return None
