"""10,000 endpoints in 1,000 Services: a worker's memory, its first state, and one endpoint's change in force.

    python -m bench.limits.endpoints [--services 1000] [--each 10] [--changes 200] [--alone] [--json FILE]

A worker by itself is told a state of so many Services, each with its listener and an Ingress route, and then changes
of single endpoints, one update each. Its own log (`/updates` of the admin endpoint) says when an update's bytes were
there and when it was in force; between the two is everything that the worker does for it. A full update is sent twice:
the second time it is what a restarted control sends, and changes nothing.

    flip           one endpoint of ten is ready no more, or again
    replacement    one endpoint goes and another comes: a step of a rolling update
    first, last    the only endpoint that was left goes or comes back: the listener closes and opens its socket

Memory is PSS, less that of the worker with an empty state. Then, unless `--alone`, the same size in a whole cluster:
Services, EndpointSlices written by hand and Ingresses through the API, and one slice's flip followed through
(`slice`: from the request that writes it to the publisher's taking it up, `publish`: until its bytes are with the
worker, `swap`: until it is in force).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.lab.api import Api
from bench.lab.stats import percentile
from bench.limits.cluster import Cluster, Figure, show
from bench.machine import pss_bytes
from bench.peers.processes import process, unused_port
from bench.publisher import Publisher, Upsert

GOAL_MS = 1.0  # "one endpoint's flip applied in under 1 ms"
PORT = 8080
SEED = 1
TO_AND_FRO = (False, True)
TOGETHER = 16  # requests to the API at a time, while the objects are made
NAMESPACE = "many"
FLIPS_OF_A_SLICE = 100


def address(second: int, number: int) -> str:
    """The number-th address of 127.<second>.0.0/16; these ranges are far from those of clusters."""
    return f"127.{second}.{number // 250}.{number % 250 + 1}"


def endpoint(service: int, number: int, *, ready: bool = True) -> Upsert:
    where = {"address": address(130 + number % 100, service), "port": PORT, "node": f"node-{number % 3}"}
    spec = {"backend": backend(service), "id": f"{service:08d}-0000-4000-8000-{number:012d}", **where}
    return "endpoint", {**spec, "ready": ready, "serving": ready, "terminating": False, "target": f"many/p{number}"}


def backend(service: int) -> str:
    return f"many/service-{service}:80"


def state(services: int, each: int) -> Iterator[Upsert]:
    """Services with their listeners, routes and endpoints."""
    web = {"name": "web", "address": "127.0.0.1", "port": unused_port(), "mode": "ingress", "table": "t"}
    yield "listener", web
    for service in range(services):
        name = backend(service)
        where = {"address": address(120, service), "port": PORT}
        yield "listener", {"name": name, **where, "mode": "tcp", "backend": name}
        yield "backend", {"name": name}
        host = {"host": f"service-{service}.test", "path": "/", "path_type": "Prefix"}
        order = ["2026-01-01T00:00:00Z", f"many/service-{service}", 0]
        yield "route", {"name": f"r{service}", "table": "t", **host, "backend": name, "order": order}
        for number in range(each):
            yield endpoint(service, number)


class Worker:
    """What a worker says about its updates."""

    def __init__(self, admin_port: int) -> None:
        self._url = f"http://127.0.0.1:{admin_port}/updates"

    def updates(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(self._url) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def took_ms(self, versions: Iterable[int]) -> list[float]:
        """From bytes received to in force, for each of these updates."""
        found = {one["version"]: one for one in self.updates()}
        return [(found[version]["applied_at"] - found[version]["received_at"]) * 1e3 for version in versions]


def alone(services: int, each: int, changes: int) -> list[Figure]:
    """A worker and a publisher of our own."""
    with tempfile.TemporaryDirectory(prefix="loopkube-endpoints-") as folder:
        path, admin_port = Path(folder) / "publish.sock", unused_port()
        command = [sys.executable, "-m", "dataplane.worker", "--feed", str(path), "--admin-port", str(admin_port)]
        with Publisher(path) as publisher, process([*command, "--log-level", "error"], admin_port) as pid:
            worker = Worker(admin_port)
            publisher.accept()
            publisher.tell(full=True)
            time.sleep(0.5)  # what start-up set in motion comes to rest
            before = pss_bytes(pid)
            resources = list(state(services, each))
            (first,) = worker.took_ms([publisher.tell(resources, full=True)])
            used = pss_bytes(pid) - before
            (again,) = worker.took_ms([publisher.tell(resources, full=True)])
            figures = [
                Figure("memory of the state", used / 1e6, "MB"),
                Figure("  of an endpoint and its share of the rest", used / 1024 / (services * each), "KiB"),
                Figure("the whole state decoded and in force", first, "ms"),
                Figure("  the same once more, nothing changed", again, "ms"),
            ]
            for name, goal, versions in single_changes(publisher, services, each, changes):
                took = worker.took_ms(versions)
                figures.append(Figure(f"{name}, p50", percentile(took, 0.5), "ms", goal))
                figures.append(Figure(f"{name}, p99", percentile(took, 0.99), "ms", goal))
            return figures


def single_changes(
    publisher: Publisher, services: int, each: int, changes: int
) -> Iterator[tuple[str, float | None, list[int]]]:
    """(what, its goal, the versions of the updates): the worker is as it was after each."""
    rng = random.Random(SEED)
    chosen = [(rng.randrange(services), rng.randrange(each)) for _ in range(changes // 2)]
    flips = [
        publisher.tell([endpoint(service, number, ready=ready)])
        for service, number in chosen
        for ready in (False, True)
    ]
    yield "an endpoint's flip", GOAL_MS, flips
    replaced = []
    for service, number in chosen:
        for gone, new in ((number, number + each), (number + each, number)):
            old = endpoint(service, gone)[1]
            key = ("endpoint", f"{old['backend']}|{old['id']}")
            replaced.append(publisher.tell([endpoint(service, new)], [key]))
    yield "an endpoint's replacement", GOAL_MS, replaced
    publisher.tell([endpoint(0, number, ready=False) for number in range(1, each)])
    flips = [publisher.tell([endpoint(0, 0, ready=ready)]) for _ in range(changes // 2) for ready in TO_AND_FRO]
    yield "the last endpoint goes, the first comes", None, flips


def objects(service: int, each: int) -> list[tuple[str, dict[str, Any]]]:
    """One Service without selector, its slice and its Ingress: (path of the collection, object)."""
    meta = {"name": f"service-{service}", "namespace": NAMESPACE}
    ports = [{"name": "http", "port": PORT, "protocol": "TCP"}]
    slice_meta = {**meta, "labels": {"kubernetes.io/service-name": meta["name"]}}
    path = {"path": "/", "pathType": "Prefix"}
    path["backend"] = {"service": {"name": meta["name"], "port": {"number": PORT}}}  # type: ignore[assignment]
    rule = {"host": f"service-{service}.test", "http": {"paths": [path]}}
    base = f"namespaces/{NAMESPACE}"
    return [
        (f"/api/v1/{base}/services", {"metadata": meta, "spec": {"ports": ports}}),
        (
            f"/apis/discovery.k8s.io/v1/{base}/endpointslices",
            {
                "metadata": slice_meta,
                "addressType": "IPv4",
                "ports": ports,
                "endpoints": slice_endpoints(service, each),
            },
        ),
        (f"/apis/networking.k8s.io/v1/{base}/ingresses", {"metadata": meta, "spec": {"rules": [rule]}}),
    ]


def slice_endpoints(service: int, each: int, unready: int = -1) -> list[dict[str, Any]]:
    return [
        {"addresses": [address(130 + number % 100, service)], "conditions": {"ready": number != unready}}
        for number in range(each)
    ]


async def in_cluster(cluster: Cluster, services: int, each: int) -> list[Figure]:
    """One slice's flip, from the API to the worker."""
    admin = next(cluster.folder.rglob("worker-0.sock"))
    turn = asyncio.Semaphore(TOGETHER)
    async with Api.from_kubeconfig(cluster.kubeconfig) as api:

        async def create(path: str, body: dict[str, Any]) -> None:
            async with turn:
                await api.request("POST", path, body)

        await create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for kind in range(3):
            await asyncio.gather(*(create(*objects(service, each)[kind]) for service in range(services)))
        await asyncio.sleep(2)  # what that set in motion comes to rest
        steps: list[tuple[float, float, float]] = []
        for service in random.Random(SEED).sample(range(services), min(services, FLIPS_OF_A_SLICE)):
            began = time.time()
            patch = {"endpoints": slice_endpoints(service, each, unready=0)}
            await api.merge("EndpointSlice", NAMESPACE, f"service-{service}", patch)
            steps.append(await step_of(admin, began))
    return [
        figure
        for column, name in enumerate(("slice", "publish", "swap"))
        for figure in _quantiles(f"in a cluster, {name}", [step[column] * 1e3 for step in steps])
    ]


async def step_of(admin: Path, since: float) -> tuple[float, float, float]:
    """(slice, publish, swap) of the first update that was published after `since`."""
    async with asyncio.timeout(10):
        while True:
            reader, writer = await asyncio.open_unix_connection(str(admin))
            writer.write(b"GET /updates HTTP/1.0\r\n\r\n")
            _, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
            for line in body.splitlines():
                one = json.loads(line)
                if one["published_at"] > since:
                    marks = since, one["published_at"], one["received_at"], one["applied_at"]
                    return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2]
            await asyncio.sleep(0.002)


def _quantiles(name: str, values: list[float]) -> list[Figure]:
    return [Figure(f"{name}, p{round(share * 100)}", percentile(values, share), "ms") for share in (0.5, 0.99)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Many endpoints.")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--each", type=int, default=10, help="endpoints of each Service")
    parser.add_argument("--changes", type=int, default=200, help="of each kind; the worker remembers 256")
    parser.add_argument("--alone", action="store_true", help="without the cluster")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures = alone(options.services, options.each, options.changes)
    if not options.alone:
        with Cluster("--workers", "1") as cluster:
            figures += asyncio.run(in_cluster(cluster, options.services, options.each))
    show(f"{options.services * options.each} endpoints in {options.services} Services", figures, options.json)


if __name__ == "__main__":
    main()
