"""Checks of the pure parsers: heads of requests and responses, chunked bodies.

An input passes if we refuse it, or if everybody reads it alike: we whole and in pieces, the memory of heads and the
parser, h11, and h11 once more what we would send on. A check returns what it found, "" for nothing, and `label`, what
became of the input ("accepted", or our reason to refuse it), for the counts.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from dataplane.l7.chunked import LAST_CHUNK, ChunkedDecoder, chunk
from dataplane.l7.codec import head_end, parse_request, parse_response
from dataplane.l7.events import Refusal, Request, Response
from dataplane.l7.headers import Edge, downstream_head
from dataplane.l7.heads import RequestHeads, ResponseHeads
from dataplane.l7.limits import Limits
from tests.fuzz import inputs, oracle

LIMITS = Limits()
REQUESTS = RequestHeads(LIMITS)  # kept over all inputs, so that a memory that mixes things up is seen
RESPONSES = ResponseHeads(LIMITS)
EDGE = Edge(b"http", b"192.0.2.1", b"127.0.0.1", 80, "replace", b"loopkube")
DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"transfer-encoding"}
FRAMING = {b"transfer-encoding", b"content-length"}
SECOND_OPINION = 32  # of the refused inputs every so manieth is shown to h11, to count what we alone refuse


class Verdict(NamedTuple):
    """`finding` "" if nothing is wrong; `stricter`: h11 accepts what we refused (asked of a sample only)."""

    label: str
    finding: str = ""
    stricter: bool = False


def request_head(dice: Random) -> tuple[bytes, Verdict]:
    head = inputs.request_head(dice)
    if dice.random() < 0.5:
        head = inputs.mutated(dice, head)
    return head, check_request(head, second_opinion=not dice.randrange(SECOND_OPINION))


def check_request(data: bytes, *, second_opinion: bool = True) -> Verdict:
    data = data.lstrip(b"\r\n")  # as downstream does
    try:
        end = head_end(data, 0, LIMITS, is_request=True)
        if not end:
            return Verdict("incomplete")
        head = data[:end]
        request = parse_request(head, LIMITS)
    except Refusal as refusal:
        stricter = second_opinion and isinstance(oracle.request_head(data), oracle.Head)
        return Verdict(refusal.why, "", stricter)
    if _face(REQUESTS.parse(head)) != _face(request):
        return Verdict("accepted", "remembered otherwise than parsed")
    theirs = oracle.request_head(head)
    if isinstance(theirs, str):
        return Verdict("accepted", f"h11 refuses it: {theirs}")
    terms = request.terms
    raw = _plain([(field.name, field.value) for field in request.fields])
    if _plain(theirs.fields) != raw or theirs.start[0] != terms.method or theirs.framing != (terms.body, terms.length):
        return Verdict("accepted", f"h11 reads {theirs}")
    return Verdict("accepted", _forwarded(request, EDGE.upstream_head(request)))


def _plain(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without what h11 normalises: Transfer-Encoding in lower case, a list of equal lengths to one."""
    return [(name, value.lower().partition(b",")[0] if name.lower() in FRAMING else value) for name, value in fields]


def _unframing(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Trailers without those that h11 normalises and we drop later."""
    return [(name, value) for name, value in fields if name.lower() not in FRAMING]


def _face(request: Request) -> tuple[object, ...]:
    terms = request.terms
    said = [getattr(terms, name) for name in terms.__slots__]
    return said, request.target, request.path, request.kept, [(field.name, field.value) for field in request.fields]


def _forwarded(request: Request, onward: bytes) -> str:
    """What is wrong with what we would send to an endpoint."""
    terms = request.terms
    theirs = oracle.request_head(onward)
    if isinstance(theirs, str):
        return f"h11 refuses what goes on: {onward!r}: {theirs}"
    if theirs.start != (terms.method, request.target) or theirs.framing != (terms.body, terms.length):
        return f"what goes on is another message: {onward!r}"
    names = [name.lower() for name, _ in theirs.fields]
    if names.count(b"host") != 1 or names.count(b"content-length") > 1 or onward.count(b"\r\n\r\n") != 1:
        return f"what goes on is ambiguous: {onward!r}"
    ours = {b"te", b"connection", b"upgrade"} if terms.tail else set()
    ours |= {b"transfer-encoding"} if terms.body == "chunked" else set()
    ours |= {b"trailer"} if terms.announced else set()
    passed = HOP_BY_HOP.intersection(names) - ours
    return f"hop-by-hop fields go on: {passed}" if passed else ""


def response_head(dice: Random) -> tuple[bytes, Verdict]:
    head = inputs.response_head(dice)
    if dice.random() < 0.5:
        head = inputs.mutated(dice, head)
    return head, check_response(head, second_opinion=not dice.randrange(SECOND_OPINION))


def check_response(data: bytes, *, second_opinion: bool = True) -> Verdict:
    try:
        end = head_end(data, 0, LIMITS, is_request=False)
        if not end:
            return Verdict("incomplete")
        head = data[:end]
        response = parse_response(head, LIMITS)
    except Refusal as refusal:
        stricter = second_opinion and isinstance(oracle.response_head(data, b"GET"), oracle.Head)
        return Verdict(refusal.why, "", stricter)
    again = RESPONSES.parse(head)
    if (again.head, again.body, again.length, again.plain) != (
        response.head,
        response.body,
        response.length,
        response.plain,
    ):
        return Verdict("accepted", "remembered otherwise than parsed")
    theirs = oracle.response_head(head, b"GET")
    if isinstance(theirs, str):
        return Verdict("accepted", f"h11 refuses it: {theirs}")
    raw = _plain([(field.name, field.value) for field in response.fields])
    length = response.length if response.body == "length" else 0
    if (
        _plain(theirs.fields) != raw
        or theirs.start[0] != b"%d" % response.status
        or theirs.framing != (response.body, length)
    ):
        return Verdict("accepted", f"h11 reads {theirs}")
    return Verdict("accepted", _backward(response))


ASKED = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", LIMITS)


def _backward(response: Response) -> str:
    """What is wrong with what we would send to a client."""
    framing = b"Transfer-Encoding: chunked\r\n" if response.body in ("chunked", "close") else b""
    onward = response.plain if not framing and response.plain else b""
    onward = onward or downstream_head(response, ASKED, DATE, framing=framing, closing=False)
    theirs = oracle.response_head(onward, b"GET")
    if isinstance(theirs, str):
        return f"h11 refuses what goes on: {onward!r}: {theirs}"
    expected = "chunked" if framing else response.body
    if theirs.start[0] != b"%d" % response.status or theirs.framing[0] != expected:
        return f"what goes on is another message: {onward!r}"
    if onward.count(b"\r\n\r\n") != 1:
        return f"what goes on is ambiguous: {onward!r}"
    return ""


Decoded = tuple[bytes, bool, bytes, list[tuple[bytes, bytes]]]


def decoded(pieces: list[bytes]) -> Decoded | str:
    """What the decoder makes of a body in these pieces; the reason if it refuses."""
    decoder = ChunkedDecoder()
    out: list[bytes] = []
    try:
        for number, piece in enumerate(pieces):
            out.append(decoder.feed(piece))
            if decoder.done:
                rest = decoder.rest + b"".join(pieces[number + 1 :])
                return b"".join(out), True, rest, list(decoder.trailers)
    except Refusal as refusal:
        return refusal.why
    return b"".join(out), False, b"", []


def chunked_body(dice: Random) -> tuple[bytes, Verdict]:
    coded = inputs.chunked_body(dice)
    if dice.random() < 0.5:
        coded = inputs.mutated(dice, coded)
    return coded, check_chunked(coded, inputs.cut(dice, coded), second_opinion=not dice.randrange(SECOND_OPINION))


def check_chunked(coded: bytes, pieces: list[bytes], *, second_opinion: bool = True) -> Verdict:
    ours = decoded([coded])
    apart = decoded(pieces)
    if isinstance(ours, str):
        if not isinstance(apart, str):
            return Verdict(ours, f"accepted in pieces {pieces}")
        return Verdict(ours, "", second_opinion and not isinstance(oracle.chunked_body(coded), str))
    label = "accepted" if ours[1] else "incomplete"
    if ours != apart:
        return Verdict(label, f"in pieces {pieces}: {apart}")
    theirs = oracle.chunked_body(coded)
    if isinstance(theirs, str):
        if not oracle.is_lenient(theirs):
            return Verdict(label, f"h11 refuses it: {theirs}")
    elif (*theirs[:3], _unframing(theirs[3])) != (*ours[:3], _unframing(ours[3])):
        return Verdict(label, f"h11 reads {theirs}")
    onward = chunk(ours[0]) + LAST_CHUNK
    if ours[1] and oracle.chunked_body(onward) != (ours[0], True, b"", []):
        return Verdict(label, f"what goes on is another body: {onward!r}")
    return Verdict(label)


KINDS: dict[str, Callable[[Random], tuple[bytes, Verdict]]] = {
    "request-head": request_head,
    "response-head": response_head,
    "chunked-body": chunked_body,
}
