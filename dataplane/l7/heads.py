"""What is remembered of heads: a client repeats its head on every request, a server within a second (Date).

Clients that ask for something else each time still repeat the rest of their heads. So of a request's head everything
but the target is remembered with the request that it makes, and a request for any other target in origin-form is that
one with the target replaced: a look-up and a match instead of a parse. Responses are remembered by their whole heads. (That
the other side of a connection says the same as the last time is noticed there, in `downstream` and `upstream`.)

It is a memory of results of pure functions: what is found is what would be parsed. It is bounded, and emptied when
full, which is cheaper than to know what was used last; long heads are not worth remembering. What even the parser need
not do again for a new head - known lines, known combinations of fields - is remembered in `fields` and `codec`.
"""

from __future__ import annotations

from typing import Final, TypeVar

from dataplane.l7.codec import REMEMBERED_MAX, parse_request, parse_response
from dataplane.l7.events import Request, Response
from dataplane.l7.grammar import ORIGIN_FORM
from dataplane.l7.limits import Limits

SIZE: Final = 1024  # at most 2 MiB of each kind, and that only if somebody makes all of them long

T = TypeVar("T", Request, Response)
K = TypeVar("K", bytes, tuple[bytes, bytes])


class RequestHeads:
    """Requests by method and everything after the target."""

    __slots__ = ("_known", "_limits", "_size_max")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size_max = min(REMEMBERED_MAX, limits.request_line_max, limits.head_max)
        self._known: dict[tuple[bytes, bytes], Request] = {}

    def __repr__(self) -> str:
        return f"RequestHeads({len(self._known)} known)"

    def recall(self, data: bytes) -> Request | None:
        """The request whose head is all of `data`, if one was parsed that differs in its target at most."""
        parts = data.split(b" ", 2)
        if len(parts) < 3:
            return None
        method, target, rest = parts
        twin = self._known.get((method, rest))
        if twin is None or len(data) > self._size_max or ORIGIN_FORM.fullmatch(target) is None:
            return None
        return twin.to(target)

    def parse(self, head: bytes) -> Request:
        """The request of this head, which is whole; Refusal if it is none."""
        request = parse_request(head, self._limits)
        if len(head) <= REMEMBERED_MAX:
            method, target, rest = head.split(b" ", 2)
            if target.startswith(b"/"):
                _remember(self._known, (method, rest), request)
        return request


class ResponseHeads:
    """Responses by their heads."""

    __slots__ = ("_known", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[bytes, Response] = {}

    def __repr__(self) -> str:
        return f"ResponseHeads({len(self._known)} known)"

    def parse(self, head: bytes) -> Response:
        """The response of this head, which is whole; Refusal if it is none."""
        found = self._known.get(head)
        if found is None:
            found = parse_response(head, self._limits)
            if len(head) <= REMEMBERED_MAX:
                _remember(self._known, head, found)
        return found


def _remember(memory: dict[K, T], key: K, value: T) -> None:
    if len(memory) >= SIZE:
        memory.clear()
    memory[key] = value
