"""From "the pod says ready" to the first request that reaches it through the Ingress: p50 and p99 over many flips.

    python -m bench.limits.change_path [--flips 200] [--json FILE]

Some pods, each the only endpoint of its own Ingress host, flip in parallel (a probe's period is at least a second, so
one pod alone would take ten minutes). A client asks each host every millisecond. The pod itself notes when it first
answered its probe with 200 and when the first request came; watches of the API from here tell the stages between:
status write, slice, and publish with swap. Stages are seen through a watch over TLS, so each includes that watch's
own delay.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench.lab.api import Api
from bench.lab.response import Response
from bench.lab.stats import percentile
from bench.lab.timeline import is_ready
from bench.limits.cluster import Cluster, Figure, show

PODS = 4
GOAL_P99_MS = 20.0
FLIP_MAX_S = 30.0
NAMESPACE = "flips"


def manifest(pods: int) -> list[dict[str, Any]]:
    """One pod, Service and Ingress host for each of the flipping pods."""
    documents: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for number in range(pods):
        meta = {"name": f"flip-{number}", "namespace": NAMESPACE, "labels": {"flip": str(number)}}
        probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
        container = {
            "name": "flipper",
            "image": "python:3",
            "command": [sys.executable, "-m", "bench.limits.flipper"],
            "readinessProbe": probe,
        }
        backend = {"service": {"name": meta["name"], "port": {"number": 80}}}
        rule = {"host": f"{meta['name']}.local", "http": {"paths": [_path(backend)]}}
        ports = [{"port": 80, "targetPort": 8080}]
        documents += [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": meta,
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": {"flip": str(number)}, "ports": ports},
            },
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": {"rules": [rule]}},
        ]
    return documents


def _path(backend: dict[str, Any]) -> dict[str, Any]:
    return {"path": "/", "pathType": "Prefix", "backend": backend}


class Seen:
    """When watches showed each pod ready, and each slice's endpoint ready, last."""

    def __init__(self) -> None:
        self.status: dict[str, float] = {}
        self.slice: dict[str, float] = {}

    async def follow(self, api: Api, kind: str) -> None:
        version = (await api.list(kind, NAMESPACE))["metadata"]["resourceVersion"]
        ready: dict[str, bool] = {}
        async for event in api.watch(kind, NAMESPACE, version):
            obj = event["object"]
            if kind == "Pod":
                name, now_ready, book = obj["metadata"]["name"], is_ready(obj), self.status
            else:
                name = obj["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
                now_ready = any(e["conditions"].get("ready") for e in obj.get("endpoints") or ())
                book = self.slice
            if now_ready and not ready.get(name):
                book[name] = time.time()
            ready[name] = now_ready


class Asker:
    """One kept-alive connection to the Ingress, for one host."""

    def __init__(self, address: tuple[str, int], host: str) -> None:
        self._address = address
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def status(self) -> int:
        """One request's status; a connection that was closed is opened again."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(self._request)
        response = Response()
        while not response.complete and (data := await reader.read(4096)):
            response.feed(data)
        if not response.complete or not response.keeps_alive:
            writer.close()
            self._streams = None
        return response.status

    async def until(self, wanted: bool) -> None:
        """Asks every millisecond until the answer is (or is no more) a 200; raises TimeoutError."""
        async with asyncio.timeout(FLIP_MAX_S):
            while (await self.status() == 200) is not wanted:
                await asyncio.sleep(0.001)


async def flip(name: str, ip: str, address: tuple[str, int], seen: Seen, flips: int) -> list[tuple[float, ...]]:
    """(total, status write, slice, publish and swap) in seconds for each flip of one pod."""
    asker = Asker(address, f"{name}.local")
    found: list[tuple[float, ...]] = []
    async with aiohttp.ClientSession(f"http://{ip}:8080") as pod:
        for _ in range(flips):
            await (await pod.post("/ready")).read()
            await asker.until(True)
            times = json.loads(await (await pod.get("/times")).text())
            said, first = times["said_ready"], times["first_request"]
            async with asyncio.timeout(FLIP_MAX_S):
                while seen.slice.get(name, 0) < said or seen.status.get(name, 0) < said:
                    await asyncio.sleep(0.001)
            status, slice_ = seen.status[name], seen.slice[name]
            found.append((first - said, status - said, max(slice_ - status, 0.0), max(first - slice_, 0.0)))
            await (await pod.post("/unready")).read()
            await asker.until(False)
    return found


async def measure(cluster: Cluster, flips: int) -> list[Figure]:
    url = urlsplit(cluster.status()["ingress"]["http"])
    address = (str(url.hostname), int(url.port or 80))
    seen = Seen()
    async with Api.from_kubeconfig(cluster.kubeconfig) as api:
        addresses: dict[str, str] = {}
        async with asyncio.timeout(FLIP_MAX_S):
            while len(addresses) < PODS:
                pods = (await api.list("Pod", NAMESPACE))["items"]
                running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
                addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in running}
                await asyncio.sleep(0.02)
        watches = [asyncio.create_task(seen.follow(api, kind)) for kind in ("Pod", "EndpointSlice")]
        await asyncio.sleep(0.5)  # the watches begin, the pods' servers too
        each = -(-flips // PODS)
        found = await asyncio.gather(*(flip(name, ip, address, seen, each) for name, ip in addresses.items()))
        for watch in watches:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    rows = [row for rows in found for row in rows]
    names = ("probe's answer to first request", "  status write seen", "  then slice seen", "  then first request")
    figures = []
    for column, name in enumerate(names):
        values = [row[column] * 1000 for row in rows]
        goal = GOAL_P99_MS if column == 0 else None
        figures.append(Figure(f"{name}, p50", percentile(values, 0.5), "ms", note=f"{len(values)} flips"))
        figures.append(Figure(f"{name}, p99", percentile(values, 0.99), "ms", goal))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--json")
    options = parser.parse_args()
    with Cluster(manifest=manifest(PODS)) as cluster:
        figures = asyncio.run(measure(cluster, options.flips))
    show("Change path", figures, options.json)


if __name__ == "__main__":
    main()
