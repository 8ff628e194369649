"""Pods' logs, from the kubelet that has them.

The nodes' kubelet serves `/containerLogs/NAMESPACE/POD/CONTAINER` on a unix socket. What the pod's object can answer is
answered here (`podlogs`); the rest is passed through as it comes, for as long as the client follows it. If the
kubelet cannot be reached the client is told so, and which node it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import quote

import aiohttp
from yarl import URL

from control.api.objects import Object, name_of, namespace_of, spec_of
from control.api.status import bad_request, internal_error
from control.apiserver.exchange import Answer, Flow
from control.apiserver.paths import is_true
from control.apiserver.podlogs import check_started, container_of, kubelet_query, unreachable

CONNECT_TIMEOUT_S = 5.0  # the socket is on this machine: whatever takes longer is stuck
TEXT = "text/plain"


class Logs:
    """The API server's side of the kubelet's log endpoint; None: no kubelet is configured."""

    def __init__(self, socket: Path | None) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def read(self, pod: Object, query: Mapping[str, str]) -> Answer | Flow:
        container = container_of(pod, query.get("container", ""))
        options = kubelet_query(query)
        node = spec_of(pod).get("nodeName") or ""
        if not node:
            return Answer(200, b"", TEXT)  # as Kubernetes: not assigned, so nothing was written
        check_started(pod, container, previous=is_true(query.get("previous")))
        if self._socket is None:
            raise unreachable(node, "this server knows of no kubelet")
        path = "/".join(quote(part, safe="") for part in (namespace_of(pod), name_of(pod), container))
        url = f"http://kubelet/containerLogs/{path}" + (f"?{options}" if options else "")
        try:
            response = await self._client(self._socket).get(URL(url, encoded=True))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(node, str(error)) from None
        if response.status != 200:
            text = (await response.text()).strip()
            raise bad_request(text) if response.status < 500 else internal_error(text)
        return Flow(200, _chunks(response), response.close, TEXT)

    def _client(self, socket: Path) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)
            self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError):
        return  # the node process ended or the client left: what came is what there is
    finally:
        response.close()
