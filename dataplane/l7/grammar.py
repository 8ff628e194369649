"""HTTP's octets: the grammar of RFC 9110 and 9112 as regular expressions over bytes.

Python's own text tools are wrong for HTTP in ways that have become vulnerabilities of Python proxies: `int()` takes
`+5`, `5_0`, `0x5` and Arabic digits, `str.strip()` removes \\x85 and \\xa0, `splitlines()` ends lines at VT and FF.
So every octet class is spelt out here over bytes, and numbers are matched before they are converted.

Where the RFC lets a recipient be strict or repair, we are strict: what one party repairs and the next does not is how
requests are smuggled. Targets are the one leniency: browsers and tools send `"<>[]\\^`{|}` raw, nginx passes them on
as they are, and they delimit nothing.
"""

from __future__ import annotations

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!\"$-~]+) HTTP/1\.([0-9])")
"""Method, target (visible ASCII without "#": a fragment is never sent), minor version. One space each, RFC 9112 3."""

OTHER_VERSION = re.compile(TOKEN + rb" [!-~]+ HTTP/[02-9]\.[0-9]")

STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")
"""Minor version, status, reason. The space after the status may be missing with an empty reason, as many send it."""

FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
"""Name and value of one field line without its CRLF: no space before the colon, no control but HTAB (RFC 9112 5)."""

BARE_LF = re.compile(rb"(?<!\r)\n")

STRAY = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
"""LF without CR before it, or CR without LF after it; a CR at the end may still get its LF."""

HOST = re.compile(rb"((?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+))(?::[0-9]{0,5})?")
"""uri-host [":" port] without userinfo. A comma is a legal sub-delim, but in Host it only ever means two hosts."""

ORIGIN_FORM = re.compile(rb"/[!\"$-~]*")
"""A target that REQUEST_LINE takes and that begins with a slash."""

ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)((?:/[^?]*)?)((?:\?.*)?)")
"""Authority, path and query of an absolute-form target."""

NUMBER = re.compile(rb"[0-9]{1,19}")

OTHER_CODING = re.compile(rb"(?i:(?:x-)?(?:gzip|compress)|deflate),[ \t]*(?i:chunked)")
"""A good Transfer-Encoding of a coding that we do not speak."""

LENGTH_MAX = 2**63 - 1
"""Longest body that anyone may announce: what nginx's off_t and everybody's signed 64 bits hold."""

CHUNK_LINE = re.compile(rb"0*([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?")
"""Chunk size in hexadecimal, then extensions, which are ignored and never passed on (RFC 9112 7.1.1)."""


def tokens(value: bytes) -> list[bytes]:
    """The elements of a comma-separated list in lower case, empty ones left out (RFC 9110 5.6.1)."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def number(value: bytes) -> int | None:
    """A decimal number of at most 2^63 - 1 as RFC 9110 writes it, or None."""
    if NUMBER.fullmatch(value) is None or (found := int(value)) > LENGTH_MAX:
        return None
    return found
