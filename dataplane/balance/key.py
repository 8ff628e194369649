"""What a request is hashed by: a template of the contract (`snapshot.hash_key`), compiled into a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dataplane.snapshot.hash_key import VARIABLE


class Hashable(Protocol):
    """A request, as far as it can be hashed by."""

    @property
    def client(self) -> str: ...
    @property
    def host(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...
    def field(self, name: bytes) -> bytes | None: ...
    def cookie(self, name: bytes) -> bytes | None: ...


Key = Callable[[Hashable], bytes]


def compiled(template: str) -> Key:
    """The template as a function of a request."""
    parts: list[Key] = []
    at = 0
    for match in VARIABLE.finditer(template or "$remote_addr"):
        parts += _text((template or "")[at : match.start()])
        parts.append(_variable(match[1] or match[2]))
        at = match.end()
    parts += _text(template[at:]) if template else []
    if len(parts) == 1:
        return parts[0]
    return lambda asked: b"".join([part(asked) for part in parts])


def _text(text: str) -> list[Key]:
    literal = text.encode()
    return [lambda asked: literal] if literal else []


def _variable(name: str) -> Key:
    kind, _, rest = name.partition("_")
    wanted = rest.encode()
    if name in ("remote_addr", "binary_remote_addr"):
        return lambda asked: asked.client.encode()
    if name == "host":
        return lambda asked: asked.host
    if name == "request_uri":
        return lambda asked: asked.target
    if name == "uri":
        return lambda asked: asked.target.partition(b"?")[0]
    if kind == "arg":
        return lambda asked: _argument(asked.target, wanted)
    if kind == "cookie":
        return lambda asked: asked.cookie(wanted) or b""
    field = wanted.lower().replace(b"_", b"-")
    return lambda asked: asked.field(field) or b""


def _argument(target: bytes, name: bytes) -> bytes:
    for pair in target.partition(b"?")[2].split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return value
    return b""
