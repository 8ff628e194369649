"""What a request path and method ask for.

Kubernetes' paths are regular: a prefix says group and version (`/api/v1`, `/apis/apps/v1`), an optional
`namespaces/NS`, then resource, name, subresource. The method with the presence of a name gives the verb; `?watch=1`
turns a list into a watch. Three irregularities: `namespaces/NS` alone is the Namespace object itself,
`namespaces/NS/finalize|status` its subresources, and the old `/watch/` prefix is not served.

`parse` knows no kinds. It returns None for a path that is not of this shape (discovery, health, openapi and so on).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from control.api.status import StatusError

NAMESPACE_SUBRESOURCES = ("status", "finalize")

_WITH_NAME = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_WITHOUT_NAME = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}


class Target(NamedTuple):
    """`verb` is Kubernetes' (get, list, watch, create, update, patch, delete, deletecollection), "" for a bad one."""

    verb: str
    group: str
    version: str
    plural: str
    namespace: str
    name: str
    subresource: str


def not_served() -> StatusError:
    """404 for a path that leads to nothing: no such group, version, resource or subresource."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def parse(method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """What the path names, or None if it is no resource's path."""
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        if len(rest) == 2 or (len(rest) == 3 and rest[2] in NAMESPACE_SUBRESOURCES):
            subresource = rest[2] if len(rest) == 3 else ""
            return Target(_verb(method, query, rest[1]), group, version, "namespaces", "", rest[1], subresource)
        namespace, rest = rest[1], rest[2:]
    plural = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = "/".join(rest[2:])
    return Target(_verb(method, query, name), group, version, plural, namespace, name, subresource)


def _verb(method: str, query: Mapping[str, str], name: str) -> str:
    verb = (_WITH_NAME if name else _WITHOUT_NAME).get(method, "")
    if verb == "list" and is_true(query.get("watch")):
        return "watch"
    return verb


def is_true(text: str | None) -> bool:
    """A boolean query parameter as apimachinery converts it: its presence is enough, unless it says no."""
    return text is not None and text.lower() not in ("0", "false")
