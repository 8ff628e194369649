"""The server on a real TLS socket: who gets in, what streams, how it stops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import aiohttp
import orjson
import pytest

from control.api.kinds import CONFIG_MAP
from control.apiserver.auth import Authenticator
from control.apiserver.body import BODY_BYTES_MAX
from control.apiserver.exchange import User
from control.apiserver.server import ApiServer
from control.store.store import Store
from control.supervise import pki
from tests.fakes.cluster import APPS, CORE, config_map, deployment

MAPS = f"{CORE}/configmaps"


@cache
def keys() -> Path:
    folder = Path(mkdtemp(prefix="loopkube-keys-"))
    pki.ensure(folder, host="127.0.0.1", service_ips=["127.96.0.1"])
    return folder


@dataclass
class Running:
    server: ApiServer
    store: Store
    session: aiohttp.ClientSession

    def url(self, path: str) -> str:
        return f"https://{self.server.address}{path}"


def _client_context(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(keys() / "ca.crt"))
    if certificate:
        context.load_cert_chain(keys() / f"{certificate}.crt", keys() / f"{certificate}.key")
    return context


@asynccontextmanager
async def running(certificate: str = "admin") -> AsyncIterator[Running]:
    store = Store.open(None)
    auth = Authenticator(tokens={"secret": User("bob", ("devs",))})
    server = ApiServer(store, auth=auth, service_cidr="127.96.0.0/16")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys() / "ca.crt"))
    context.load_cert_chain(keys() / "apiserver.crt", keys() / "apiserver.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    await server.start("127.0.0.1", 0, context)
    connector = aiohttp.TCPConnector(ssl=_client_context(certificate))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Running(server, store, session)
    await server.stop()
    await store.close()


async def _whoami(api: Running, **headers: str) -> tuple[int, dict[str, object]]:
    url = api.url("/apis/authentication.k8s.io/v1/selfsubjectreviews")
    async with api.session.post(url, json={}, headers=headers) as response:
        return response.status, await response.json()


async def test_a_certificate_is_somebody() -> None:
    async with running() as api:
        status, body = await _whoami(api)
        assert status == 201
        assert body["status"] == {
            "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}
        }


async def test_nobody_gets_401_everywhere_but_health() -> None:
    async with running(certificate="") as api:
        for path in ("/api", MAPS, "/version", "/openapi/v2", "/nowhere"):
            async with api.session.get(api.url(path)) as response:
                body = await response.json()
                assert (response.status, body["reason"], body["kind"]) == (401, "Unauthorized", "Status"), path
        for path in ("/livez", "/readyz", "/healthz"):
            async with api.session.get(api.url(path)) as response:
                assert (response.status, await response.text()) == (200, "ok")
        assert (await _whoami(api, Authorization="Bearer wrong"))[0] == 401
        status, body = await _whoami(api, Authorization="Bearer secret")
        assert (status, body["status"]["userInfo"]["username"]) == (201, "bob")  # type: ignore[index]


async def test_a_foreign_host_name_is_refused() -> None:
    async with running() as api, api.session.get(api.url("/api"), headers={"Host": "evil.example"}) as response:
        assert response.status == 403


async def test_a_round_over_the_wire() -> None:
    async with running() as api:
        async with api.session.post(api.url(MAPS), data=orjson.dumps(config_map("a", k="v"))) as response:
            assert response.status == 415  # aiohttp calls bytes an octet-stream
        headers = {"Content-Type": "application/json"}
        async with api.session.post(api.url(MAPS), json=config_map("a", k="v"), headers=headers) as response:
            assert (response.status, response.content_type) == (201, "application/json")
            made = await response.json()
        async with api.session.get(api.url(f"{MAPS}/a")) as response:
            assert await response.json() == made
        async with api.session.get(api.url(f"{MAPS}?labelSelector=!x")) as response:
            assert [item["metadata"]["name"] for item in (await response.json())["items"]] == ["a"]
        assert (await api.server.client().get(CONFIG_MAP, "default", "a")) == made
        async with api.session.delete(api.url(f"{MAPS}/a")) as response:
            assert (await response.json())["status"] == "Success"


async def test_warnings_are_headers() -> None:
    async with running() as api:
        body = {**deployment(), "nonsense": 1}
        async with api.session.post(api.url(f"{APPS}/deployments"), json=body) as response:
            assert response.headers.getall("Warning")[0] == '299 - "unknown field \\"nonsense\\""'


async def test_a_body_that_is_too_large() -> None:
    async with running() as api:
        body = b'{"data":"' + b"x" * BODY_BYTES_MAX + b'"}'
        async with api.session.post(api.url(MAPS), data=body) as response:
            assert (response.status, (await response.json())["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_watch_streams_and_ends_with_its_client() -> None:
    async with running() as api:
        headers = {"Content-Type": "application/json"}
        async with api.session.get(api.url(f"{MAPS}?watch=1&resourceVersion=0")) as watch:
            assert watch.status == 200
            async with api.session.post(api.url(MAPS), json=config_map("a"), headers=headers):
                pass
            event = orjson.loads(await watch.content.readline())
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
            assert "1 streams" in repr(api.server)
            watch.close()
        async with asyncio.timeout(5):
            while "0 streams" not in repr(api.server):
                await asyncio.sleep(0)


async def test_stop_ends_watches() -> None:
    async with running() as api:
        async with api.session.get(api.url(f"{MAPS}?watch=1")) as watch:
            await api.server.stop()
            assert await watch.content.read() == b""
        with pytest.raises(aiohttp.ClientConnectionError):
            await api.session.get(api.url("/livez"))
