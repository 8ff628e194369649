"""Pods started per second: a Deployment of many pause containers, from its creation to all ready.

python -m bench.limits.pods [--pods 50] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from bench.lab.api import Api
from bench.limits.cluster import Cluster, Figure, show

READY_MAX_S = 120.0


def deployment(pods: int) -> dict[str, Any]:
    labels = {"app": "many"}
    spec = {
        "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10"}],
        "terminationGracePeriodSeconds": 0,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "many", "namespace": "default"},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


async def measure(cluster: Cluster, pods: int) -> list[Figure]:
    async with Api.from_kubeconfig(cluster.kubeconfig) as api:
        begin = time.monotonic()
        await api.apply(deployment(pods))
        first_s = 0.0
        while True:
            status = (await api.get("Deployment", "default", "many")).get("status", {})
            ready = status.get("readyReplicas", 0)
            if ready and not first_s:
                first_s = time.monotonic() - begin
            if ready == pods:
                break
            if time.monotonic() - begin > READY_MAX_S:
                raise SystemExit(f"{ready} of {pods} pods ready after {READY_MAX_S:.0f} s")
            await asyncio.sleep(0.01)
        span = time.monotonic() - begin
    return [
        Figure("first pod ready", first_s, "s"),
        Figure(f"{pods} pods ready", span, "s"),
        Figure("pods started", pods / span, "/s", more_is_better=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--json")
    options = parser.parse_args()
    with Cluster() as cluster:
        figures = asyncio.run(measure(cluster, options.pods))
    show("Pods", figures, options.json)


if __name__ == "__main__":
    main()
