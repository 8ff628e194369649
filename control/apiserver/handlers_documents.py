"""What is asked for beside resources: discovery, OpenAPI, the version, health.

The documents do not change while the server runs, so each is made when it is first asked for, kept as bytes, and has an
ETag by which clients (kubectl caches discovery) need not load it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import orjson

from control.api.objects import Object
from control.api.status import StatusError
from control.apiserver import discovery
from control.apiserver.exchange import JSON, Answer, Request
from control.apiserver.numbers import CONTENT_TYPE, Statistics, exposition
from control.apiserver.paths import method_not_allowed, not_served

HEALTH = ("/livez", "/readyz", "/healthz")
TEXT = "text/plain; charset=utf-8"
OPENAPI_PROTOBUF_ASKED = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
)
OPENAPI_PROTOBUF = OPENAPI_PROTOBUF_ASKED[1]  # what is returned: "@" is no character of a media type, Go refuses it
ROOT_PATHS = (
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
)
_AGGREGATED = "APIGroupDiscoveryList"


def is_open(path: str) -> bool:
    """Whether anybody may ask, without saying who: only whether the server lives."""
    return path in HEALTH


def health(request_path: str, verbose: bool) -> Answer:
    name = request_path.strip("/")
    text = f"[+]ping ok\n{name} check passed\n" if verbose else "ok"
    return Answer(200, text.encode(), TEXT, headers={"X-Content-Type-Options": "nosniff"})


class Documents:
    def __init__(self, address: Callable[[], str]) -> None:
        """`address` is where this server is reached, as host:port; `statistics` are the controllers', if any."""
        self.statistics: Callable[[], Statistics] = dict
        self._address = address
        self._made: dict[str, tuple[bytes, str]] = {}

    def serve(self, request: Request) -> Answer:
        path = request.path.rstrip("/") or "/"
        if path in HEALTH:
            return health(path, "verbose" in request.query)
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        if path.startswith("/openapi/"):
            return self._openapi(path, request)
        if path == "/":
            return self._json(request, path, lambda: {"paths": list(ROOT_PATHS)})
        if path == "/metrics":
            return Answer(200, exposition(self.statistics), CONTENT_TYPE)
        if path == "/version":
            return self._json(request, path, discovery.version_info)
        return self._discovery(path, request)

    def _discovery(self, path: str, request: Request) -> Answer:
        parts = path.strip("/").split("/")
        aggregated = _aggregated_version(request.headers.get("Accept", "")) if len(parts) == 1 else ""
        if aggregated and parts[0] in ("api", "apis"):
            make = discovery.aggregated_core if parts[0] == "api" else discovery.aggregated_groups
            media = f"{JSON};g=apidiscovery.k8s.io;v={aggregated};as={_AGGREGATED}"
            return self._json(request, f"{path};{aggregated}", lambda: make(aggregated), media)
        if parts == ["api"]:
            return self._json(request, path, lambda: discovery.api_versions(self._address()))
        if parts == ["api", "v1"]:
            return self._json(request, path, discovery.core_resources)
        if parts == ["apis"]:
            return self._json(request, path, discovery.group_list)
        if parts[0] == "apis" and len(parts) == 2:
            return self._json(request, path, lambda: discovery.group(parts[1]))
        if parts[0] == "apis" and len(parts) == 3:
            return self._json(request, path, lambda: discovery.group_resources(parts[1], parts[2]))
        raise not_served()

    def _openapi(self, path: str, request: Request) -> Answer:
        from control.apiserver import openapi  # loads the described schemas: only for who asks

        if path == "/openapi/v3":
            return self._json(request, path, openapi.v3_index)
        if path.startswith("/openapi/v3/"):
            return self._bytes(request, path, lambda: openapi.v3_document(path.removeprefix("/openapi/v3/")), JSON)
        if path == "/openapi/v2":
            if _wants_protobuf(request.headers.get("Accept", "")):
                return self._bytes(request, f"{path};protobuf", openapi.v2_protobuf, OPENAPI_PROTOBUF)
            return self._bytes(request, path, openapi.v2_json, JSON)
        raise not_served()

    def _json(self, request: Request, key: str, make: Callable[[], Object | None], media: str = JSON) -> Answer:
        def encoded() -> bytes | None:
            made = make()
            return None if made is None else orjson.dumps(made)

        return self._bytes(request, key, encoded, media)

    def _bytes(self, request: Request, key: str, make: Callable[[], bytes | None], media: str) -> Answer:
        found = self._made.get(key)
        if found is None:
            try:
                data = make()
            except KeyError:
                data = None
            if data is None:
                raise not_served()
            found = self._made[key] = (data, f'"{hashlib.sha256(data).hexdigest().upper()}"')
        data, tag = found
        headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "public"}
        if request.headers.get("If-None-Match") == tag:
            return Answer(304, b"", media, headers=headers)
        return Answer(200, data, media, headers=headers)


def _aggregated_version(accept: str) -> str:
    """v2 or v2beta1, whichever of the aggregated forms the client lists first; "" for the plain ones."""
    for entry in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in entry.split(";")[1:])
        if parameters.get("as") == _AGGREGATED and parameters.get("v") in ("v2", "v2beta1"):
            return parameters["v"]
        if entry.strip() == JSON:
            return ""
    return ""


def _wants_protobuf(accept: str) -> bool:
    media = [entry.partition(";")[0].strip() for entry in accept.split(",")]
    wanted = [one for one in media if one in (*OPENAPI_PROTOBUF_ASKED, JSON, "*/*")]
    if not wanted and media != [""]:
        raise StatusError(
            406, "NotAcceptable", f"only the following media types are accepted: {OPENAPI_PROTOBUF}, {JSON}"
        )
    return bool(wanted) and wanted[0] in OPENAPI_PROTOBUF_ASKED
