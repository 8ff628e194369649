"""The client over HTTPS: `Client` as requests to a Kubernetes API server, ours or any other.

One connection pool; JSON by orjson. Foreign errors are translated here, once: a Status body becomes the `StatusError`
that it says, whatever breaks below HTTP becomes ConnectionError. Items of a typed list come without apiVersion and kind
from a real API server; they are put back, since everybody behind this line tells kinds by them.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
import orjson

from control.api.kinds import Kind
from control.api.objects import Object, name_of, namespace_of
from control.api.status import StatusError
from control.mirror.client import Listing, PatchType, WatchEvent
from control.mirror.kubeconfig import Access, load

REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 64
WATCH_LINE_BYTES_MAX = 16 * 1024 * 1024  # etcd's limit for an object is 1.5 MB, with a table or managedFields more


class RemoteClient:
    """Use as `async with RemoteClient(access) as client`, or `close` it."""

    def __init__(self, access: Access, *, user_agent: str = "loopkube") -> None:
        self.access = access
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._ssl = ssl_context(access) if access.server.startswith("https://") else None
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path, *, context: str = "", user_agent: str = "loopkube") -> RemoteClient:
        return cls(load(path, context), user_agent=user_agent)

    async def __aenter__(self) -> RemoteClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # The protocol

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self._request("GET", kind.path(namespace, name))

    async def read(self, path: str) -> Object:
        return await self._request("GET", path)

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        found = await self._request("GET", kind.path(namespace), query=query)
        items = found.get("items") or []
        for item in items:
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        metadata = found.get("metadata") or {}
        return Listing(items, metadata.get("resourceVersion", ""), metadata.get("continue", ""))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._open().get(
                self.access.server + kind.path(namespace), params=query, timeout=timeout, **self._tls()
            ) as response:
                if response.status != 200:
                    raise _failure(response.status, await response.read())
                async for line in _lines(response.content):
                    yield _event(orjson.loads(line))
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError) as error:
            raise _unreachable(self.access.server, error) from error

    async def create(self, kind: Kind, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        namespace = namespace_of(obj) if kind.namespaced else ""
        path = kind.path(namespace, name or (name_of(obj) if subresource else ""), subresource)
        return await self._request("POST", path, obj)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        path = kind.path(namespace_of(obj) if kind.namespaced else "", name_of(obj), subresource)
        return await self._request("PUT", path, obj)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        query = _query(fieldManager=field_manager, force="true" if force else "")
        path = kind.path(namespace, name, subresource)
        return await self._request("PATCH", path, patch, query=query, content_type=patch_type)

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation: Literal["", "Background", "Foreground", "Orphan"] = "",
    ) -> Object:
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = _query(uid=uid, resourceVersion=resource_version)
        if preconditions:
            options["preconditions"] = preconditions
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation:
            options["propagationPolicy"] = propagation
        return await self._request("DELETE", kind.path(namespace, name), options)

    # The transport

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=60)
            timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=self._headers, auto_decompress=True
            )
        return self._session

    def _tls(self) -> dict[str, Any]:
        if self._ssl is None:
            return {}
        tls: dict[str, Any] = {"ssl": self._ssl}
        if self.access.server_name:
            tls["server_hostname"] = self.access.server_name
        return tls

    async def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        try:
            async with self._open().request(
                method,
                self.access.server + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers=None if body is None else {"Content-Type": content_type},
                **self._tls(),
            ) as response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(self.access.server, error) from error
        if response.status >= 300:
            raise _failure(response.status, data)
        try:
            found: Object = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ConnectionError(f"{self.access.server}{path}: the answer is not JSON: {error}") from error
        return found


def ssl_context(access: Access) -> ssl.SSLContext:
    """Trusts the cluster's own CA and shows the user's certificate."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=access.ca_pem or None)
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.certificate_pem:
        with tempfile.TemporaryDirectory(prefix="loopkube-") as folder:  # 0700; ssl takes certificates from files only
            pair = Path(folder) / "pair.pem"
            pair.write_text(f"{access.certificate_pem}\n{access.key_pem}")
            context.load_cert_chain(pair)
    return context


def _query(**parameters: str) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if value}


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a watch as they come; our own splitting, since StreamReader.readline stops at 64 KiB."""
    pieces: list[bytes] = []
    held = 0
    async for chunk in content.iter_any():
        first, *rest = chunk.split(b"\n")
        pieces.append(first)
        held += len(first)
        if held > WATCH_LINE_BYTES_MAX:
            raise ConnectionError(f"a watch event is longer than {WATCH_LINE_BYTES_MAX} bytes")
        for part in rest:
            line = b"".join(pieces)
            if line.strip():
                yield line
            pieces, held = [part], len(part)


def _event(value: Object) -> WatchEvent:
    if value.get("type") == "ERROR":
        raise StatusError.from_status(value.get("object") or {})
    return WatchEvent(value["type"], value["object"])


def _failure(code: int, body: bytes) -> StatusError:
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return StatusError.from_status({"code": code, **status})
    text = body.decode("utf-8", "replace").strip() or f"the server answered {code}"
    return StatusError(code, "", text[:1000])


def _unreachable(server: str, error: BaseException) -> ConnectionError:
    return ConnectionError(f"{server}: {str(error) or type(error).__name__}")
