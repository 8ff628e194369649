"""Memory of all of loopkube's own processes together, and what an idle cluster costs.

    python -m bench.limits.footprint [--seconds 20] [--json FILE]

PSS counts a shared page once over all that share it, so the sum is what the machine really spends. Pods are not
counted, but three of them run: an idle cluster with probes to answer is the usual one.
"""

from __future__ import annotations

import argparse
import time

from bench.lab.scenario import workload
from bench.limits.cluster import Cluster, Figure, show
from bench.limits.startup import first_200
from bench.machine import cpu_s

MEMORY_GOAL_MB = 150.0
IDLE_GOAL_PERCENT = 1.0


def measure(seconds: float) -> list[Figure]:
    figures = []
    with Cluster(manifest=workload("bench", "v1", 3)) as cluster:
        first_200(cluster)
        time.sleep(3)  # what start-up set in motion comes to rest
        processes = cluster.status()["processes"]
        before = {p["pid"]: cpu_s(p["pid"]) for p in processes}
        begin = time.monotonic()
        time.sleep(seconds)
        span = time.monotonic() - begin
        used = {p["pid"]: cpu_s(p["pid"]) - before[p["pid"]] for p in processes}
        processes = cluster.status()["processes"]
        for process in processes:
            share = used[process["pid"]] / span * 100
            note = f"idle CPU {share:.2f} %"
            figures.append(Figure(f"PSS of {process['name']}", process["pssBytes"] / 1e6, "MB", note=note))
        total = sum(p["pssBytes"] for p in processes) / 1e6
        figures.append(Figure("PSS of all together", total, "MB", MEMORY_GOAL_MB))
        idle = sum(used.values()) / span * 100
        figures.append(Figure("idle CPU, 3 pods probed each second", idle, "% core", IDLE_GOAL_PERCENT))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json")
    options = parser.parse_args()
    show("Footprint", measure(options.seconds), options.json)


if __name__ == "__main__":
    main()
