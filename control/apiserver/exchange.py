"""A request and its answer as values, whatever carried them.

The HTTPS server makes a `Request` out of what aiohttp parsed; handlers turn it into an `Answer` (bytes at once) or a
`Flow` (bytes as they come: watches and followed logs). Nothing here knows sockets, so every handler can be driven by a
test or by the local client without a connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import orjson

from control.api.objects import Object
from control.api.status import StatusError

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks: as authentication found it out."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def info(self) -> Object:
        """authentication.k8s.io/v1 UserInfo."""
        info: Object = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` is case-insensitive or has the names spelt as in `Content-Type`; `query` has each key's first value."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: User


@dataclass(slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes
    content_type: str = JSON
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = None


@dataclass(slots=True, eq=False)
class Flow:
    """A response that goes on: `chunks` ends by itself, or soon after `close` was called."""

    status: int
    chunks: AsyncIterator[bytes]
    close: Callable[[], None]
    content_type: str = JSON
    warnings: tuple[str, ...] = ()


def answer_error(error: StatusError) -> Answer:
    """A failure as the client gets it: the Status, and Retry-After where the Status says when to come again."""
    retry = (error.details or {}).get("retryAfterSeconds")
    headers = {"Retry-After": str(retry)} if retry else None
    return Answer(error.code, orjson.dumps(error.status), headers=headers)


def success(kind: str = "", name: str = "", uid: str = "", group: str = "") -> Object:
    """The Status of a request that did what it should and has no object to show."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if name:
        details = {"name": name, "group": group, "kind": kind, "uid": uid}
        status["details"] = {key: value for key, value in details.items() if value}
    return status
