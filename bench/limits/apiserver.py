"""The API server's CPU per request, beside kube-apiserver 1.20 with etcd on this kind of machine.

    python -m bench.limits.apiserver [--requests 3000] [--json FILE]

32 connections, 2 KB ConfigMaps, TLS. What counts is the CPU time of the server's process (which holds the store too)
divided by the requests; the reference numbers were taken the same way, of both its processes together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from bench.lab.api import Api
from bench.limits.cluster import Cluster, Figure, show
from bench.machine import cpu_s

CONNECTIONS = 32
LISTED = 3300
REFERENCE_US = {"create": 793.0, "get": 343.0, "merge patch": 1080.0, "delete": 673.0}
REFERENCE_LIST_MS = 124.0
REFERENCE_SELECTED_LIST_MS = 52.0
REFERENCE_CREATES_PER_S = 1852.0
PATH = "/api/v1/namespaces/default/configmaps"
Call = tuple[str, str, Any, str]  # method, path, body, content type


def config_map(number: int) -> dict[str, Any]:
    """About 2 KB; a tenth of them carry the label tenth=yes."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"c-{number:05d}", "labels": {"tenth": "yes" if number % 10 == 0 else "no"}},
        "data": {f"key-{i}": "x" * 90 for i in range(20)},
    }


async def drive(session: aiohttp.ClientSession, server: str, calls: Iterable[Call]) -> int:
    """Performs the calls over CONNECTIONS connections; their number. Raises SystemExit for a failed one."""
    pending = iter(calls)
    done = 0

    async def one() -> None:
        nonlocal done
        for method, path, body, content_type in pending:
            data = None if body is None else json.dumps(body)
            headers = {"Content-Type": content_type} if data else {}
            async with session.request(method, server + path, data=data, headers=headers) as response:
                text = await response.read()
                if response.status >= 300:
                    raise SystemExit(f"{method} {path}: {response.status} {text[:200]!r}")
            done += 1

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return done


async def timed(pid: int, run: Callable[[], Any]) -> tuple[float, float, int]:
    """(CPU microseconds a request, wall seconds, requests)."""
    before, begin = cpu_s(pid), time.monotonic()
    number = await run()
    return (cpu_s(pid) - before) / number * 1e6, time.monotonic() - begin, number


async def measure(cluster: Cluster, requests: int) -> list[Figure]:
    pid = cluster.pid("control")
    server = cluster.status()["apiServer"]
    tls = Api.from_kubeconfig(cluster.kubeconfig).tls
    figures = []
    connector = aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        merge = "application/merge-patch+json"
        batches: dict[str, list[Call]] = {
            "create": [("POST", PATH, config_map(n), "application/json") for n in range(requests)],
            "get": [("GET", f"{PATH}/c-{n:05d}", None, "") for n in range(requests)],
            "merge patch": [("PATCH", f"{PATH}/c-{n:05d}", {"data": {"key-1": "y"}}, merge) for n in range(requests)],
        }
        for name, calls in batches.items():
            cpu_us, wall_s, number = await timed(pid, lambda calls=calls: drive(session, server, calls))  # type: ignore[misc]
            figures.append(Figure(f"{name}: CPU", cpu_us, "us", REFERENCE_US[name], note=f"{number / wall_s:.0f}/s"))
            if name == "create":
                rate = Figure("creates", number / wall_s, "/s", REFERENCE_CREATES_PER_S, more_is_better=True,
                              note="with this client on the other core")  # fmt: skip
        figures.append(rate)
        missing = [("POST", PATH, config_map(n), "application/json") for n in range(requests, LISTED)]
        await drive(session, server, missing)
        for name, query, goal in (
            (f"list of {max(requests, LISTED)}: CPU", "", REFERENCE_LIST_MS),
            ("list by a label that a tenth has: CPU", "?labelSelector=tenth=yes", REFERENCE_SELECTED_LIST_MS),
        ):
            lists: list[Call] = [("GET", PATH + query, None, "")] * 20
            cpu_us, _, _ = await timed(pid, lambda lists=lists: drive(session, server, lists))  # type: ignore[misc]
            figures.append(Figure(name, cpu_us / 1000, "ms", goal))
        gone: list[Call] = [("DELETE", f"{PATH}/c-{n:05d}", None, "") for n in range(requests)]
        cpu_us, wall_s, number = await timed(pid, lambda: drive(session, server, gone))
        figures.append(Figure("delete: CPU", cpu_us, "us", REFERENCE_US["delete"], note=f"{number / wall_s:.0f}/s"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--json")
    options = parser.parse_args()
    with Cluster() as cluster:
        figures = asyncio.run(measure(cluster, options.requests))
    show("API server (goals: kube-apiserver 1.20 with etcd)", figures, options.json)


if __name__ == "__main__":
    main()
