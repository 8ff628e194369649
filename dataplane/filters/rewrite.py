"""What the endpoint is asked for instead of what the client asked for: rewrite-target, x-forwarded-prefix, vhost.

The whole path becomes `target`, in which $1 to $9 are the groups of the route's path as a pattern (nginx's `rewrite
"(?i)path" target break`); the query stays. So `/api` with target `/` sends every request for `/api/...` to `/`, and
who wants the rest writes `/api(/|$)(.*)` with target `/$2`. A group that took no part is empty. A path that does not
begin with "/" after that gets one: nginx would send a broken request.
"""

from __future__ import annotations

import re

from dataplane.filters.passage import Answer, Asked, Filter, Passage
from dataplane.snapshot.pattern import Found, compiled
from dataplane.snapshot.policy import RoutePolicy

REFERENCE = re.compile(rb"\$([0-9])|\$\{([0-9])\}")


class Template:
    """Text with references to groups."""

    __slots__ = ("_pieces",)

    def __init__(self, text: str) -> None:
        pieces: list[bytes | int] = []
        end = 0
        raw = text.encode()
        for found in REFERENCE.finditer(raw):
            pieces += [raw[end : found.start()], int(found[1] or found[2])]
            end = found.end()
        self._pieces = (*pieces, raw[end:])

    def fill(self, found: Found, groups: int) -> bytes:
        """The text with what the groups found."""
        return b"".join(
            [
                piece if isinstance(piece, bytes) else (found.group(piece) or b"" if piece <= groups else b"")
                for piece in self._pieces
            ]
        )


class Rewrite:
    """The filter; `path` is the route's, a pattern if the route is one, and else the text itself."""

    __slots__ = ("_pattern", "_prefix", "_target")

    def __init__(self, path: str, target: str, prefix: str, *, is_pattern: bool) -> None:
        self._pattern = compiled(path if is_pattern else re.escape(path), ignores_case=True)
        self._target = Template(target)
        self._prefix = Template(prefix) if prefix else None

    def __call__(self, asked: Asked, passage: Passage) -> Answer | None:
        path, mark, query = asked.target.partition(b"?")
        found = self._pattern.search(path)
        if found is None:
            return None  # a default backend's requests match no path
        groups = self._pattern.groups
        target = self._target.fill(found, groups)
        passage.target = (target if target.startswith(b"/") else b"/" + target) + mark + query
        if self._prefix is not None:
            passage.lines += b"X-Forwarded-Prefix: %b\r\n" % self._prefix.fill(found, groups)
            passage.removes = passage.removes | {b"x-forwarded-prefix"}
        return None


def to_host(host: str) -> Filter:
    """upstream-vhost: the Host that the endpoint sees."""

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        passage.rewritten_host = host.encode()
        return None

    return filter_


def for_response(spec: RoutePolicy) -> Filter:
    """custom-headers and proxy-redirect: what the client gets instead of what the endpoint said."""
    lines = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in spec.response_fields)
    names = [name.lower().encode() for name, _ in spec.response_fields]
    location = (spec.location_from.encode(), spec.location_to.encode()) if spec.location_from else None

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        passage.respond(lines, names)
        passage.location = location
        return None

    return filter_
