"""What goes on to the other side, besides what the sender meant for it.

*Hop-by-hop* fields stop here (RFC 9110 7.6.1): those of a fixed list and those that Connection names, except ones
that are end-to-end by definition - a client must not talk us out of passing on its Host, Content-Length or Cookie.
What we ourselves mean for the next hop is written anew: Transfer-Encoding when we send chunks, TE when the client
takes trailers and so do we, Connection and Upgrade when an upgrade was asked for.

*Forwarding* fields tell the origin about the client. By `replace` (what ingress-nginx does by default) whatever the
client sent is dropped and ours are the only ones, so that an origin may believe them. By `append` (for senders that
are proxies themselves, as pods on a Service port often are) theirs stay and the sender's address is appended to
X-Forwarded-For; the others are added where missing. By `none` the request is passed on as it is. Via names us to the
origin as RFC 9110 7.6.3 demands of a gateway; in responses, where it may be omitted, it is.

The client's spelling and order are kept; our lines come after its lines.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from dataplane.l7.chunked import LAST_CHUNK
from dataplane.l7.events import Fields, Request, Response, Terms
from dataplane.l7.fields import END_TO_END, HOP_BY_HOP, STOPS, Field

Forwarding = Literal["replace", "append", "none"]

TERMS_MAX: Final = 8
"""Terms for which an edge remembers its lines: a client uses few methods and hosts."""

TRAILERS_FORBIDDEN: Final = END_TO_END | HOP_BY_HOP
"""Framing, routing, credentials and the like mean nothing safe in a trailer (RFC 9110 6.5.1): dropped, also where
CGI and WSGI would read them so (`Content_Length`)."""


def stopped(options: frozenset[bytes]) -> frozenset[bytes]:
    """Names that Connection takes out besides those that never go on."""
    return options - END_TO_END - STOPS


def kept_lines(fields: list[Field], stops: frozenset[bytes], rewritten: dict[bytes, bytes]) -> bytes:
    """The lines of `fields` that go on, in their order; those of `rewritten` (by role) are replaced by its lines."""
    if not stops and not rewritten:
        return b"".join([field.onward for field in fields])
    return b"".join([rewritten.get(field.role, field.onward) for field in fields if field.lower not in stops])


def request_tail(terms: Terms) -> bytes:
    """Our own framing and hop-by-hop lines of a request that goes upstream."""
    lines = b""
    if terms.body == "chunked":
        lines += b"Transfer-Encoding: chunked\r\n"
    if terms.announced:
        lines += b"Trailer: %b\r\n" % terms.announced
    options = []
    if terms.trailers:
        lines += b"TE: trailers\r\n"
        options.append(b"TE")
    if terms.upgrade:
        lines += b"Upgrade: %b\r\n" % terms.upgrade
        options.append(b"Upgrade")
    if options:
        lines += b"Connection: %b\r\n" % b", ".join(options)
    return lines


class Edge:
    """Where client connections entered, and from where: what is said about them to origins. `major`: of the version of
    HTTP that they speak.
    """

    __slots__ = ("_known", "_local", "_major", "_port", "_via", "client", "forwarding", "scheme")

    def __init__(
        self,
        scheme: bytes,
        client: bytes,
        local_host: bytes,
        port: int,
        forwarding: Forwarding,
        via: bytes,
        major: int = 1,
    ) -> None:
        self.forwarding: Final = forwarding
        self.client: Final = client
        self.scheme: Final = scheme
        self._port: Final = b"%d" % port
        self._local: Final = b"%b:%d" % (local_host, port)
        self._via: Final = via
        self._major: Final = major
        self._known: Final[dict[Terms, tuple[bytes, bytes]]] = {}  # our lines for terms that came before

    def upstream_head(self, request: Request) -> bytes:
        """The head that goes to the origin."""
        terms = request.terms
        before, after = self._known.get(terms) or self._learn(terms)
        return b"%b %b HTTP/1.1\r\n%b%b%b" % (terms.method, request.target, before, request.kept, after)

    def _learn(self, terms: Terms) -> tuple[bytes, bytes]:
        lines = self._lines(terms)
        if len(self._known) >= TERMS_MAX:
            self._known.clear()
        self._known[terms] = lines
        return lines

    def _lines(self, terms: Terms) -> tuple[bytes, bytes]:
        """Our lines before the client's and after them, with the empty line that ends the head."""
        host = terms.host or self._local  # an HTTP/1.0 client addressed us by our address alone
        if self.forwarding == "replace":
            forwarding = self._replaced(host)
        elif self.forwarding == "append":
            forwarding = self._appended(terms.forwarded, host)
        else:
            forwarding = b"".join([b"%b: %b\r\n" % field for field in terms.forwarded])
        received = b"1.%d" % terms.minor if self._major == 1 else b"%d.0" % self._major
        via = b"Via: %b %b\r\n" % (received, self._via) if self._via else b""
        before = b"" if terms.host else b"Host: %b\r\n" % host
        return before, b"%b%b%b\r\n" % (forwarding, via, terms.tail)

    def _replaced(self, host: bytes) -> bytes:
        client, port = self.client, self._port
        return b"".join(
            [
                b"X-Real-IP: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Port: %b\r\n" % (client, client, port),
                b"X-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (self.scheme, host),
            ]
        )

    def _appended(self, forwarded: Fields, host: bytes) -> bytes:
        """The sender's forwarding fields with ours appended (RFC 7239 4: a new element at the end)."""
        theirs: dict[bytes, list[bytes]] = {}
        for name, value in forwarded:
            theirs.setdefault(name, []).append(value)
        chain = b", ".join([*theirs.get(b"x-forwarded-for", ()), self.client])
        lines = [b"X-Forwarded-For: %b\r\n" % chain]
        own = {
            b"x-real-ip": (b"X-Real-IP", self.client),
            b"x-forwarded-port": (b"X-Forwarded-Port", self._port),
            b"x-forwarded-proto": (b"X-Forwarded-Proto", self.scheme),
            b"x-forwarded-host": (b"X-Forwarded-Host", host),
        }
        for lower, (name, value) in own.items():
            lines.append(b"%b: %b\r\n" % (name, theirs[lower][0] if lower in theirs else value))
        if b"forwarded" in theirs:
            node = b'"[%b]"' % self.client if b":" in self.client else self.client
            ours = b'for=%b;host="%b";proto=%b' % (node, host, self.scheme)
            lines.append(b"Forwarded: %b\r\n" % b", ".join([*theirs[b"forwarded"], ours]))
        return b"".join(lines)


edge_of: Final = lru_cache(maxsize=1024)(Edge)
"""Connections of one client to one address share theirs."""


def downstream_head(
    response: Response, request: Request | None, date: bytes, *, framing: bytes, closing: bool
) -> bytes:
    """The head that goes to the client; `request` None: it could not be understood. `framing` is our own line for the
    body, b"" if the origin's length stands.
    """
    lines = [response.head]
    if not response.dated:
        lines.append(date)  # RFC 9110 6.6.1
    if framing:
        lines.append(framing)
    if response.status in (101, 426) and response.upgrade:
        lines.append(b"Upgrade: %b\r\n" % response.upgrade)
        lines.append(b"Connection: close, Upgrade\r\n" if closing else b"Connection: Upgrade\r\n")
    elif closing:
        lines.append(b"Connection: close\r\n")
    elif request is not None and not request.terms.minor:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def may_trail(name: bytes) -> bool:
    """Whether a trailer field of this name, in lower case, may go on."""
    return name.replace(b"_", b"-") not in TRAILERS_FORBIDDEN


def trailer_lines(trailers: Fields) -> bytes:
    """The trailer fields that a recipient may get."""
    return b"".join([b"%b: %b\r\n" % (name, value) for name, value in trailers if may_trail(name.lower())])


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body with the trailers that may go on."""
    return b"0\r\n%b\r\n" % trailer_lines(trailers) if trailers else LAST_CHUNK
