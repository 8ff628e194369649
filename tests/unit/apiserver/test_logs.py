"""Pods' logs: which container, why not yet, and what the kubelet says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from control.api.status import StatusError
from control.apiserver.exchange import Answer, Flow
from control.apiserver.podlogs import check_started, container_of, kubelet_query
from tests.fakes.cluster import CORE, Cluster, cluster, pod

LOG = f"{CORE}/pods/p/log"
TWO = {
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
}


@asynccontextmanager
async def kubelet(path: Path) -> AsyncIterator[list[str]]:
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.raw_path)
        if "refuse" in request.raw_path or request.query.get("tailLines") == "99":
            return web.Response(status=400, text="no such log\n")
        if request.query.get("tailLines") == "98":
            return web.Response(status=500, text="disk on fire")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await response.write(b"two\n")
        return response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield asked
    finally:
        await runner.cleanup()


async def _running(api: Cluster) -> None:
    await api.post(f"{CORE}/pods", pod(nodeName="n1"))
    status = {"containerStatuses": [_container_status(running={"startedAt": "2026-01-02T03:04:05Z"})]}
    assert (await api.patch(f"{CORE}/pods/p/status", {"status": status})).status == 200


def _container_status(**state: Any) -> dict[str, Any]:
    return {"name": "c", "image": "i", "imageID": "", "ready": True, "restartCount": 0, "state": state}


async def _text(reply: Answer | Flow) -> bytes:
    assert isinstance(reply, Flow), reply.body
    return b"".join([chunk async for chunk in reply.chunks])


async def test_the_kubelet_s_bytes_pass_through(tmp_path: Path) -> None:
    async with kubelet(tmp_path / "k") as asked, cluster(kubelet_socket=tmp_path / "k") as api:
        await _running(api)
        reply = await api.send("GET", f"{LOG}?follow=true&tailLines=5&timestamps=1&sinceTime=2026-01-02T03:04:05Z")
        assert await _text(reply) == b"one\ntwo\n"
        assert reply.content_type == "text/plain"
        assert asked == [
            "/containerLogs/default/p/c?follow=true&timestamps=true&tailLines=5&sinceTime=2026-01-02T03%3A04%3A05Z"
        ]


async def test_the_kubelet_s_refusals(tmp_path: Path) -> None:
    async with kubelet(tmp_path / "k"), cluster(kubelet_socket=tmp_path / "k") as api:
        await _running(api)
        reply = await api.get(f"{LOG}?tailLines=99")
        assert (reply.status, reply.message) == (400, "no such log")
        reply = await api.get(f"{LOG}?tailLines=98")
        assert (reply.status, reply.message) == (500, "Internal error occurred: disk on fire")


async def test_a_node_that_does_not_answer(tmp_path: Path) -> None:
    async with cluster(kubelet_socket=tmp_path / "nobody") as api:
        await _running(api)
        reply = await api.get(LOG)
        assert (reply.status, "the kubelet of node n1 does not answer" in reply.message) == (500, True)


async def test_a_pod_that_is_nowhere_has_written_nothing() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/pods", pod())
        reply = await api.get(LOG)
        assert (reply.status, reply.body) == (200, b"")
        assert (await api.get(f"{CORE}/pods/none/log")).message == 'pods "none" not found'
        assert (await api.post(LOG, {})).status == 405


def test_the_container_must_be_clear() -> None:
    with pytest.raises(StatusError) as caught:
        container_of(TWO, "")
    assert caught.value.message == (
        "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
    )
    with pytest.raises(StatusError, match="container x is not valid for pod p"):
        container_of(TWO, "x")
    assert container_of(TWO, "i") == "i"
    assert container_of({"spec": {"containers": [{"name": "only"}]}}, "") == "only"


@pytest.mark.parametrize(
    ("status", "previous", "message"),
    [
        (None, False, "is waiting to start: ContainerCreating"),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, False, "is waiting to start: PodInitializing"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, False, "is waiting to start: image can't be pulled"),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, False, "trying and failing to pull image"),
        ({"state": {}}, False, "is waiting to start - no logs yet"),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, False, "is waiting to start: CrashLoopBackOff"),
        ({"state": {"waiting": {"reason": "X"}}, "lastState": {"terminated": {"exitCode": 1}}}, False, ""),
        ({"state": {"terminated": {"exitCode": 0}}}, False, ""),
        ({"state": {"running": {"startedAt": "t"}}}, False, ""),
        ({"state": {"running": {"startedAt": "t"}}}, True, 'previous terminated container "c" in pod "p" not found'),
        ({"state": {"running": {"startedAt": "t"}}, "lastState": {"terminated": {"exitCode": 1}}}, True, ""),
    ],
)  # fmt: skip
def test_why_there_is_no_log(status: dict[str, Any] | None, previous: bool, message: str) -> None:
    statuses = [{"name": "c", **status}] if status is not None else []
    subject = {"metadata": {"name": "p"}, "status": {"containerStatuses": statuses}}
    if not message:
        check_started(subject, "c", previous=previous)
        return
    with pytest.raises(StatusError) as caught:
        check_started(subject, "c", previous=previous)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"limitBytes": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"sinceSeconds": "5", "sinceTime": "2026-01-01T00:00:00Z"}, "at most one of `sinceTime` or `sinceSeconds`"),
        ({"sinceTime": "yesterday"}, 'parsing time "yesterday"'),
    ],
)
def test_options_that_mean_nothing(query: dict[str, str], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        kubelet_query(query)
    assert message in caught.value.message
