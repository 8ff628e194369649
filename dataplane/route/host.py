"""Which host patterns a request's host matches, and in which order they are asked.

A host is compared without regard to case, without its port and without a trailing dot (RFC 9110 section 4.2.3; a
fully qualified name with the root's dot is the same name). A pattern is an exact name; `*.` and a name, for exactly
one label more (`*.foo.com` matches `a.foo.com`, neither `foo.com` nor `a.b.foo.com`: KEP-1453); or "" for every host.
The most specific pattern that has rules decides alone: a request for `a.foo.com` that matches no path there does not
try the rules of `*.foo.com` or of "", as a name-based virtual server of nginx would not either.
"""

from __future__ import annotations


def normal(host: bytes) -> bytes:
    """The host as it is compared: lowercase, no port, no trailing dot."""
    if host[:1] == b"[":  # an IPv6 literal has colons of its own
        return host[: host.find(b"]") + 1].lower() if b"]" in host else host.lower()
    return host.partition(b":")[0].removesuffix(b".").lower()


def patterns(host: bytes) -> tuple[bytes, ...]:
    """The patterns that match a normal host, most specific first."""
    label, dot, rest = host.partition(b".")
    if label and dot and rest and label != b"*":
        return host, b"*." + rest, b""
    return (host, b"") if host else (b"",)
