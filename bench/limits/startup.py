"""Time from `loopkube up` to a ready API, and to a first 200 through the Ingress with three pods.

    python -m bench.limits.startup [--rounds 5] [--json FILE]

Both clocks start before the command line does. The first up of a folder is measured, keys and certificates included.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import time
from urllib.parse import urlsplit

from bench.lab.scenario import HOST, workload
from bench.limits.cluster import Cluster, Figure, show, wait_for

API_GOAL_S = 1.0
FIRST_200_GOAL_S = 2.0


def first_200(cluster: Cluster) -> float:
    """Seconds from `up` until a request through the Ingress is answered with 200."""
    address = urlsplit(cluster.status()["ingress"]["http"])

    def answered() -> bool:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": HOST})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    wait_for("a first 200", answered)
    return time.monotonic() - cluster.started_at


def measure(rounds: int) -> list[Figure]:
    api: list[float] = []
    served: list[float] = []
    for _ in range(rounds):
        with Cluster() as cluster:
            api.append(time.monotonic() - cluster.started_at)
        with Cluster(manifest=workload("bench", "v1", 3)) as cluster:
            served.append(first_200(cluster))
    return [
        Figure("`up --detach` returns, everything ready (median)", statistics.median(api), "s", API_GOAL_S),
        Figure("  slowest of the rounds", max(api), "s"),
        Figure("`up -f app` to the first 200, 3 pods (median)", statistics.median(served), "s", FIRST_200_GOAL_S),
        Figure("  slowest of the rounds", max(served), "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    show("Start-up", measure(options.rounds), options.json)


if __name__ == "__main__":
    main()
