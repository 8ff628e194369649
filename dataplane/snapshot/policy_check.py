"""What a RoutePolicy must mean, beyond its types; part of `check`.

Everything here ends up in a header line, in a comparison or in a pattern, so the first rule is for all texts alike: no
control characters, which would let a value begin a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from ipaddress import ip_network
from typing import Any

from dataplane.snapshot.pattern import problem_of
from dataplane.snapshot.policy import Canary, CookieAffinity, Cors, RateLimits, RoutePolicy

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 5.6.2
ORIGIN = re.compile(r"\*|null|[a-z]+://(?:\*\.)?[A-Za-z0-9.-]+(?::\d+)?", re.ASCII)
VISIBLE = re.compile(r"[!-~]*", re.ASCII)
TARGET = re.compile(r"[!\"$->@-~]*", re.ASCII)  # of a request (RFC 9112 3.2), without a query of its own
HOST = re.compile(r"(?:[A-Za-z0-9._~-]+(?::[0-9]{1,5})?)?", re.ASCII)
FORMS = {
    "redirect_host": (HOST, "a host"),
    "host": (HOST, "a host"),
    "rewrite_target": (TARGET, "a path"),
    "app_root": (re.compile(r"(?:/[!-~]*)?", re.ASCII), "a path from the root"),
    "forwarded_prefix": (VISIBLE, "visible ASCII"),
    "location_from": (VISIBLE, "visible ASCII"),
    "location_to": (VISIBLE, "visible ASCII"),
}
"""What texts become a part of that must not fall apart: a request line, a Host, a URL."""

HASHES = ("$apr1$", "$1$", "$2a$", "$2b$", "$2y$", "{SHA}", "{SSHA}", "{PLAIN}")
"""What `dataplane.filters.htpasswd` can check."""

REDIRECTS = range(300, 400)

FRAMING = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Fields with which a message would mean something else, or that a proxy writes itself."""


def problem(item: RoutePolicy) -> str:
    """Why the policy cannot be used, naming the field; "" if it can."""
    return next(problems(item), "")


def problems(item: RoutePolicy) -> Iterator[str]:
    """All that is wrong with it."""
    for path, text in _texts(item, ""):
        if CONTROL.search(text):
            yield f"{path}: {text!r} holds a control character"
    for name, (form, what) in FORMS.items():
        if not form.fullmatch(getattr(item, name)):
            yield f"{name}: {getattr(item, name)!r} is not {what}"
    for name in ("allow", "deny"):
        yield from _networks(name, getattr(item, name))
    if item.redirect is not None and item.redirect.status not in REDIRECTS:
        yield f"redirect.status: {item.redirect.status} is no redirect"
    if item.redirect is not None and not VISIBLE.fullmatch(item.redirect.to):
        yield f"redirect.to: {item.redirect.to!r} is not visible ASCII"
    if item.https is not None and (item.https.status not in REDIRECTS or not 0 <= item.https.port < 65536):
        yield f"https: status {item.https.status} or port {item.https.port}"
    if item.body_max < 0:
        yield "body_max: below zero"
    for name, _ in item.response_fields:
        if not TOKEN.fullmatch(name) or name.lower() in FRAMING:
            yield f"response_fields: {name!r} is no field name, or not one to set"
    if item.cors is not None:
        yield from _cors(item.cors)
    if item.limits is not None:
        yield from _limits(item.limits)
    if item.auth is not None:
        for user, wanted in item.auth.users:
            if not wanted.startswith(HASHES):
                yield f"auth.users: the hash of {user!r} is none of {', '.join(HASHES)}"
    if item.affinity is not None:
        yield from _affinity(item.affinity)
    if item.canary is not None:
        yield from _canary(item.canary)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All texts in a value, with where they are."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _texts(each, f"{path}[{index}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)


def _networks(path: str, networks: tuple[str, ...]) -> Iterator[str]:
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError:
            yield f"{path}: {network!r} is no IP address or network"


def _cors(item: Cors) -> Iterator[str]:
    for origin in item.origins:
        if not ORIGIN.fullmatch(origin):
            yield f"cors.origins: {origin!r} is no origin"
    if not item.origins:
        yield "cors.origins: at least one"


def _limits(item: RateLimits) -> Iterator[str]:
    for name in ("per_second", "per_minute", "connections", "burst_factor"):
        if getattr(item, name) < 0:
            yield f"limits.{name}: below zero"
    yield from _networks("limits.exempt", item.exempt)


def _affinity(item: CookieAffinity) -> Iterator[str]:
    if not TOKEN.fullmatch(item.cookie):
        yield f"affinity.cookie: {item.cookie!r} is no cookie name"
    for name in ("expires_s", "max_age_s"):
        if not re.fullmatch(r"(?:-?\d{1,10})?", getattr(item, name), re.ASCII):
            yield f"affinity.{name}: {getattr(item, name)!r} is no number of seconds"
    for name in ("path", "domain"):
        if ";" in getattr(item, name) or not VISIBLE.fullmatch(getattr(item, name)):
            yield f"affinity.{name}: {getattr(item, name)!r} would end the attribute"


def _canary(item: Canary) -> Iterator[str]:
    if item.header_pattern and (why := problem_of(item.header_pattern)):
        yield f"canary.header_pattern: {why}"
    for name in ("weight", "weight_total"):
        if getattr(item, name) < 0:
            yield f"canary.{name}: below zero"
