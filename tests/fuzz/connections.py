"""Whole connections: a client's bytes through Downstream, Conversation, Upstream and back, with h11 at both ends.

What must hold, whatever the client sends and in whatever pieces, and whatever the endpoint answers:

- Nothing raises, and when the client has ended and all timeouts have passed, connection and lease are gone.
- What is held is bounded.
- The endpoint can read what it gets, and each request that reaches it is one that h11 reads in the client's bytes, in
  the same order, with the same method and body (less what we refuse).
- The client can read what it gets: as many answers as requests, each body complete or visibly cut, and where the
  endpoint spoke properly the body that it gave to this very request. A body of another request's answer is a desync.
"""

from __future__ import annotations

from random import Random
from typing import Final

from dataplane.l7.downstream import Downstream
from tests.fuzz import inputs, oracle
from tests.fuzz.oracle import Message
from tests.fuzz.parts import Verdict
from tests.fuzz.wires import Lab, Reply, Wire

HELD_MAX: Final = 256 * 1024
PATIENCE_S: Final = 200.0
SWEEPS_MAX: Final = 12


def stream(dice: Random) -> bytes:
    """Some requests, mostly good ones, and sometimes mutated as a whole."""
    parts = []
    for number in range(dice.choice((1, 1, 2, 3))):
        what = dice.randrange(8)
        line = b"%b /%d HTTP/1.1\r\nHost: h\r\n" % (dice.choice((b"GET", b"POST", b"PUT")), number)
        if what <= 1:
            parts.append(line + b"\r\n")
        elif what <= 3:
            body = dice.randbytes(dice.randrange(40))
            parts.append(line + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        elif what <= 5:
            parts.append(line + b"Transfer-Encoding: chunked\r\n\r\n" + inputs.chunked_body(dice, odd=False))
        elif what == 6:
            parts.append(b"HEAD /%d HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n" % number)
        else:
            parts.append(inputs.request_head(dice))
    data = b"".join(parts)
    return inputs.mutated(dice, data) if dice.random() < 0.5 else data


class Connections:
    """The kind of input that needs a laboratory kept between inputs."""

    def __init__(self, dice: Random) -> None:
        self.lab = Lab(dice)

    def __call__(self, dice: Random) -> tuple[bytes, Verdict]:
        data = stream(dice)
        pieces = inputs.cut(dice, data)
        return data, self.check(data, pieces, half_close=dice.random() < 0.5)

    def check(self, data: bytes, pieces: list[bytes], *, half_close: bool) -> Verdict:
        lab = self.lab
        lab.replies.clear()
        client = lab.connect()
        assert isinstance(client, Downstream)
        wire = Wire(client)
        client.connection_made(wire)  # type: ignore[arg-type]  # a transport as far as the proxy asks of one
        for piece in pieces:
            if wire.closing or wire.protocol is not client:
                break
            client.data_received(piece)
            lab.turn()
            if len(client._held) > HELD_MAX:
                return Verdict("held", f"{len(client._held)} bytes are held")
        if finding := self._end(client, wire, half_close=half_close):
            return Verdict("not ended", finding)
        problems = [endpoint.problem for endpoint in lab.endpoints if endpoint.problem]
        if problems:
            lab.endpoints.clear()
            return Verdict("unreadable", problems[0])
        requests, unsure = oracle.requests(data)
        if unsure:
            return Verdict("h11 stops reading where we go on")
        finding = _forwarded(requests, lab.replies) or _answered(wire, requests, lab.replies)
        return Verdict(f"{len(lab.replies)} requests answered", finding)

    def _end(self, client: Downstream, wire: Wire, *, half_close: bool) -> str:
        """The client ends, time passes: everything must be gone."""
        lab = self.lab
        if half_close and not wire.closing and not client.eof_received():
            wire.close()
        for _ in range(SWEEPS_MAX):
            lab.turn()
            if wire.closing:
                wire.end()
                lab.turn()
                break
            lab.now += PATIENCE_S
            lab.proxy.sweep()
        if not wire.lost:
            return f"{client!r} does not end"
        if lab.leases or lab.proxy.clients or lab.proxy.tunnels:
            return f"{lab.leases} leases, {lab.proxy!r} are left"
        return ""


def _forwarded(requests: list[Message], replies: list[Reply]) -> str:
    """Whether what endpoints answered is a part of what the client asked, in its order."""
    at = 0
    for reply in replies:
        got = reply.request
        while at < len(requests) and not _same(requests[at], got):
            at += 1
        if at == len(requests):
            return f"an endpoint got {got}, h11 read {requests}"
    return ""


def _same(asked: Message, got: Message) -> bool:
    return (asked.method, origin_form(asked), asked.body, asked.complete) == (got.method, got.target, got.body, True)


def origin_form(asked: Message) -> bytes:
    """The target as a gateway passes it on, RFC 9112 3.2.2 and 3.2.4."""
    _, mark, rest = asked.target.partition(b"://")
    if not mark or asked.target.startswith(b"/"):
        return asked.target
    cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    if cut == len(rest) and asked.method == b"OPTIONS":
        return b"*"
    return (b"" if rest[cut : cut + 1] == b"/" else b"/") + rest[cut:]


def _answered(wire: Wire, requests: list[Message], replies: list[Reply]) -> str:
    """Whether the client can read what it got, each answer being the one to its request."""
    rest = wire.take()
    given = {reply.body: reply for reply in replies if reply.body}
    for request in [*requests, Message(b"GET", b"")]:
        if not rest:
            return ""
        closes = b"\r\nConnection: close\r\n" in rest.partition(b"\r\n\r\n")[0] + b"\r\n"
        found = oracle.response(rest, request.method, ended=True)
        if found is None:
            return f"the client cannot read {rest!r} as the answer to {request}"
        statuses, body, complete, rest = found
        if statuses[-1:] != [200] or not complete:
            if closes or not complete:
                return ""  # a refusal, or cut short: what follows is nobody's
            continue
        reply = given.get(body)
        if reply is None and body and all(reply.body is not None for reply in replies):
            return f"{request} got an answer that nobody gave: {body!r}"
        if reply is not None and not _same(request, reply.request):
            return f"{request} got the answer of {reply.request}"
    return f"more answers than requests: {rest!r}" if rest else ""
