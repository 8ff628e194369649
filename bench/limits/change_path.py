"""From "the pod says ready" to the first request that reaches it through the Ingress: p50 and p99 over many flips.

    python -m bench.limits.change_path [--flips 200] [--json FILE]

Some pods, each the only endpoint of its own Ingress host, flip in parallel (a probe's period is at least a second, so
one pod alone would take ten minutes). A client asks each host every millisecond.

Whoever does a step notes when, and the steps follow each other without a gap, so that their shares add up to the
total:

    probe          the pod answers its probe with 200 -> the prober has read that and hangs up      (pod)
    status write   ... -> the slice's controller has seen the new status and decides      (loopkube.io/trigger-time)
    slice          ... -> the publisher has seen the slice and takes the change        (Update.published_at)
    publish        ... -> its bytes have reached the worker                            (worker's /updates)
    swap           ... -> it is in force there                                         (worker's /updates)
    first request  ... -> the client's next request is at the pod                      (pod)

How long the pod waits for its next probe is shown too, but is Kubernetes' own choice of at least a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from bench.lab.api import Api
from bench.lab.response import Response
from bench.lab.stats import percentile
from bench.limits.cluster import Cluster, Figure, show

PODS = 4
GOAL_P99_MS = 20.0
FLIP_MAX_S = 30.0
NAMESPACE = "flips"
FLIPPER = Path(__file__).with_name("flipper.py")


def manifest(pods: int) -> list[dict[str, Any]]:
    """One pod, Service and Ingress host for each of the flipping pods."""
    documents: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for number in range(pods):
        meta = {"name": f"flip-{number}", "namespace": NAMESPACE, "labels": {"flip": str(number)}}
        probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
        container = {
            "name": "flipper",
            "image": "python:3",
            "command": [sys.executable, str(FLIPPER)],
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


class Flip(NamedTuple):
    """One flip's steps in seconds."""

    wait: float
    probe: float
    status_write: float
    slice: float
    publish: float
    swap: float
    first_request: float

    @property
    def total(self) -> float:
        return sum(self[1:])


async def update_of(worker: Path, pod_uid: str, since: float) -> dict[str, Any]:
    """The first update after `since` that made the pod's endpoint ready, as the worker says at `/updates`."""
    reader, writer = await asyncio.open_unix_connection(str(worker))
    writer.write(b"GET /updates HTTP/1.0\r\n\r\n")
    _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    for line in body.splitlines():
        update: dict[str, Any] = json.loads(line)
        if update["applied_at"] > since and any(name.endswith(f"|{pod_uid}") for name in update["endpoints"]):
            return update
    raise SystemExit("the worker does not know of an update that a request has gone by")


async def flip(pod: dict[str, Any], address: tuple[str, int], worker: Path, flips: int) -> list[Flip]:
    """The steps of each flip of one pod."""
    asker = Asker(address, f"{pod['metadata']['name']}.local")
    found: list[Flip] = []
    async with aiohttp.ClientSession(f"http://{pod['status']['podIP']}:8080") as direct:
        for _ in range(flips):
            await (await direct.post("/ready")).read()
            await asker.until(True)
            times = json.loads(await (await direct.get("/times")).text())
            said, closed = times["said_ready"], times["probe_closed"]
            update = await update_of(worker, pod["metadata"]["uid"], said)
            marks = [times["flipped"], said, closed, update["triggered_at"], update["published_at"]]
            marks += [update["received_at"], update["applied_at"], times["first_request"]]
            found.append(Flip(*(after - before for before, after in pairwise(marks))))
            await (await direct.post("/unready")).read()
            await asker.until(False)
    return found


async def measure(cluster: Cluster, flips: int) -> list[Figure]:
    url = urlsplit(cluster.status()["ingress"]["http"])
    address = (str(url.hostname), int(url.port or 80))
    async with Api.from_kubeconfig(cluster.kubeconfig) as api, asyncio.timeout(FLIP_MAX_S):
        pods: list[dict[str, Any]] = []
        while len(pods) < PODS:
            pods = [pod for pod in (await api.list("Pod", NAMESPACE))["items"] if pod["status"]["phase"] == "Running"]
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # the pods' servers begin
    worker = next(cluster.folder.rglob("worker-0.sock"))
    rows = await asyncio.gather(*(flip(pod, address, worker, -(-flips // PODS)) for pod in pods))
    return figures_of([each for found in rows for each in found])


def figures_of(flips: list[Flip]) -> list[Figure]:
    """The total and each step's part of it: p50, p99, and its share of all time together."""
    note = f"{len(flips)} flips, {PODS} at a time"
    totals = [each.total * 1000 for each in flips]
    figures = [
        Figure("probe's answer to first request, p50", percentile(totals, 0.5), "ms", note=note),
        Figure("probe's answer to first request, p99", percentile(totals, 0.99), "ms", GOAL_P99_MS),
    ]
    for column, name in enumerate(Flip._fields):
        values = [each[column] * 1000 for each in flips]
        if name == "wait":
            figures.append(Figure("(before: wait for the next probe, p50)", percentile(values, 0.5), "ms"))
            continue
        step = f"  {name.replace('_', ' ')}"
        figures.append(Figure(f"{step}, p50", percentile(values, 0.5), "ms"))
        figures.append(Figure(f"{step}, p99", percentile(values, 0.99), "ms"))
        figures.append(Figure(f"{step}, share", 100 * sum(values) / sum(totals), "%"))
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
