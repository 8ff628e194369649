"""Heads and trailers between HTTP/2 and the values that flow through the proxy.

A head that comes in HTTP/2 is written down as the HTTP/1.1 head that says the same, and read by the one parser that
there is. So routing, limits, framing and what goes on to the other side are decided in one place for all versions, with
its memory of heads. This is the classic way to smuggle requests, so nothing is written down that could be read as
anything else: names and values are matched by the grammar first, and what HTTP/2 forbids is refused (RFC 9113 8.2.1:
upper case; 8.2.2: connection-specific fields; 8.3: pseudo-fields unknown, doubled, missing or out of place).

`:authority` and Host must agree (8.3.1), and the first is what counts. Cookies that came in pieces are joined (8.2.3).
A body of unknown length is a chunked one. In the other direction a head is taken apart again: its field lines in lower
case, without those that HTTP/2 has frames or pseudo-fields for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from dataplane.l7.events import Fields, Refusal, Response
from dataplane.l7.grammar import HOST, TOKEN
from dataplane.l7.headers import may_trail
from dataplane.l7.http2.link import Headers

NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
"""RFC 9113 8.2.1: no control but HTAB within, no white space around."""

METHOD: Final = re.compile(TOKEN)
PATH: Final = re.compile(rb"/[!\"$-~]*|\*")
STATUS: Final = re.compile(rb"[1-5][0-9][0-9]")
SCHEMES: Final = (b"http", b"https")

CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path"))
_NOT_ONWARD: Final = frozenset((b"connection", b"host", b"keep-alive", b"transfer-encoding", b"upgrade"))
MEMO_MAX: Final = 2048  # a longer head is a cookie's or a token's, and its own


def request_head(headers: Iterable[tuple[bytes, bytes]], *, ended: bool) -> bytes:
    """The HTTP/1.1 head of a request whose stream has ended with its headers or not; Refusal if it is malformed."""
    pseudo, fields = _split(headers, _REQUEST_PSEUDO)
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if METHOD.fullmatch(method) is None:
        raise Refusal(400, ":method is missing or malformed")
    if method == b"CONNECT":  # RFC 9113 8.5; it has no :path
        raise Refusal(501, "CONNECT is not served here")
    if PATH.fullmatch(path) is None:
        raise Refusal(400, ":path is missing or malformed")
    if pseudo.get(b":scheme", b"").lower() not in SCHEMES:
        raise Refusal(400, ":scheme is missing or unknown")
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, path, _authority(pseudo, fields))]
    sized = False
    cookies = []
    for name, value in fields:
        if name == b"cookie":
            cookies.append(value)
            continue
        if name == b"host":
            continue
        if name == b"te" and value.lower() != b"trailers":
            raise Refusal(400, "TE may only be trailers")
        if name == b"content-length":
            sized = True
            if ended and value.strip(b"0"):
                raise Refusal(400, "Content-Length without a body")
        lines.append(b"%b: %b\r\n" % (name, value))
    if cookies:
        lines.append(b"cookie: %b\r\n" % b"; ".join(cookies))
    if not ended and not sized:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _authority(pseudo: dict[bytes, bytes], fields: Headers) -> bytes:
    hosts = [value for name, value in fields if name == b"host"]
    authority = pseudo.get(b":authority")
    if len(hosts) > 1 or (hosts and authority is not None and hosts[0].lower() != authority.lower()):
        raise Refusal(400, "Host is not what :authority says")
    found = authority if authority is not None else hosts[0] if hosts else b""
    if HOST.fullmatch(found) is None:
        raise Refusal(400, ":authority is missing or malformed")
    return found


def response_head(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The HTTP/1.1 head of a response; Refusal if it is malformed."""
    pseudo, fields = _split(headers, (b":status",))
    status = pseudo.get(b":status", b"")
    if STATUS.fullmatch(status) is None or status == b"101":  # RFC 9113 8.6
        raise Refusal(502, ":status is missing or malformed")
    return b"HTTP/1.1 %b %b\r\n%b\r\n" % (
        status,
        _phrase(int(status)),
        b"".join([b"%b: %b\r\n" % field for field in fields]),
    )


def trailers(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of a trailer section; Refusal if it is malformed."""
    _, fields = _split(headers, ())
    return tuple(fields)


def _split(
    headers: Iterable[tuple[bytes, bytes]], allowed: Iterable[bytes]
) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """Pseudo-fields and fields, all of them well-formed."""
    pseudo: dict[bytes, bytes] = {}
    fields: Headers = []
    for name, value in headers:
        if VALUE.fullmatch(value) is None:
            raise Refusal(400, "a field's value is malformed")
        if name[:1] == b":":
            if fields or name not in allowed or name in pseudo:
                raise Refusal(400, "a pseudo-field is unknown, doubled or out of place")
            pseudo[bytes(name)] = value
            continue
        if NAME.fullmatch(name) is None:
            raise Refusal(400, "a field's name is malformed")
        if name in CONNECTION_SPECIFIC:
            raise Refusal(400, "a connection-specific field")
        fields.append((name, value))
    return pseudo, fields


@lru_cache(maxsize=64)
def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


# and out again


def request_headers(head: bytes) -> Headers:
    """The headers of a request whose HTTP/1.1 head this is, to an endpoint in the clear."""
    return list(_known_request(head) if len(head) <= MEMO_MAX else _request_of(head))


def _request_of(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    line, _, block = head.partition(b"\r\n")
    method, target, _ = line.split(b" ")
    authority = b""
    fields = []
    for field in block.split(b"\r\n"):
        name, _, value = field.partition(b": ")
        name = name.lower()
        if name == b"host":
            authority = value
        elif name and name not in _NOT_ONWARD:
            fields.append((name, value))
    pseudo = (b":method", method), (b":scheme", b"http"), (b":authority", authority), (b":path", target)
    return (*pseudo, *fields)


def response_headers(response: Response, date: bytes) -> Headers:
    """The headers of a response. `date` is our own line if it has none."""
    head = response.head
    headers = list(_known_response(head) if len(head) <= MEMO_MAX else _response_of(head))
    if not response.dated and response.status >= 200:
        headers.append((b"date", date[6:-2]))
    return headers


def _response_of(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    line, _, block = head.partition(b"\r\n")
    fields = [(b":status", line[9:12])]
    for field in block.split(b"\r\n"):
        name, _, value = field.partition(b": ")
        if name:
            fields.append((name.lower(), value))
    return tuple(fields)


_known_request = lru_cache(maxsize=256)(_request_of)
_known_response = lru_cache(maxsize=256)(_response_of)


def trailer_headers(fields: Fields) -> Headers:
    """The trailer fields that a recipient may get (RFC 9110 6.5.1)."""
    return [(name.lower(), value) for name, value in fields if may_trail(name.lower())]
