"""The life of one relayed TCP connection, as a table.

A connection has two directions. A FIN from one side ends that side's direction and is passed on as a FIN; the other
direction goes on until its own FIN (a client that has sent its request and shut down its sending half still gets the
answer). A reset from one side ends both and is passed on as a reset, so that neither side takes an aborted stream for
a complete one.

    dialing        the client is connected, the endpoint not yet; the client's bytes wait in the kernel
    dialing-ended  the same, and the client has already sent its FIN
    open           both directions
    to-client      the client has sent its FIN
    to-endpoint    the endpoint has sent its FIN
    ended          nothing remains; what still happens to the two sockets is of no interest

A connection of which one direction has ended is not kept for ever: it *expires*, as conntrack's CLOSE_WAIT does.

`outcome` says how a flow record calls an end. That an endpoint which has ended its own direction is followed by a
client that resets instead of closing is a complete exchange: load generators do it to save themselves TIME_WAIT.
"""

from __future__ import annotations

from typing import Literal

State = Literal["dialing", "dialing-ended", "open", "to-client", "to-endpoint", "ended"]
Event = Literal["connected", "refused", "timeout", "overload", "client-eof", "endpoint-eof", "client-lost",
                "endpoint-lost", "expired", "drained"]  # fmt: skip
DialFailure = Literal["refused", "timeout", "overload"]

NEXT: dict[State, dict[Event, State]] = {
    "dialing": {
        "connected": "open",
        "refused": "ended",
        "timeout": "ended",
        "overload": "ended",
        "client-eof": "dialing-ended",
        "client-lost": "ended",
        "drained": "ended",
    },
    "dialing-ended": {
        "connected": "to-client",
        "refused": "ended",
        "timeout": "ended",
        "overload": "ended",
        "client-lost": "ended",
        "drained": "ended",
    },
    "open": {
        "client-eof": "to-client",
        "endpoint-eof": "to-endpoint",
        "client-lost": "ended",
        "endpoint-lost": "ended",
        "drained": "ended",
    },
    "to-client": {
        "endpoint-eof": "ended",
        "client-lost": "ended",
        "endpoint-lost": "ended",
        "expired": "ended",
        "drained": "ended",
    },
    "to-endpoint": {
        "client-eof": "ended",
        "client-lost": "ended",
        "endpoint-lost": "ended",
        "expired": "ended",
        "drained": "ended",
    },
    "ended": {},
}


class SessionError(Exception):
    """An event that cannot happen in this state: a mistake of ours."""


def step(state: State, event: Event) -> State:
    """The state after `event`."""
    following = NEXT[state].get(event)
    if following is None:
        raise SessionError(f"{event} cannot happen while {state}")
    return following


def is_clean(event: Event) -> bool:
    """Whether an end by this event is a FIN on both sides; otherwise both are reset."""
    return event in ("client-eof", "endpoint-eof")


def outcome(state: State, event: Event) -> str:
    """What a flow record calls the end that `event` brought in `state` (a key of `metrics.flows.OUTCOMES`)."""
    if event == "client-lost":
        return "ok" if state == "to-endpoint" else "client_abort"
    if event == "endpoint-lost":
        return "reset"
    if event == "expired":
        return "timeout"
    return "ok" if is_clean(event) else event
