"""The laboratory's view of a cluster: its Kubernetes API through a kubeconfig, like any other client's."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Object = dict[str, Any]

COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "Event": "/api/v1/namespaces/{namespace}/events",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
}


class ApiError(Exception):
    """The API refused: its Status message."""


class Api:
    """Create with `from_kubeconfig`, use as an async context manager."""

    def __init__(self, server: str, tls: ssl.SSLContext) -> None:
        self._server = server
        self.tls = tls
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Api:
        """The current context's server and client certificate."""
        config = yaml.safe_load(path.read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        tls = ssl.create_default_context(cadata=ca)
        with tempfile.NamedTemporaryFile() as file:  # the ssl module takes certificates from files only; 0600
            file.write(base64.b64decode(user["client-certificate-data"]))
            file.write(base64.b64decode(user["client-key-data"]))
            file.flush()
            tls.load_cert_chain(file.name)
        return cls(cluster["server"], tls)

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Object:
        """One call; raises ApiError with the server's message."""
        assert self._session is not None
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if body is not None else {}
        async with self._session.request(method, self._server + path, data=data, headers=headers) as response:
            answer = await response.json()
            if response.status >= 400:
                raise ApiError(answer.get("message", f"HTTP {response.status}"))
            return answer  # type: ignore[no-any-return]

    async def text(self, path: str) -> str:
        """A page that is no object; raises ApiError."""
        assert self._session is not None
        async with self._session.get(self._server + path) as response:
            if response.status >= 400:
                raise ApiError(f"HTTP {response.status}")
            return await response.text()

    def _path(self, kind: str, namespace: str, name: str = "") -> str:
        path = COLLECTIONS[kind].format(namespace=namespace)
        return f"{path}/{name}" if name else path

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, forced, as field manager `loopkube-lab`."""
        metadata = obj["metadata"]
        path = self._path(obj["kind"], metadata.get("namespace", ""), metadata["name"])
        query = "?fieldManager=loopkube-lab&force=true"
        return await self.request("PATCH", path + query, obj, "application/apply-patch+yaml")

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        return await self.request("GET", self._path(kind, namespace, name))

    async def list(self, kind: str, namespace: str, selector: str = "") -> Object:
        query = f"?labelSelector={selector}" if selector else ""
        return await self.request("GET", self._path(kind, namespace) + query)

    async def merge(self, kind: str, namespace: str, name: str, patch: Object, patch_type: str = "merge") -> Object:
        """A merge patch (`merge`), or a strategic one (`strategic-merge`)."""
        path = self._path(kind, namespace, name)
        return await self.request("PATCH", path, patch, f"application/{patch_type}-patch+json")

    async def watch(
        self, kind: str, namespace: str, resource_version: str, selector: str = ""
    ) -> AsyncIterator[Object]:
        """Watch events from `resource_version` until the server ends the stream."""
        assert self._session is not None
        query = f"?watch=1&resourceVersion={resource_version}&labelSelector={selector}"
        timeout = aiohttp.ClientTimeout(total=None)
        url = self._server + self._path(kind, namespace) + query
        async with self._session.get(url, timeout=timeout) as response:
            async for line in response.content:
                yield json.loads(line)
