"""What is remembered of heads: a client repeats its head on every request, a server within a second (Date).

Clients that ask for something else each time still repeat the rest of their heads. So of a request's head everything
but the target is remembered with the request that it makes, and a request for any other target in origin-form is that
one with the target replaced: a look-up and a match instead of a parse. Responses are remembered by their whole heads.
That the other side of a connection says the same as the last time is noticed there (`downstream`, `upstream`), and what
even the parser need not do again for a new head - known lines, known combinations of fields - in `fields` and `codec`.

Each is a memory of results of pure functions: what is found is what would be parsed. It is bounded, and emptied when
full, which is cheaper than to know what was used last. Long heads are not worth remembering, nor is what is seen once:
a request's fields are remembered the second time, so that those that never come again cost a number in a set.
"""

from __future__ import annotations

from typing import Final, TypeVar

from dataplane.l7.codec import REMEMBERED_MAX, parse_request, parse_response
from dataplane.l7.events import Refusal, Request, Response
from dataplane.l7.grammar import ORIGIN_FORM
from dataplane.l7.limits import Limits

SIZE: Final = 1024  # at most 2 MiB of each kind, and that only if somebody makes all of them long

T = TypeVar("T", Request, Response)
K = TypeVar("K", bytes, tuple[bytes, bytes])


class RequestHeads:
    """Requests by method and everything after the target."""

    __slots__ = ("_known", "_limits", "_seen", "_size_max")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size_max = min(REMEMBERED_MAX, limits.request_line_max, limits.head_max)
        self._known: dict[tuple[bytes, bytes], Request] = {}
        self._seen: set[int] = set()  # hashes of keys; two that share one are at worst remembered at once

    def __repr__(self) -> str:
        return f"RequestHeads({len(self._known)} known)"

    def whole(self, data: bytes) -> Request | None:
        """The request whose head is all of `data`; None for what is not so plain (or wrong) and needs a closer look."""
        parts = data.split(b" ", 2)
        if len(parts) < 3 or len(data) > self._size_max:
            return None
        method, target, rest = parts
        key = (method, rest)
        twin = self._known.get(key)
        if ORIGIN_FORM.fullmatch(target) is None:
            return None
        if twin is not None:
            return twin.to(target)
        if data.find(b"\r\n\r\n") != len(data) - 4:
            return None
        try:
            request = parse_request(data, self._limits)
        except Refusal:
            return None
        self._remember(key, request)
        return request

    def parse(self, head: bytes) -> Request:
        """The request of this head, which is whole; Refusal if it is none."""
        return self.whole(head) or parse_request(head, self._limits)

    def _remember(self, key: tuple[bytes, bytes], request: Request) -> None:
        mark = hash(key)
        if mark in self._seen:
            _remember(self._known, key, request)
            return
        if len(self._seen) >= SIZE:
            self._seen.clear()
        self._seen.add(mark)


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
