"""How far the control plane goes when pods cost nothing: Deployments and bare pods on simulated nodes.

    python -m bench.limits.simulated [--deployments 1000] [--pods 10000] [--nodes 10] [--json FILE]

Two clusters, one after the other. In the first, Deployments of five pods each become ready; then the cluster rests
and its idle CPU is taken. In the second, bare pods are created by some clients at once until all are Running and Ready
(10,000 in under 60 s is the bar that kwok's own benchmark sets itself). CPU and memory (PSS) are read from /proc for
every process of loopkube; who creates and watches is this process, and its CPU is not counted but shown.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bench.lab.api import Api
from bench.limits.cluster import Cluster, Figure, show
from bench.machine import cpu_s

Object = dict[str, Any]

REPLICAS = 5
CLIENTS = 16  # requests under way
READY_MAX_S = 600.0
DEPLOYMENTS_GOAL_S = (
    120.0  # our own: 1,000 Deployments of 5 pods; kube-controller-manager creates 20 writes/s by default
)
PODS_GOAL_S = 60.0  # kwok's own benchmark: 10,000 pods
IDLE_GOAL_PERCENT = 2.0
SETTLE_S = 10.0  # what the last pods set in motion comes to rest
PLACED: Object = {
    "nodeSelector": {"loopkube.io/simulated": "true"},
    "tolerations": [{"key": "loopkube.io/simulated", "operator": "Exists"}],
    "containers": [{"name": "c", "image": "example.com/simulated"}],
}


def deployment(place: int) -> Object:
    name = f"d{place:05d}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": PLACED},
        },
    }


def pod(place: int) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{place:05d}"}, "spec": PLACED}


async def side_by_side(work: Iterable[Awaitable[Any]]) -> None:
    """Some of the work at a time."""
    left = iter(work)

    async def client() -> None:
        for each in left:
            await each

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def count_ready(api: Api, kind: str, wanted: int, is_ready: Callable[[Object], bool]) -> None:
    """Watches until so many are ready."""
    ready: set[str] = set()
    async for event in api.watch(kind, "default", "0"):
        if event["type"] in ("ADDED", "MODIFIED") and is_ready(event["object"]):
            ready.add(event["object"]["metadata"]["name"])
            if len(ready) == wanted:
                return


def is_available(found: Object) -> bool:
    return bool(found.get("status", {}).get("readyReplicas") == REPLICAS)


def is_running(found: Object) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


class Meter:
    """CPU seconds of the cluster's processes from its making on."""

    def __init__(self, cluster: Cluster) -> None:
        self.pids = {p["name"]: int(p["pid"]) for p in cluster.status()["processes"]}
        self.before = self.read()
        self.begin = time.monotonic()

    def read(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self.pids.items()}

    def used(self) -> dict[str, float]:
        return {name: now - self.before[name] for name, now in self.read().items()}


def memory_mb(cluster: Cluster) -> dict[str, float]:
    return {p["name"]: p["pssBytes"] / 1e6 for p in cluster.status()["processes"]}


async def reconciles(cluster: Cluster) -> float:
    """How often control's controllers have decided so far."""
    async with Api.from_kubeconfig(cluster.kubeconfig) as api:
        text = await api.text("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("loopkube_reconciles_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def timed(cluster: Cluster, kind: str, objects: list[Object], is_ready: Callable[[Object], bool]) -> float:
    """Creates them all; returns the seconds until every one is ready."""
    path = {
        "Deployment": "/apis/apps/v1/namespaces/default/deployments",
        "Pod": "/api/v1/namespaces/default/pods",
    }[kind]
    async with Api.from_kubeconfig(cluster.kubeconfig) as api:
        watching = asyncio.ensure_future(count_ready(api, kind, len(objects), is_ready))
        begin = time.monotonic()
        await side_by_side(api.request("POST", path, each) for each in objects)
        created_s = time.monotonic() - begin
        try:
            async with asyncio.timeout(READY_MAX_S):
                await watching
        except TimeoutError:
            raise SystemExit(f"not all of {len(objects)} {kind}s were ready after {READY_MAX_S:.0f} s") from None
        print(f"  {len(objects)} {kind}s created in {created_s:.1f} s")
        return time.monotonic() - begin


def costs(what: str, meter: Meter, cluster: Cluster) -> list[Figure]:
    used, memory = meter.used(), memory_mb(cluster)
    found = [Figure(f"{what}: CPU of {name}", used[name], "s") for name in ("control", "node")]
    found += [Figure(f"{what}: PSS of {name}", memory[name], "MB") for name in ("control", "node")]
    return [*found, Figure(f"{what}: PSS of all together", sum(memory.values()), "MB")]


def idle_percent(cluster: Cluster, seconds: float) -> tuple[float, str]:
    time.sleep(SETTLE_S)
    meter = Meter(cluster)
    time.sleep(seconds)
    span = time.monotonic() - meter.begin
    shares = {name: used / span * 100 for name, used in meter.used().items()}
    return sum(shares.values()), ", ".join(f"{name} {share:.2f}" for name, share in shares.items() if share >= 0.01)


def measure_deployments(count: int, nodes: int, seconds: float) -> list[Figure]:
    with Cluster("--simulated-nodes", str(nodes)) as cluster:
        meter = Meter(cluster)
        objects = [deployment(place) for place in range(count)]
        what = f"{count} Deployments of {REPLICAS}"
        span_s = asyncio.run(timed(cluster, "Deployment", objects, is_available))
        goal = DEPLOYMENTS_GOAL_S * count / 1000
        figures = [
            Figure(f"{what}: all ready", span_s, "s", goal),
            Figure(f"{what}: pods ready", count * REPLICAS / span_s, "/s", more_is_better=True),
            Figure(f"{what}: reconciles", asyncio.run(reconciles(cluster)) / span_s, "/s", more_is_better=True),
            *costs(what, meter, cluster),
        ]
        percent, note = idle_percent(cluster, seconds)
        return [*figures, Figure(f"{what}: idle CPU afterwards", percent, "% core", IDLE_GOAL_PERCENT, note=note)]


def measure_pods(count: int, nodes: int) -> list[Figure]:
    with Cluster("--simulated-nodes", str(nodes)) as cluster:
        meter = Meter(cluster)
        span_s = asyncio.run(timed(cluster, "Pod", [pod(place) for place in range(count)], is_running))
        what = f"{count} pods on {nodes} nodes"
        return [
            Figure(f"{what}: all Running and Ready", span_s, "s", PODS_GOAL_S * count / 10_000),
            Figure(f"{what}: pods ready", count / span_s, "/s", more_is_better=True),
            Figure(f"{what}: reconciles", asyncio.run(reconciles(cluster)) / span_s, "/s", more_is_better=True),
            *costs(what, meter, cluster),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--json")
    options = parser.parse_args()
    figures: list[Figure] = []
    if options.deployments:
        figures += measure_deployments(options.deployments, options.nodes, options.idle_seconds)
    if options.pods:
        figures += measure_pods(options.pods, options.nodes)
    show("Simulated pods", figures, options.json)


if __name__ == "__main__":
    main()
