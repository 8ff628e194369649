"""The demonstration: roll a Deployment to its next version, kill one of its pods, flap another's readiness, under load.

Only sockets and the Kubernetes API are used, so it runs against anything that serves both. Two things need the
machine itself and are given by the caller: `kill` (a pod's process, with SIGKILL) and the flow records of the data
plane.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.lab.api import Api, ApiError
from bench.lab.experiment import Result, Step, conclude
from bench.lab.sampler import Load, Sampler
from bench.lab.timeline import Timeline, is_ready

Say = Callable[[str], None]
NAME = "echo"
HOST = "echo.local"
PORT = 8080
SETTLE_S = 1.0  # after each step, so that its losses are its own
FLAP_S = 1.5
READY_MAX_S = 60.0
LABELS = {"app": NAME}
_FAILURES = b"&".join(
    b"outcome=" + outcome
    for outcome in (b"refused", b"reset", b"timeout", b"no_endpoint", b"no_route", b"bad_response", b"overload")
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the experiment runs. `workers` are the admin sockets of the data plane's workers."""

    kubeconfig: Path
    http_host: str
    http_port: int
    kill: Callable[[str], Awaitable[None]]
    workers: Sequence[Path] = ()
    namespace: str = "demo"


def workload(namespace: str, version: str, replicas: int) -> list[dict[str, Any]]:
    """Namespace, Deployment, Service and Ingress of the demonstration: a rollout that should lose nothing.

    Readiness gates new pods, maxUnavailable 0 keeps the old ones until then, the preStop sleep keeps an old pod
    serving until everybody knows that it goes, and echo finishes what it has when SIGTERM comes.
    """
    probe = {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1, "failureThreshold": 1}
    container = {
        "name": NAME,
        "image": f"loopkube/echo:{version}",
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": probe,
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    meta = {"name": NAME, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": LABELS},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {"terminationGracePeriodSeconds": 10, "containers": [container]},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": LABELS, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": {
                "rules": [
                    {
                        "host": HOST,
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": NAME, "port": {"name": "http"}}},
                                }
                            ]
                        },
                    }
                ]
            },
        },
    ]


@dataclass(slots=True)
class Run:
    """One run of the demonstration; `steps` and `timeline` fill as it goes."""

    api: Api
    target: Target
    say: Say
    replicas: int
    timeline: Timeline = field(default_factory=Timeline)
    flows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    async def perform(self, name: str, said: str, action: Callable[[], Awaitable[str]]) -> None:
        """Does `action`, lets its effects settle, and books it all as one step."""
        self.say(f"{name}: {said}")
        begin = self.steps[-1].end if self.steps else time.time()
        outcome = await action()
        await asyncio.sleep(SETTLE_S)
        self.steps.append(Step(name, begin, time.time(), outcome))

    async def pods(self) -> list[dict[str, Any]]:
        """The workload's pods that are not on their way out, by name."""
        found = await self.api.list("Pod", self.target.namespace, f"app={NAME}")
        alive = [pod for pod in found["items"] if not pod["metadata"].get("deletionTimestamp")]
        return sorted(alive, key=lambda pod: str(pod["metadata"]["name"]))

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits for a condition; raises TimeoutError that names it."""
        deadline = time.monotonic() + READY_MAX_S
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {READY_MAX_S:.0f} s")
            await asyncio.sleep(0.02)

    async def rolled_out(self) -> bool:
        deployment = await self.api.get("Deployment", self.target.namespace, NAME)
        status = deployment.get("status", {})
        if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
            return False
        counts = (status.get("updatedReplicas"), status.get("availableReplicas"), status.get("replicas"))
        return counts == (self.replicas,) * 3

    async def served(self) -> bool:
        """Whether a request through the Ingress is answered."""
        url = f"http://{self.target.http_host}:{self.target.http_port}/"
        try:
            async with aiohttp.ClientSession() as session, session.get(url, headers={"Host": HOST}) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def roll(self, version: str) -> str:
        begin = time.monotonic()
        template = {"spec": {"containers": [{"name": NAME, "image": f"loopkube/echo:{version}"}]}}
        patch = {"spec": {"template": template}}
        await self.api.merge("Deployment", self.target.namespace, NAME, patch, "strategic-merge")
        await self.until("the rollout", self.rolled_out)

        async def old_ones_gone() -> bool:
            found = await self.api.list("Pod", self.target.namespace, f"app={NAME}")
            return len(found["items"]) == self.replicas

        await self.until("the old pods' end", old_ones_gone)
        return f"{self.replicas} pods replaced in {time.monotonic() - begin:.1f} s"

    async def kill(self) -> str:
        pod = (await self.pods())[0]
        name = str(pod["metadata"]["name"])
        restarts = _restarts(pod)
        begin = time.monotonic()
        await self.target.kill(name)

        async def back() -> bool:
            now = await self.api.get("Pod", self.target.namespace, name)
            return _restarts(now) > restarts and is_ready(now)

        await self.until(f"{name} to be ready again", back)
        return f"{name} killed with SIGKILL, ready again after {time.monotonic() - begin:.1f} s"

    async def flap(self) -> str:
        pod = (await self.pods())[-1]
        name = str(pod["metadata"]["name"])
        url = f"http://{pod['status']['podIP']}:{PORT}/control"

        async def readiness(wanted: bool) -> None:
            async with aiohttp.ClientSession() as session:
                await session.post(url, json={"ready": wanted})

            async def seen() -> bool:
                return is_ready(await self.api.get("Pod", self.target.namespace, name)) is wanted

            await self.until(f"{name} to be {'ready' if wanted else 'not ready'}", seen)

        await readiness(False)
        await asyncio.sleep(FLAP_S)
        await readiness(True)
        return f"{name} said not ready, and ready again after {FLAP_S:.1f} s"

    async def watch_pods(self) -> None:
        found = await self.api.list("Pod", self.target.namespace, f"app={NAME}")
        version = found["metadata"]["resourceVersion"]
        for pod in found["items"]:
            self.timeline.observe({"type": "ADDED", "object": pod}, time.time())
        async for event in self.api.watch("Pod", self.target.namespace, version, f"app={NAME}"):
            self.timeline.observe(event, time.time())

    async def follow_flows(self, worker: Path) -> None:
        async for flow in failed_flows(worker):
            self.flows.append(flow)


def _restarts(pod: dict[str, Any]) -> int:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return sum(int(status.get("restartCount", 0)) for status in statuses)


def warnings(events: dict[str, Any]) -> list[str]:
    """The Warning events of the workload, joined: what the cluster itself complained of."""
    counts: dict[str, int] = {}
    for event in events["items"]:
        if event.get("type") == "Warning":
            text = f"{event['reason']}: {event['message'].splitlines()[0]}"
            counts[text] = counts.get(text, 0) + int(event.get("count") or 1)
    return [f"{number} × {text}" for text, number in sorted(counts.items())]


async def failed_flows(worker: Path) -> AsyncIterator[dict[str, Any]]:
    """Flow records of a worker whose requests were lost on their way, as they happen."""
    reader, writer = await asyncio.open_unix_connection(str(worker))
    writer.write(b"GET /flows?follow=1&" + _FAILURES + b" HTTP/1.0\r\n\r\n")
    try:
        while (await reader.readline()).strip():
            pass  # the response's head
        while line := await reader.readline():
            yield json.loads(line)
    finally:
        writer.close()


async def demonstrate(target: Target, rate: float, seconds: float, say: Say, replicas: int = 3) -> Result:
    """Runs it all; raises ApiError, TimeoutError or OSError when the cluster does not play its part."""
    async with Api.from_kubeconfig(target.kubeconfig) as api:
        run = Run(api, target, say, replicas)
        for obj in workload(target.namespace, "v1", replicas):
            await api.apply(obj)
        say(f"{replicas} pods of loopkube/echo:v1 behind an Ingress for {HOST}")
        await run.until("the Deployment", run.rolled_out)
        await run.until("the Ingress", run.served)
        sampler = Sampler(Load(target.http_host, target.http_port, HOST, rate=rate))
        background = [asyncio.create_task(run.watch_pods())]
        background += [asyncio.create_task(run.follow_flows(worker)) for worker in target.workers]
        load = asyncio.create_task(sampler.run())
        begin = time.time()
        try:
            quiet_s = max(seconds * 0.1, 1.0)

            async def nothing() -> str:
                await asyncio.sleep(quiet_s)
                return "nothing happens"

            await run.perform("baseline", f"{rate:g} requests/s, half of them over new connections", nothing)
            await run.perform("rolling update", "v1 -> v2", lambda: run.roll("v2"))
            await run.perform("kill -9", "one pod's process", run.kill)
            await run.perform("flapping readiness", "one pod's probe fails for a while", run.flap)
            quiet_s = max(seconds - (time.time() - begin) - SETTLE_S, 0.0)
            await run.perform("afterwards", "nothing more", nothing)
        finally:
            sampler.stop()
            await load
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
        notes = warnings(await api.list("Event", target.namespace))
        lives = sorted(run.timeline.lives.values(), key=lambda life: life.phases[0][0] if life.phases else 0.0)
        return conclude("demo", rate, run.steps, sampler.samples, run.flows, lives, sampler.late_max_s, notes)


__all__ = ["ApiError", "Target", "demonstrate"]
