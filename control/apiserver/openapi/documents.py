"""The documents as bytes: made when somebody asks, kept only encoded.

Nothing happens at start-up. The first question about v3 reads the definitions, encodes each on its own, and lets the
parsed ones go; a document is then the definitions that its group version reaches, joined. That keeps half a megabyte
instead of the two that the documents have together, and the index can give each a hash of its content, by which
clients cache it for ever. The v2 document is made whole, once, and only where an old client asks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache

import orjson

from control.api.objects import Object
from control.api.schemas import load_definitions
from control.api.status import StatusError
from control.apiserver.discovery import GIT_VERSION, group_versions
from control.apiserver.openapi import protobuf, v2, v3
from control.apiserver.openapi.operations import Operation, operations

_REFERENCE = re.compile(rb'"\$ref":"#/[^"]*/([^"/]+)"')


class _Definitions:
    """Every definition, encoded, with the names that it refers to."""

    def __init__(self, encoded: dict[str, bytes]) -> None:
        self.encoded = encoded
        self.references = {name: references_in(text) for name, text in encoded.items()}

    def reached_from(self, names: Iterable[str]) -> list[str]:
        """`names` and all that they refer to, sorted."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.encoded:
                found.add(name)
                waiting.extend(self.references[name])
        return sorted(found)

    def __repr__(self) -> str:
        return f"{len(self.encoded)} definitions, {sum(map(len, self.encoded.values()))} bytes"


def references_in(text: bytes) -> tuple[str, ...]:
    """The names of the definitions that encoded OpenAPI refers to."""
    return tuple({name.decode() for name in _REFERENCE.findall(text)})


@cache
def _v3_definitions() -> _Definitions:
    return _Definitions({name: orjson.dumps(v3.schema(name, raw)) for name, raw in load_definitions().items()})


def _v3_path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


@cache
def _v3_hashes() -> dict[str, str]:
    return {
        path: hashlib.sha512(v3_document(path)).hexdigest()[:32].upper()
        for path in (_v3_path(*served) for served in group_versions())
    }


def v3_index() -> Object:
    """GET /openapi/v3: where the documents are; a URL with its hash never changes its content."""
    paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={found}"} for path, found in _v3_hashes().items()}
    return {"paths": paths}


def v3_document(path: str) -> bytes:
    """GET /openapi/v3/{path}, e.g. api/v1 or apis/apps/v1, as JSON. Raises StatusError 404."""
    for group, version in group_versions():
        if _v3_path(group, version) == path:
            return _v3_document(list(operations(group, version)))
    raise StatusError(404, "NotFound", "the server could not find the requested resource", {})


def _v3_document(served: list[Operation]) -> bytes:
    definitions = _v3_definitions()
    paths = orjson.dumps(v3.paths(served))
    names = definitions.reached_from(references_in(paths))
    schemas = b",".join(b'"%b":%b' % (name.encode(), definitions.encoded[name]) for name in names)
    info = orjson.dumps({"title": "Kubernetes", "version": GIT_VERSION})
    return b'{"openapi":"3.0.0","info":%b,"paths":%b,"components":{"schemas":{%b}}}' % (info, paths, schemas)


def _v2_document() -> Object:
    served = [operation for row in group_versions() for operation in operations(*row)]
    return v2.document(load_definitions(), served)


@cache
def v2_json() -> bytes:
    """GET /openapi/v2 as JSON."""
    return orjson.dumps(_v2_document())


@cache
def v2_protobuf() -> bytes:
    """GET /openapi/v2 as gnostic's protobuf."""
    return protobuf.document(_v2_document())
