"""One exchange - a request and its response - as a machine, and the connection's life between exchanges.

    IDLE        no byte of a request yet; the connection persists
    HEAD        a part of a request's head is here
    CONNECTING  the head is complete; no upstream connection yet, the body is held back
    SENDING     the head is upstream; the request's body is on its way
    WAITING     the whole request is upstream; no final response yet
    CROSSING    a final response comes while the request's body is still on its way (RFC 9112 9.3: allowed)
    ANSWERING   the whole request is upstream; the response is on its way
    LINGERING   the last response is out; what the client still sends is thrown away until it closes
    TUNNEL      101 (Switching Protocols): bytes, both ways
    CLOSED

A response that ends while the request has not (CROSSING) leaves a connection whose rest nobody can trust to be
framed as the client thinks, so it never persists. `SENT` and `ANSWERED` are shorthands for what most exchanges do in
one step: the whole request in one write, the whole response in one read; a test proves them equal to the steps.

A missing transition is a bug of ours and raises KeyError.
"""

from __future__ import annotations

from typing import Final

IDLE: Final = "idle"
HEAD: Final = "head"
CONNECTING: Final = "connecting"
SENDING: Final = "sending"
WAITING: Final = "waiting"
CROSSING: Final = "crossing"
ANSWERING: Final = "answering"
LINGERING: Final = "lingering"
TUNNEL: Final = "tunnel"
CLOSED: Final = "closed"

PART: Final = "part"  # some bytes of a head, not all
REQUEST: Final = "request"  # a whole head
CONNECTED: Final = "connected"  # an upstream connection took the head
REQUEST_END: Final = "request_end"  # the request's last byte went upstream
SENT: Final = "sent"  # CONNECTED and REQUEST_END
RETRY: Final = "retry"  # the attempt failed, another is made
RESPONSE: Final = "response"  # the head of a final response went downstream
RESPONSE_END: Final = "response_end"  # its last byte did; the connection persists
ANSWERED: Final = "answered"  # RESPONSE and RESPONSE_END; or an answer of our own
LAST: Final = "last"  # the last byte of the connection's last response went downstream
SWITCH: Final = "switch"  # 101
ABORT: Final = "abort"  # the connection is gone or must go at once

NEXT: Final[dict[str, dict[str, str]]] = {
    IDLE: {PART: HEAD, REQUEST: CONNECTING, LAST: LINGERING, ABORT: CLOSED},
    HEAD: {PART: HEAD, REQUEST: CONNECTING, LAST: LINGERING, ABORT: CLOSED},
    CONNECTING: {
        CONNECTED: SENDING,
        SENT: WAITING,
        RETRY: CONNECTING,
        ANSWERED: IDLE,
        LAST: LINGERING,
        ABORT: CLOSED,
    },
    SENDING: {REQUEST_END: WAITING, RETRY: CONNECTING, RESPONSE: CROSSING, LAST: LINGERING, ABORT: CLOSED},
    WAITING: {
        RETRY: CONNECTING,
        RESPONSE: ANSWERING,
        ANSWERED: IDLE,
        SWITCH: TUNNEL,
        LAST: LINGERING,
        ABORT: CLOSED,
    },
    CROSSING: {REQUEST_END: ANSWERING, LAST: LINGERING, ABORT: CLOSED},
    ANSWERING: {RESPONSE_END: IDLE, LAST: LINGERING, ABORT: CLOSED},
    LINGERING: {ABORT: CLOSED},
    TUNNEL: {ABORT: CLOSED},
    CLOSED: {ABORT: CLOSED},
}

OPEN: Final = frozenset((CONNECTING, SENDING, WAITING, CROSSING, ANSWERING))
"""An exchange is under way: it holds a lease, or is about to answer."""

ANSWER_BEGUN: Final = frozenset((CROSSING, ANSWERING))
"""A part of a final response is out: nothing can be retried or answered otherwise any more."""


def table() -> str:
    """The machine, printed."""
    width = max(map(len, NEXT))
    return "\n".join(
        f"{state:<{width}}  " + "  ".join(f"{event} -> {after}" for event, after in row.items())
        for state, row in NEXT.items()
    )
