"""Heads: bytes to Request and Response, by RFC 9112, strictly.

The whole safety of a proxy is that it and its neighbours agree where a message ends. So a head in which two readers
could see different things is refused, not repaired: both Content-Length and Transfer-Encoding in a request, repeated
or listed Content-Length, any transfer coding but one `chunked`, bare CR or LF, folded lines, space before a colon,
two Host fields. For responses one combination is allowed because origins do send it and the RFC says who wins
(Transfer-Encoding over Content-Length); that connection is not used again.

The parsers take exactly one head, from its first octet to the empty line's CRLF; `head_end` finds it in a stream. What
is remembered of heads seen before is `heads`'s concern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from dataplane.l7.events import Framing, Refusal, Request, Response, Terms
from dataplane.l7.fields import FORWARDING, Field, parse_fields, specials
from dataplane.l7.grammar import (
    ABSOLUTE,
    BARE_LF,
    HOST,
    OTHER_CODING,
    OTHER_VERSION,
    REQUEST_LINE,
    STATUS_LINE,
    number,
    tokens,
)
from dataplane.l7.headers import kept_lines, may_trail, request_tail, stopped
from dataplane.l7.limits import Limits

IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"PROPFIND"))
"""RFC 9110 9.2.2, and PROPFIND of RFC 4918. nginx's list is the reverse: all but POST, LOCK and PATCH."""

REMEMBERED_MAX: Final = 2048
"""Longest head that is worth remembering anything of."""

UNSERVED: Final = {
    b"CONNECT": (501, "CONNECT is not served here"),
    b"TRACE": (405, "TRACE is not served here"),  # it would show credentials to scripts, RFC 9110 9.3.8
}


def head_end(data: bytes, seen: int, limits: Limits, *, is_request: bool) -> int:
    """Length of the head that `data` begins with, 0 while it is incomplete. `seen` octets were looked at before.

    Refuses early what can no longer become a head, so that nobody waits for the end of it.
    """
    end = data.find(b"\r\n\r\n", max(0, seen - 3)) + 4
    if end == 3:
        end = 0
    size = end or len(data)
    if is_request and size > limits.request_line_max:
        line_end = data.find(b"\r\n", 0, limits.request_line_max + 2)
        if line_end < 0:
            raise Refusal(414, f"the request line is longer than {limits.request_line_max} bytes")
    if size > limits.head_max:
        raise Refusal(431, f"the head is longer than {limits.head_max} bytes")
    if not end and BARE_LF.search(data, max(0, seen - 1)):
        raise Refusal(400, "a line ends without CR")
    return end


def parse_request(head: bytes, limits: Limits) -> Request:
    """The request whose head is `head`."""
    line, _, block = head.partition(b"\r\n")
    found = REQUEST_LINE.fullmatch(line)
    if found is None:
        if OTHER_VERSION.fullmatch(line):
            raise Refusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        raise Refusal(400, "the request line is malformed")
    method, target, digit = found.groups()
    if len(line) > limits.request_line_max:
        raise Refusal(414, f"the request line is longer than {limits.request_line_max} bytes")
    if method in UNSERVED:
        raise Refusal(*UNSERVED[method])
    fields = parse_fields(block[:-2], limits.fields_max)
    authority, target, path = _where(method, target)
    decide = terms_of if len(head) <= REMEMBERED_MAX else _terms_of
    terms = decide(method, 0 if digit == b"0" else 1, authority, tuple([field for field in fields if field.role]))
    if limits.body_max and terms.length > limits.body_max:
        raise Refusal(413, f"the body is longer than {limits.body_max} bytes")
    kept = kept_lines(fields, terms.stops, terms.rewritten)
    if b"host" in terms.rewritten and not any(field.role == b"host" for field in fields):
        kept = terms.rewritten[b"host"] + kept
    return Request(terms, target, path, fields, kept)


def _where(method: bytes, target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Authority if the target has one, the target as it goes upstream, and its path: RFC 9112 3.2 and 3.3."""
    if target.startswith(b"/"):
        return None, target, target.partition(b"?")[0]
    if target == b"*":
        if method != b"OPTIONS":
            raise Refusal(400, "only OPTIONS is for * as a whole")
        return None, target, b"/"
    found = ABSOLUTE.fullmatch(target)
    if found is None or HOST.fullmatch(found[1]) is None:
        raise Refusal(400, "the request target is malformed")
    path = found[2] or b"/"
    if method == b"OPTIONS" and not found[2] and not found[3]:
        return found[1], b"*", path  # RFC 9112 3.2.4
    return found[1], path + found[3], path


def _terms_of(method: bytes, minor: int, authority: bytes | None, fields: tuple[Field, ...]) -> Terms:
    """The terms that these special fields make."""
    special = specials(fields)
    hosts = special.get(b"host", [])
    if len(hosts) > 1 or (hosts and HOST.fullmatch(hosts[0]) is None):
        raise Refusal(400, "the Host field is malformed")
    if not hosts and minor:
        raise Refusal(400, "an HTTP/1.1 request needs a Host field")
    terms = Terms()
    terms.method, terms.minor = method, minor
    terms.is_head, terms.idempotent = method == b"HEAD", method in IDEMPOTENT
    terms.host = authority or (hosts[0] if hosts else b"")
    terms.body, terms.length = _request_framing(special, minor)
    options = _options(special)
    _wishes(terms, special, options)
    terms.forwarded = tuple([(field.lower, field.value) for field in fields if field.role in FORWARDING])
    terms.stops = stopped(options)
    terms.rewritten = _rewritten(terms, special)
    terms.tail = request_tail(terms)
    return terms


terms_of = lru_cache(maxsize=1024)(_terms_of)
"""The same question has the same answer, and few are asked: clients differ in paths, cookies and the like."""


def _request_framing(special: dict[bytes, list[bytes]], minor: int) -> tuple[Framing, int]:
    """How the body of a request ends, RFC 9112 6.3."""
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    if codings is None:
        if lengths is None:
            return "none", 0
        length = number(lengths[0]) if len(lengths) == 1 else None
        if length is None:
            raise Refusal(400, "Content-Length is malformed")
        return ("length", length) if length else ("none", 0)
    if lengths is not None:
        raise Refusal(400, "both Content-Length and Transfer-Encoding")
    if not minor:
        raise Refusal(400, "Transfer-Encoding in an HTTP/1.0 request")
    if len(codings) == 1 and codings[0].lower() == b"chunked":
        return "chunked", 0
    if len(codings) == 1 and OTHER_CODING.fullmatch(codings[0]):
        raise Refusal(501, "no transfer coding but chunked is spoken here")
    raise Refusal(400, "Transfer-Encoding is malformed")


def _wishes(terms: Terms, special: dict[bytes, list[bytes]], options: frozenset[bytes]) -> None:
    """Persistence, upgrade, trailers, expectation, Max-Forwards."""
    if terms.minor:
        terms.keep_alive = b"close" not in options
        terms.trailers = _lists(special, b"te", b"trailers")
        terms.continues = _lists(special, b"expect", b"100-continue")
    else:
        terms.keep_alive = b"keep-alive" in options and b"close" not in options
        terms.trailers = terms.continues = False
    may = terms.minor and b"upgrade" in options and terms.method == b"GET" and terms.body == "none"
    terms.announced = b""
    if terms.body == "chunked" and b"trailer" in special:
        announced = [name for value in special[b"trailer"] for name in tokens(value)]
        terms.announced = b", ".join([name for name in announced if may_trail(name)])
    terms.upgrade = _upgrade(special[b"upgrade"]) if may and b"upgrade" in special else b""
    terms.local_status = 0
    if terms.method == b"OPTIONS" and b"max-forwards" in special:
        hops = number(special[b"max-forwards"][0]) if len(special[b"max-forwards"]) == 1 else None
        if hops is None:
            raise Refusal(400, "Max-Forwards is malformed")
        terms.local_status = 200 if hops == 0 else 0


def _lists(special: dict[bytes, list[bytes]], name: bytes, token: bytes) -> bool:
    """Whether the list field `name` has this element."""
    return name in special and any(token in tokens(value) for value in special[name])


def _upgrade(values: list[bytes]) -> bytes:
    """The protocols asked for, without h2c: HTTP/2 would run through us unseen (request smuggling)."""
    protocols = [part.strip(b" \t") for value in values for part in value.split(b",")]
    return b", ".join([name for name in protocols if name and not name.lower().startswith(b"h2c")])


_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()


def _options(special: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    """The connection options, in lower case."""
    values = special.get(b"connection")
    if values is None:
        return _NO_OPTIONS
    return frozenset(token for value in values for token in tokens(value))


def _rewritten(terms: Terms, special: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    """Lines that change: Host is what was routed by, Max-Forwards is one less (RFC 9110 7.6.2)."""
    lines: dict[bytes, bytes] = {}
    if terms.host and special.get(b"host") != [terms.host]:
        lines[b"host"] = b"Host: %b\r\n" % terms.host
    if terms.method == b"OPTIONS" and b"max-forwards" in special:
        lines[b"max-forwards"] = b"Max-Forwards: %d\r\n" % ((number(special[b"max-forwards"][0]) or 1) - 1)
    if not terms.minor and b"expect" in special:
        lines[b"expect"] = b""  # an HTTP/1.0 client never waits for 100, RFC 9110 10.1.1
    if terms.body != "length" and b"content-length" in special:
        lines[b"content-length"] = b"Content-Length: 0\r\n"
    return lines


def parse_response(head: bytes, limits: Limits) -> Response:
    """The response whose head is `head`. Its refusals mean 502, whatever their status."""
    line, _, block = head.partition(b"\r\n")
    found = STATUS_LINE.fullmatch(line)
    if found is None:
        raise Refusal(502, "the status line is malformed")
    digit, status, reason = found.groups()
    fields = parse_fields(block[:-2], limits.fields_max)
    special = specials(fields)
    response = Response()
    response.status, response.reason, response.minor = int(status), reason or b"", 0 if digit == b"0" else 1
    response.fields = fields
    options = _options(special)
    response.keep_alive = b"close" not in options and (bool(response.minor) or b"keep-alive" in options)
    _response_framing(response, special)
    response.dated = b"date" in special
    response.upgrade = b", ".join(special.get(b"upgrade", ()))
    without: dict[bytes, bytes] = {}
    status_code = response.status
    if b"transfer-encoding" in special or status_code == 204 or status_code < 200:
        without[b"content-length"] = b""  # RFC 9110 8.6: not beside Transfer-Encoding, nor with 204 and 1xx
    lines = kept_lines(fields, stopped(options), without)
    response.head = b"HTTP/1.1 %b %b\r\n%b" % (status, response.reason, lines)
    simple = response.dated and response.body != "close" and not (response.status == 426 and response.upgrade)
    response.plain = response.head + b"\r\n" if simple else b""
    return response


def _response_framing(response: Response, special: dict[bytes, list[bytes]]) -> None:
    """How the body of a response ends if the request was not HEAD, RFC 9112 6.3."""
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    response.length = 0
    length = None
    if lengths is not None:
        length = number(lengths[0]) if len(lengths) == 1 else None
        if length is None:
            raise Refusal(502, "Content-Length is malformed")
    if codings is not None:
        if len(codings) != 1 or codings[0].lower() != b"chunked" or not response.minor:
            raise Refusal(502, "Transfer-Encoding is malformed")
        response.body = "chunked"
        if length is not None:
            response.keep_alive = False  # someone before us may have seen the other framing
    elif length is not None:
        response.body, response.length = "length", length
    else:
        response.body = "close"
    if response.status < 200 or response.status in (204, 304):
        response.body = "none"
