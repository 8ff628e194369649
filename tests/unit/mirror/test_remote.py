"""The client over HTTP: what it asks, and what it makes of answers, broken ones included."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, NODE, POD
from control.api.objects import Object
from control.api.status import StatusError, not_found
from control.mirror.kubeconfig import Access
from control.mirror.mirror import Mirror
from control.mirror.remote import RemoteClient
from tests.fakes.certificates import self_signed
from tests.fakes.http_api import Answer, HttpApi


def pod(name: str = "p", version: str = "5") -> Object:
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": version}}


class Setting:
    def __init__(self) -> None:
        self.next: Answer = (200, {})
        self.api = HttpApi(lambda method, path: self.next)

    @property
    def last(self) -> Any:
        return self.api.asked[-1]


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    setting = Setting()
    await setting.api.start()
    yield setting
    await setting.api.close()


@pytest.fixture
async def client(setting: Setting) -> AsyncIterator[RemoteClient]:
    async with RemoteClient(Access(setting.api.url, token="secret"), user_agent="kubelet") as client:
        yield client


async def test_requests_are_kubernetes_own(setting: Setting, client: RemoteClient) -> None:
    setting.next = (200, pod())
    assert await client.get(POD, "a", "p") == pod()
    assert setting.last == ("GET", "/api/v1/namespaces/a/pods/p", {}, None)
    assert setting.api.headers[-1]["Authorization"] == "Bearer secret"
    assert setting.api.headers[-1]["User-Agent"] == "kubelet"
    await client.create(POD, pod())
    assert setting.last == ("POST", "/api/v1/namespaces/a/pods", {}, pod())
    await client.create(POD, pod(), subresource="binding")
    assert setting.last[:2] == ("POST", "/api/v1/namespaces/a/pods/p/binding")
    await client.create(NODE, {"metadata": {"name": "n"}})
    assert setting.last[1] == "/api/v1/nodes"
    await client.update(POD, pod(), subresource="status")
    assert setting.last == ("PUT", "/api/v1/namespaces/a/pods/p/status", {}, pod())
    await client.patch(
        DEPLOYMENT, "a", "d", {"x": 1}, patch_type="application/apply-patch+yaml", field_manager="me", force=True
    )
    assert setting.last == (
        "PATCH", "/apis/apps/v1/namespaces/a/deployments/d", {"fieldManager": "me", "force": "true"}, {"x": 1},
    )  # fmt: skip
    assert setting.api.headers[-1]["Content-Type"] == "application/apply-patch+yaml"
    await client.delete(POD, "a", "p", uid="u", resource_version="7", grace_period_s=0, propagation="Foreground")
    assert setting.last[:2] == ("DELETE", "/api/v1/namespaces/a/pods/p")
    assert setting.last[3] == {
        "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u", "resourceVersion": "7"},
        "gracePeriodSeconds": 0, "propagationPolicy": "Foreground",
    }  # fmt: skip


async def test_items_of_a_list_say_what_they_are(setting: Setting, client: RemoteClient) -> None:
    setting.next = (200, {"metadata": {"resourceVersion": "9"}, "items": [pod()]})
    listing = await client.list(POD, "a", label_selector="x=y", field_selector="spec.nodeName=n")
    assert setting.last[2] == {"labelSelector": "x=y", "fieldSelector": "spec.nodeName=n"}
    assert list(listing.items) == [{**pod(), "apiVersion": "v1", "kind": "Pod"}]
    assert listing.resource_version == "9"
    setting.next = (200, {"metadata": {"resourceVersion": "9"}, "items": None})
    assert list((await client.list(POD)).items) == []


async def test_failures_are_what_the_status_says(setting: Setting, client: RemoteClient) -> None:
    setting.next = (404, not_found(POD, "p").status)
    with pytest.raises(StatusError) as caught:
        await client.get(POD, "a", "p")
    assert (caught.value.reason, caught.value.message) == ("NotFound", 'pods "p" not found')
    setting.next = (502, b"<html>bad gateway</html>")
    with pytest.raises(StatusError) as caught:
        await client.get(POD, "a", "p")
    assert (caught.value.code, caught.value.reason) == (502, "")
    assert "bad gateway" in caught.value.message
    setting.next = (200, b"not json")
    with pytest.raises(ConnectionError, match="not JSON"):
        await client.get(POD, "a", "p")


async def test_no_server_is_a_connection_error(setting: Setting, client: RemoteClient) -> None:
    await setting.api.close()
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1"):
        await client.get(POD, "a", "p")
    with pytest.raises(ConnectionError):
        await anext(aiter(client.watch(POD, resource_version="1")))


async def test_a_watch_gives_events_however_they_are_cut(setting: Setting, client: RemoteClient) -> None:
    big = {**pod("big", "6"), "data": "x" * 200_000}
    setting.api.say("ADDED", pod("p"), pieces=7)
    setting.api.say("MODIFIED", big)
    setting.api.stream.put_nowait(b"\n")
    setting.api.say("BOOKMARK", pod("", "8"))
    setting.api.stream.put_nowait(None)
    events = [event async for event in client.watch(POD, "a", resource_version="4", field_selector="f=g")]
    assert [(event.type, event.object["metadata"]["resourceVersion"]) for event in events] == [
        ("ADDED", "5"), ("MODIFIED", "6"), ("BOOKMARK", "8"),
    ]  # fmt: skip
    assert events[1].object == big
    assert setting.last[2] == {
        "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "4", "fieldSelector": "f=g",
    }  # fmt: skip


async def test_a_watch_that_breaks_says_how(setting: Setting, client: RemoteClient) -> None:
    setting.api.say("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    with pytest.raises(StatusError) as caught:
        await anext(aiter(client.watch(POD, resource_version="1")))
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    setting.next = (410, {"kind": "Status", "reason": "Expired", "message": "too old"})
    with pytest.raises(StatusError) as caught:
        await anext(aiter(client.watch(POD, resource_version="1")))
    assert caught.value.code == 410
    setting.next = (200, {})
    setting.api.stream.put_nowait(None)  # ends the stream that was abandoned above
    setting.api.stream = asyncio.Queue()
    setting.api.stream.put_nowait(b'{"type": "ADDED", "obj')
    setting.api.stream.put_nowait(b"cut")
    with pytest.raises(ConnectionError):
        await anext(aiter(client.watch(POD, resource_version="1")))


async def test_a_mirror_over_http(setting: Setting, client: RemoteClient) -> None:
    setting.next = (200, {"metadata": {"resourceVersion": "5"}, "items": [pod("p")]})
    mirror = Mirror(client, [POD])
    mirror.start()
    await asyncio.wait_for(mirror.synced.wait(), 5)
    setting.api.say("ADDED", {**pod("q", "6"), "kind": "Pod", "apiVersion": "v1"})
    assert await mirror.until(lambda world: len(world.list(POD)) == 2, 5)
    await mirror.close()


async def test_tls_trusts_the_clusters_ca_alone_and_shows_our_certificate(tmp_path: Path) -> None:
    chain, key = self_signed("me")
    (tmp_path / "pair.pem").write_text(chain + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "pair.pem")
    server.load_verify_locations(cadata=chain)
    server.verify_mode = ssl.CERT_REQUIRED
    api = await HttpApi(lambda method, path: (200, pod())).start(server)
    async with RemoteClient(Access(api.url, ca_pem=chain, certificate_pem=chain, key_pem=key)) as client:
        assert await client.get(POD, "a", "p") == pod()
    async with RemoteClient(
        Access(api.url, ca_pem=self_signed("me")[0], certificate_pem=chain, key_pem=key)
    ) as stranger:
        with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(POD, "a", "p")
    async with RemoteClient(Access(api.url, insecure=True, certificate_pem=chain, key_pem=key)) as careless:
        assert await careless.get(POD, "a", "p") == pod()
    await api.close()
