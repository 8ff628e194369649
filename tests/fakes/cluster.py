"""An API server in memory with a clock that stands still: requests in, answers out, no sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import orjson

from control.apiserver.auth import Authenticator, authenticated
from control.apiserver.exchange import Answer, Flow, Request
from control.apiserver.local import LocalClient
from control.apiserver.server import ApiServer
from control.store.store import Store

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Headers(dict[str, str]):
    """Case matters not in HTTP; the handlers ask with the usual spelling."""


@dataclass
class Reply:
    status: int
    body: Any
    answer: Answer

    @property
    def message(self) -> str:
        return str(self.body["message"])

    @property
    def reason(self) -> str:
        return str(self.body["reason"])


@dataclass
class Cluster:
    server: ApiServer
    store: Store
    clock: Clock
    agent: str = "tests/1.0"
    flows: list[Flow] = field(default_factory=list)

    @property
    def local(self) -> LocalClient:
        return self.server.client("system:serviceaccount:tests")

    async def send(
        self, method: str, url: str, body: Any = b"", *, headers: Mapping[str, str] | None = None
    ) -> Answer | Flow:
        path, _, query = url.partition("?")
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        values = dict(parse_qsl(query, keep_blank_values=True))
        sent = Headers({"User-Agent": self.agent, "Content-Type": "application/json", **(headers or {})})
        user = authenticated("ann", ("system:masters",))
        return await self.server.handlers.handle(Request(method, path, values, sent, data, user))

    async def ask(self, method: str, url: str, body: Any = b"", **headers: str) -> Reply:
        """Headers as keyword arguments: Accept="...", Content_Type="..."."""
        spelt = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.send(method, url, body, headers=spelt)
        assert isinstance(answer, Answer)
        is_json = answer.content_type.startswith("application/json") and answer.body
        return Reply(answer.status, orjson.loads(answer.body) if is_json else answer.body, answer)

    async def get(self, url: str, **headers: str) -> Reply:
        return await self.ask("GET", url, **headers)

    async def post(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.ask("POST", url, body, **headers)

    async def put(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.ask("PUT", url, body, **headers)

    async def patch(self, url: str, body: Any, media: str = MERGE) -> Reply:
        return await self.ask("PATCH", url, body, Content_Type=media)

    async def delete(self, url: str, body: Any = b"") -> Reply:
        return await self.ask("DELETE", url, body)

    async def watch(self, url: str, **headers: str) -> Watcher:
        answer = await self.send("GET", url, headers=headers)
        assert isinstance(answer, Flow), answer.body
        self.flows.append(answer)
        return Watcher(answer)


class Watcher:
    """Reads a watch's events one at a time."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._chunks = aiter(flow.chunks)
        self._lines: list[bytes] = []

    async def next(self) -> tuple[str, Any]:
        while not self._lines:
            self._lines = (await anext(self._chunks)).splitlines()
        event = orjson.loads(self._lines.pop(0))
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(type_, obj["metadata"].get("name", "")) for type_, obj in events]


@asynccontextmanager
async def cluster(**more: Any) -> AsyncIterator[Cluster]:
    clock = Clock()
    store = Store.open(None)
    auth = Authenticator(signing_key=b"a key of the tests", clock=clock)
    server = ApiServer(store, auth=auth, service_cidr="127.96.0.0/16", clock=clock, rng=Random(1), **more)
    await server.prepare("127.0.0.1", 6443)
    made = Cluster(server, store, clock)
    try:
        yield made
    finally:
        for flow in made.flows:
            flow.close()
        await server.stop()
        await store.close()


def config_map(name: str, labels: Mapping[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "nginx:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": containers, **spec},
    }


def deployment(name: str = "web", replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
            },
        },
    }


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}, **spec},
    }
