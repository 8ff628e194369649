"""What a route's policy does to one exchange: the request as filters see it, and their wishes carried out on heads.

`filters` decides and knows no HTTP framing; here its decision becomes another Request for the endpoint and another
Response for the client. Both are new values, because heads are shared among all messages that are equal (`heads`).
"""

from __future__ import annotations

from functools import lru_cache

from dataplane.filters.passage import Asked, Passage
from dataplane.filters.policy import Way
from dataplane.l7.events import Request, Response, Terms
from dataplane.l7.fields import Field, parse_field
from dataplane.l7.headers import Edge, kept_lines
from dataplane.table import Backend, Endpoint


def asked_of(request: Request, edge: Edge, now: float, wall_s: float, backend: Backend) -> Asked:
    """The request as filters see it."""
    terms = request.terms
    return Asked(
        terms.method,
        terms.host,
        request.target,
        request.fields,
        length=terms.length,
        scheme=edge.scheme,
        client=edge.client.decode("latin-1"),
        now=now,
        wall_s=wall_s,
        random=backend.random,
    )


def key_of(request: Request | None, edge: Edge, backend: Backend) -> bytes:
    """What the request is hashed by, if its backend hashes."""
    if backend.key is None or request is None:
        return b""
    return backend.key(asked_of(request, edge, 0.0, 0.0, backend))


class Treatment:
    """One exchange's dealings with its route's policy."""

    __slots__ = ("_asked", "_cookie", "_passage", "_picked", "_stickiness")

    def __init__(self, way: Way) -> None:
        self._asked = way.asked
        self._passage = way.passage
        self._stickiness = way.stickiness
        self._picked: Endpoint | None = None
        self._cookie = b""

    @property
    def body_max(self) -> int:
        """How long the request's body may be; 0: as long as it likes."""
        return self._passage.body_max

    def pick(self, backend: Backend) -> Endpoint | None:
        """Lease the endpoint that the client has, or any."""
        if self._stickiness is None:
            return backend.pick((), self._asked.now, b"" if backend.key is None else backend.key(self._asked))
        self._picked, self._cookie = self._stickiness.pick(self._asked, backend)
        return self._picked

    def request(self, request: Request) -> Request:
        """What the endpoint is asked."""
        return treated(request, self._passage) if self._passage.touches_request else request

    def response(self, response: Response, endpoint: Endpoint | None) -> Response:
        """What the client is answered, by this endpoint in the end, or by ourselves (None)."""
        lines, passage = self._passage.response_lines, self._passage
        if self._stickiness is not None and endpoint is not None:
            moved = endpoint is not self._picked
            lines += self._stickiness.moved(self._asked, endpoint) if moved else self._cookie
        if not lines and passage.location is None:
            return response
        return amended(response, lines, passage.response_removes, passage.location if endpoint is not None else None)

    def end(self) -> None:
        """The exchange is over."""
        if self._passage.released is not None:
            self._passage.released()


def treated(request: Request, passage: Passage) -> Request:
    """The request as the passage wants it."""
    terms, removes, host = request.terms, passage.removes, passage.rewritten_host
    fields = [field for field in request.fields if field.lower not in removes] if removes else request.fields
    rewritten = terms.rewritten
    if host:
        line = b"Host: %b\r\n" % host
        rewritten = {**rewritten, b"host": line}
        fields = [parse_field(line[:-2]) if field.role == b"host" else field for field in fields]
    kept = kept_lines(fields, terms.stops | removes, rewritten) + passage.lines
    if host and not any(field.role == b"host" for field in fields):
        if terms.host:
            kept = rewritten[b"host"] + kept  # the host came in the target (RFC 9112 3.2.2)
        else:
            terms = with_host(terms, host)
    target = request.target if passage.target is None else passage.target
    fields = [*fields, *_parsed(passage.lines)]
    return Request(terms, target, target.partition(b"?")[0], fields, kept)


def with_host(terms: Terms, host: bytes) -> Terms:
    """The terms of an HTTP/1.0 request that named no host, with one."""
    other = Terms()
    for name in Terms.__slots__:
        setattr(other, name, getattr(terms, name))
    other.host = host
    other.tail = b"Host: %b\r\n%b" % (host, terms.tail)
    return other


def amended(
    response: Response, lines: bytes, removes: frozenset[bytes], location: tuple[bytes, bytes] | None
) -> Response:
    """The response with `lines` in the place of the fields `removes`, and with another Location."""
    head, fields = response.head, response.fields
    # our own answers have lines that are in no list of fields
    if location is not None or not fields or any(field.lower in removes for field in fields):
        status_line, _, block = head.partition(b"\r\n")
        kept = [line for line in block.split(b"\r\n")[:-1] if _name(line) not in removes]
        fields = [field for field in fields if field.lower not in removes]
        if location is not None:
            kept = [_relocated(line, location) if _name(line) == b"location" else line for line in kept]
            fields = [_moved(field, location) if field.lower == b"location" else field for field in fields]
        head = b"".join([status_line, b"\r\n", *[line + b"\r\n" for line in kept]])
    other = Response()
    for name in Response.__slots__:
        setattr(other, name, getattr(response, name))
    other.fields = [*fields, *_parsed(lines)]
    other.head = head + lines
    other.plain = other.head + b"\r\n" if response.plain else b""
    return other


@lru_cache(maxsize=256)
def _parsed(lines: bytes) -> tuple[Field, ...]:
    """Lines of ours as fields: a policy's are nearly always the same."""
    return tuple(parse_field(line) for line in lines.split(b"\r\n")[:-1])


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def _relocated(line: bytes, location: tuple[bytes, bytes]) -> bytes:
    name, _, value = line.partition(b":")
    return name + b": " + _replaced(value.strip(b" \t"), location)


def _moved(field: Field, location: tuple[bytes, bytes]) -> Field:
    return parse_field(b"%b: %b" % (field.name, _replaced(field.value, location)))


def _replaced(value: bytes, location: tuple[bytes, bytes]) -> bytes:
    before, after = location
    return after + value[len(before) :] if value.startswith(before) else value
