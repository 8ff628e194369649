"""The two sides of a conversation as it sees them: what speaks HTTP to a client, and what speaks it to an endpoint.

A conversation decides - route, endpoint, another try, when an exchange is over - and these two say it on the wire, each
in its own version of HTTP. What passes between them has no framing: heads are `Request` and `Response`, bodies are
bytes, and an end is an end, with trailers or without. So every pair of versions works, and none knows of the other.

The calls in the other direction are methods of the conversation: `begin`, `body`, `body_end` and `client_lost` from
the client's side; `answered`, or `interim`, `responded`, `response_data` and `response_end`, and `failed` from the
endpoint's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dataplane.l7.events import Fields, Framing, Request, Response

if TYPE_CHECKING:
    from dataplane.l7.conversation import Conversation


class ClientSide(Protocol):
    """What a conversation asks of the client's side.

    The three that begin or make an answer say whether another request may follow in the same conversation.
    """

    full: bool
    """The client does not take its answer as fast as it comes; it calls the upstream's `pause` and `resume`."""

    def answer(self, response: Response, body: bytes, request: Request | None, complete: bool) -> bool:
        """A whole answer. `request` None: it could not be understood; `complete`: all of it has come."""

    def begin_answer(self, response: Response, framing: Framing, request: Request, *, complete: bool) -> bool:
        """The head of a final answer. `framing`: how its body comes to us; "none" if there is none."""

    def send(self, data: bytes) -> None:
        """A piece of its body, not empty."""

    def end_answer(self, trailers: Fields, request: Request) -> None:
        """The answer is complete."""

    def interim(self, response: Response, request: Request) -> None:
        """A 1xx, for whoever can understand it."""

    def switch(self, response: Response, request: Request, rest: bytes, upstream: EndpointSide) -> None:
        """101 that was asked for; `rest` are the first bytes of what follows. Only of who can ask for an upgrade."""

    def broken_by(self, code: int) -> None:
        """The answer will break off, for this reason of the endpoint (an error code of RFC 9113 7)."""

    def exchange_ended(self, now: float) -> None:
        """The exchange is over; the conversation's state says whether and how its connection goes on."""

    def pause(self, reason: str) -> None:
        """Take no more of the request's body from the client, for this reason."""

    def resume(self, reason: str) -> None:
        """This reason is gone."""

    def set_deadline(self, deadline: float) -> None:
        """What is awaited now must come until then."""


class EndpointSide(Protocol):
    """What a conversation asks of the endpoint's side: one exchange's worth of a connection, lent by its pool."""

    user: Conversation | None

    @property
    def unsent(self) -> int:
        """Bytes of the request that the endpoint has not taken yet."""

    def send_request(self, talk: Conversation, body: bytes, trailers: Fields, complete: bool) -> None:
        """The request's head and what there is of its body; `complete`: that is all of it, trailers included."""

    def send_body(self, data: bytes) -> None:
        """A further piece of the request's body, not empty."""

    def end_body(self, data: bytes, trailers: Fields) -> None:
        """The last piece, perhaps empty, and the end."""

    def pause(self) -> None:
        """Take no more of the response: the client is slower."""

    def resume(self) -> None:
        """Go on."""

    def give_back(self, now: float) -> None:
        """The exchange ended as it should."""

    def abort(self) -> None:
        """It did not: the endpoint sees its request or its response cut off."""
