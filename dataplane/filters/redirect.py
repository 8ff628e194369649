"""Answers that send the client elsewhere, in the order in which ingress-nginx's configuration makes them happen.

`app_root`: "/" alone goes to a path of the application (302, with the scheme and host that were asked for).
`permanent-redirect`, `temporal-redirect`: every request goes to one URL; `from-to-www-redirect`: to one host.
`ssl-redirect`: what came without TLS goes to https with its path and query, 308 (ingress-nginx's http-redirect-code).
The port of the https listener is named unless it is 443; clients of a laptop's 8080 would find nobody at 443.
"""

from __future__ import annotations

from http import HTTPStatus

from dataplane.filters.passage import Answer, Asked, Filter, Passage
from dataplane.snapshot.policy import HttpsRedirect, Redirect


def moved(status: int, location: bytes) -> Answer:
    """A redirect with a body for people."""
    return Answer(status, HTTPStatus(status).phrase, b"Location: %b\r\n" % location)


def to_app_root(root: str) -> Filter:
    location = root.encode()

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        if asked.path != b"/":
            return None
        return moved(302, b"%b://%b%b" % (asked.scheme, asked.host, location) if asked.host else location)

    return filter_


def to_url(spec: Redirect) -> Filter:
    answer = moved(spec.status, spec.to.encode())
    return lambda asked, passage: answer


def to_other_host(host: str) -> Filter:
    """from-to-www-redirect; 308, ingress-nginx's http-redirect-code."""
    name = host.encode()

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        port = asked.host[len(without_port(asked.host)) :]
        return moved(308, b"%b://%b%b%b" % (asked.scheme, name, port, asked.target))

    return filter_


def to_https(spec: HttpsRedirect) -> Filter:
    port = b":%d" % spec.port if spec.port and spec.port != 443 else b""

    def filter_(asked: Asked, passage: Passage) -> Answer | None:
        if asked.scheme == b"https" or not asked.host:
            return None  # without a host there is nowhere to send the client
        target = asked.target
        if not spec.keeps_slash:
            target = target.removesuffix(b"/")
        return moved(spec.status, b"https://%b%b%b" % (without_port(asked.host), port, target))

    return filter_


def without_port(host: bytes) -> bytes:
    if host[:1] == b"[":
        return host[: host.find(b"]") + 1]
    return host.partition(b":")[0]
