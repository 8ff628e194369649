"""The metrics APIs over HTTP and by function call, with sources on unix sockets that say what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from control.api.status import StatusError
from tests.fakes.cluster import CORE, Cluster, cluster, pod
from tests.unit.apiserver.test_metrics_rates import container

RESOURCE, CUSTOM = "/apis/metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default"
HITS = "http_requests_per_second"


class Sources:
    """A kubelet and a worker; `cpu_s` and `requests` are what they have counted."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.cpu_s = 5.0
        self.requests = 10
        self.up = True
        self.asked = asyncio.Semaphore(0)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if not self.up:
            return web.Response(status=503)
        if request.path == "/stats/summary":
            self.asked.release()
            return web.json_response({"items": [self.summary()]})
        name, labels = "loopkube_endpoint_duration_seconds_count", 'backend="default/web:80",endpoint="default/p"'
        text = f"{name}{{{labels}}} {self.requests}\n"
        name, labels = "loopkube_request_duration_seconds_count", 'backend="default/web:80",route="default/site#0"'
        return web.Response(text=text + f"{name}{{{labels}}} {self.requests}\n")

    def summary(self) -> dict[str, Any]:
        reference = {"name": "p", "namespace": "default", "uid": "u"}
        containers = [container("a", self.now_s, self.cpu_s, 4096), container("b", self.now_s, 0.0, 8192)]
        node = {"nodeName": "n", "cpu": {"time": containers[0]["cpu"]["time"]}}
        return {"node": node, "pods": [{"podRef": reference, "containers": containers}]}


@asynccontextmanager
async def measured(folder: Path) -> AsyncIterator[tuple[Cluster, Sources]]:
    """Two readings, 10 s apart, in which `p` used half a core and was asked 20 times."""
    sources = Sources()
    runner = web.ServerRunner(web.Server(sources.answer, access_log=None))
    await runner.setup()
    kubelet, worker = folder / "node.sock", folder / "worker-0.sock"
    for path in (kubelet, worker):
        await web.UnixSite(runner, str(path)).start()
    try:
        async with cluster(kubelet_socket=kubelet, worker_sockets=[worker], metrics_resolution_s=0.01) as api:
            await api.post("/api/v1/nodes", {"metadata": {"name": "n", "labels": {"zone": "z"}}})
            for name in ("p", "q"):
                made = pod(name)
                made["metadata"]["labels"] = {"app": name}
                assert (await api.post(f"{CORE}/pods", made)).status == 201
            service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
            assert (await api.post(f"{CORE}/services", service)).status == 201
            backend = {"service": {"name": "web", "port": {"number": 80}}}
            ingress = {"metadata": {"name": "site"}, "spec": {"defaultBackend": backend}}
            assert (await api.post("/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)).status == 201
            await api.server.metrics.sample()
            sources.now_s, sources.cpu_s, sources.requests = 110.0, 10.0, 30
            api.clock.now += timedelta(seconds=10)
            await api.server.metrics.sample()
            yield api, sources
    finally:
        await runner.cleanup()


async def test_pods_that_were_measured_are_listed(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        listed = (await api.get(f"{RESOURCE}/namespaces/default/pods")).body
        assert (listed["kind"], listed["apiVersion"]) == ("PodMetricsList", "metrics.k8s.io/v1beta1")
        (item,) = listed["items"]
        assert item["metadata"]["labels"] == {"app": "p"}
        assert (item["timestamp"], item["window"]) == ("2026-01-01T00:01:50Z", "10s")
        assert item["containers"] == [
            {"name": "a", "usage": {"cpu": "500m", "memory": "4Ki"}},
            {"name": "b", "usage": {"cpu": "0", "memory": "8Ki"}},
        ]
        assert (await api.get(f"{RESOURCE}/namespaces/default/pods/p")).body["containers"] == item["containers"]
        assert (await api.get(f"{RESOURCE}/pods?labelSelector=app%3Dq")).body["items"] == []
        assert (await api.get(f"{RESOURCE}/pods?labelSelector=app%3Dp")).body["items"] != []


async def test_a_pod_without_a_sample_is_not_found(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        for name in ("q", "nobody"):
            reply = await api.get(f"{RESOURCE}/namespaces/default/pods/{name}")
            assert (reply.status, reply.body["message"]) == (
                404,
                f'podmetrics.metrics.k8s.io "default/{name}" not found',
            )


async def test_a_node_uses_what_its_pods_use(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        node = (await api.get(f"{RESOURCE}/nodes/n")).body
        assert (node["kind"], node["usage"]) == ("NodeMetrics", {"cpu": "500m", "memory": "12Ki"})
        assert node["metadata"]["labels"]["zone"] == "z"
        assert (await api.get(f"{RESOURCE}/nodes/other")).body["message"] == (
            'nodemetrics.metrics.k8s.io "other" not found'
        )


async def test_a_table_has_the_columns_of_metrics_server(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        table = (await api.ask("GET", f"{RESOURCE}/namespaces/default/pods", Accept=accept)).body
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
        assert [row["cells"] for row in table["rows"]] == [["p", "500m", "12Ki", "10s"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RESOURCE}/moons", 404),
        (f"{RESOURCE}/namespaces/default/nodes", 404),
        (f"{RESOURCE}/pods/p", 404),
        ("/apis/metrics.k8s.io/v1/pods", 404),
        (f"{CUSTOM}/pods/*/moons", 404),
        (f"{CUSTOM}/configmaps/*/{HITS}", 404),
        (f"{EXTERNAL}/moons", 404),
        (f"{RESOURCE}/pods?labelSelector=,,", 400),
        (f"{CUSTOM}/pods/nobody/{HITS}", 404),
    ],
)
async def test_what_is_not_measured_is_not_served(tmp_path: Path, path: str, status: int) -> None:
    async with measured(tmp_path) as (api, _):
        assert (await api.get(path)).status == status


async def test_metrics_can_only_be_read(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        assert (await api.delete(f"{RESOURCE}/namespaces/default/pods/p")).status == 405
        assert (await api.get(f"{RESOURCE}/pods?watch=1")).status == 405


async def test_requests_per_second_of_pods_services_and_ingresses(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        pods = (await api.get(f"{CUSTOM}/pods/*/{HITS}")).body
        assert pods["kind"] == "MetricValueList"
        assert [(item["describedObject"]["name"], item["value"]) for item in pods["items"]] == [("p", "2"), ("q", "0")]
        assert pods["items"][0]["describedObject"] == {
            "kind": "Pod", "namespace": "default", "name": "p", "apiVersion": "/v1",
        }  # fmt: skip
        assert (pods["items"][0]["windowSeconds"], pods["items"][0]["metric"]["name"]) == (10, HITS)
        for path in ("services/web", "ingresses.networking.k8s.io/site"):
            (item,) = (await api.get(f"{CUSTOM}/{path}/{HITS}")).body["items"]
            assert item["value"] == "2"
        assert (await api.get(f"{CUSTOM}/pods/*/{HITS}?labelSelector=app%3Dp")).body["items"] == pods["items"][:1]
        assert (await api.get(f"{CUSTOM}/pods/*/{HITS}?metricLabelSelector=verb%3DGET")).body["items"] == []


async def test_the_same_as_external_metrics(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        served = (await api.get(f"{EXTERNAL}/service_{HITS}?labelSelector=service%3Dweb")).body
        assert served["kind"] == "ExternalMetricValueList"
        assert [(item["metricLabels"], item["value"]) for item in served["items"]] == [({"service": "web"}, "2")]
        ingresses = (await api.get(f"{EXTERNAL}/ingress_{HITS}")).body["items"]
        assert [(item["metricLabels"], item["value"]) for item in ingresses] == [({"ingress": "site"}, "2")]


async def test_by_function_call(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, _):
        client = api.server.client()
        found = await client.read(f"{RESOURCE}/namespaces/default/pods?labelSelector=app%3Dp")
        assert [item["metadata"]["name"] for item in found["items"]] == ["p"]
        for path in ("/api/v1/pods", "/healthz", f"{RESOURCE}/moons"):
            with pytest.raises(StatusError):
                await client.read(path)


async def test_sources_that_do_not_answer_are_asked_again(tmp_path: Path) -> None:
    async with measured(tmp_path) as (api, sources):
        sources.up = False
        api.clock.now += timedelta(seconds=10)
        await api.server.metrics.sample()
        assert (await api.get(f"{RESOURCE}/pods")).body["items"] != []  # the last that is known
        assert [item["value"] for item in (await api.get(f"{CUSTOM}/pods/*/{HITS}")).body["items"]] == ["0", "0"]
        sources.up, sources.requests = True, 50
        api.clock.now += timedelta(seconds=10)
        await api.server.metrics.sample()
        assert (await api.get(f"{CUSTOM}/services/web/{HITS}")).body["items"][0]["value"] == "2"


async def test_before_the_second_reading_nothing_is_known() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/pods", pod("p"))
        assert (await api.get(f"{RESOURCE}/pods")).body["items"] == []
        assert (await api.get(f"{CUSTOM}/pods/*/{HITS}")).body["items"] == []
        assert (await api.get(f"{EXTERNAL}/service_{HITS}")).body["items"] == []


async def test_who_asks_wakes_the_measuring(tmp_path: Path) -> None:
    """At rest a reading comes every 15 s; a question brings the next one at once."""
    async with measured(tmp_path) as (api, sources):
        sources.asked = asyncio.Semaphore(0)
        api.server.metrics.start()
        async with asyncio.timeout(5):
            await sources.asked.acquire()
            await api.get(f"{RESOURCE}/pods")
            await sources.asked.acquire()
