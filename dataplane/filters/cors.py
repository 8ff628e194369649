"""Cross-origin resource sharing: which origins' scripts may read the answer, as ingress-nginx says it.

A preflight (any OPTIONS request from an allowed origin) is answered here with 204; to every other answer for an allowed
origin the Access-Control fields are added, in the place of the endpoint's own. A request from another origin passes
without them, so the browser withholds the answer from the script: CORS protects browsers' users, not endpoints.

The origin is repeated in Access-Control-Allow-Origin; only a bare "*" is said as it is, and then browsers refuse
credentials, whatever cors-allow-credentials says. Where the origin is repeated the answer depends on it, so Vary says
so (ingress-nginx leaves that out, and caches between it and its clients mix up origins).
"""

from __future__ import annotations

import re

from dataplane.filters.passage import Answer, Asked, Passage
from dataplane.snapshot.policy import Cors

NAMES = (
    b"access-control-allow-origin",
    b"access-control-allow-credentials",
    b"access-control-allow-methods",
    b"access-control-allow-headers",
    b"access-control-expose-headers",
    b"access-control-max-age",
)


def origin_pattern(origin: str) -> str:
    """The whole origins that one entry allows: "*." stands for one label (ingress-nginx's buildOriginRegex)."""
    return re.escape(origin).replace(r"\*\.", r"[A-Za-z0-9\-]+\.", 1)


class CrossOrigin:
    """The filter."""

    __slots__ = ("_allowed", "_lines", "_preflight")

    def __init__(self, spec: Cors) -> None:
        patterns = "|".join(f"(?:{origin_pattern(each)})" for each in spec.origins)
        # anchored, without a quantifier inside a quantifier: linear for `re` as well
        self._allowed = None if spec.origins == ("*",) else re.compile(patterns.encode(), re.IGNORECASE | re.ASCII)
        lines = {
            b"Access-Control-Allow-Credentials": "true" if spec.credentials else "",
            b"Access-Control-Allow-Methods": spec.methods,
            b"Access-Control-Allow-Headers": spec.headers,
            b"Access-Control-Expose-Headers": spec.expose,
            b"Access-Control-Max-Age": str(spec.max_age_s),
        }
        self._lines = b"".join(b"%b: %b\r\n" % (name, value.encode()) for name, value in lines.items() if value)
        self._preflight = b"Vary: Origin\r\n" if self._allowed is not None else b""

    def __call__(self, asked: Asked, passage: Passage) -> Answer | None:
        origin = b"*"
        if self._allowed is not None:
            origin = asked.field(b"origin") or b""
            if self._allowed.fullmatch(origin) is None:
                passage.respond(self._preflight)
                return None
        lines = b"Access-Control-Allow-Origin: %b\r\n%b%b" % (origin, self._lines, self._preflight)
        if asked.method == b"OPTIONS":
            return Answer(204, "", lines)
        passage.respond(lines, NAMES)
        return None
