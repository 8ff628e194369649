"""A node agent on a virtual clock: the real API server over an empty store in memory, and processes that are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import cast

from control.api.kinds import EVENT, POD, Kind
from control.api.objects import Object, status_of
from control.api.status import StatusError
from control.apiserver.auth import Authenticator
from control.apiserver.local import LocalClient
from control.apiserver.server import ApiServer
from control.config.clock import Clock
from control.kubelet.agent import Agent
from control.kubelet.knobs import FAST, Knobs
from control.kubelet.network.loopback import Loopback
from control.kubelet.nodes import NodeIdentity
from control.store.store import Store
from tests.fakes.process_host import FakeHost
from tests.fakes.virtual_loop import EPOCH, VirtualLoop

NODE = NodeIdentity("loopkube-0", "127.245.0.1", "127.244.0.0/24")


class Lab:
    """`start` makes an agent; `crash` loses it, as kill -9 would; processes and API stay.

    Time begins at `EPOCH`; `scale` makes cluster time faster than the loop's, which is the machine's.
    """

    client: LocalClient
    agent: Agent

    def __init__(self, folder: Path, knobs: Knobs = FAST, scale: float = 1.0) -> None:
        self.folder, self.knobs = folder, knobs
        self.loop = cast(VirtualLoop, asyncio.get_running_loop())
        self.clock = Clock(scale, EPOCH.timestamp(), EPOCH.timestamp(), self.loop.clock)
        self.host = FakeHost(lambda: self.loop.clock().timestamp())
        self.server = ApiServer(
            Store.open(None),
            auth=Authenticator(signing_key=b"k" * 32),
            service_cidr="127.96.0.0/16",
            clock=self.clock.now,
            rng=Random(1),
        )
        self.running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self.running is None and not hasattr(self, "client"):
            await self.server.prepare("127.0.0.1", 6443)
            self.client = self.server.client()
        self.agent = Agent(
            self.client,
            self.host,
            nodes=[NODE],
            data_dir=self.folder,
            run_socket=None,
            network=Loopback([(NODE.name, NODE.pod_cidr)]),
            simulated_cidr="127.128.0.0/13",
            knobs=self.knobs,
            clock=self.clock,
            rng=Random(1),
        )
        self.running = asyncio.ensure_future(self.agent.run())
        await self.agent.adopted.wait()

    async def crash(self) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def create(self, pod: Object) -> Object:
        metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
        return await self.client.create(POD, {**pod, "metadata": metadata})

    async def pod(self, name: str = "p") -> Object | None:
        return await self.find(POD, name)

    async def find(self, kind: Kind, name: str, namespace: str = "default") -> Object | None:
        try:
            return await self.client.get(kind, namespace, name)
        except StatusError:
            return None

    async def until(self, holds: Callable[[Object], bool], name: str = "p", within_s: float = 120.0) -> Object:
        """The pod, once `holds`; time passes in steps of ten milliseconds."""
        deadline = self.loop.time() + within_s
        while True:
            found = await self.pod(name)
            if found is not None and holds(found):
                return found
            assert self.loop.time() < deadline, f"it does not happen: {status_of(found or {})}"
            await asyncio.sleep(0.01)

    async def elapse(self, seconds: float) -> None:
        """Virtual time passes."""
        await asyncio.sleep(seconds)

    async def gone(self, name: str = "p", within_s: float = 120.0) -> float:
        """Waits for the pod's end; returns how long that took."""
        began = self.loop.time()
        while await self.pod(name) is not None:
            assert self.loop.time() < began + within_s, f"still there: {status_of(await self.pod(name) or {})}"
            await asyncio.sleep(0.01)
        return self.loop.time() - began

    async def events(self) -> list[tuple[str, str]]:
        """(reason, message) of all events so far, oldest first."""
        for recorder in self.agent.ward.recorders.values():
            await recorder.settled()
        found = (await self.client.list(EVENT, "default")).items
        ordered = sorted(found, key=lambda event: event["metadata"]["name"].rpartition(".")[2])
        return [(event["reason"], event["message"]) for event in ordered if event["involvedObject"]["kind"] == "Pod"]


def first(pod: Object) -> Object:
    """The status of the first container."""
    statuses: list[Object] = status_of(pod).get("containerStatuses") or []
    return statuses[0] if statuses else {"state": {}, "restartCount": 0, "ready": False}


def is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status_of(pod).get("conditions") or ())


def is_running(pod: Object) -> bool:
    return "running" in first(pod)["state"]


def waits_for(reason: str) -> Callable[[Object], bool]:
    return lambda pod: (first(pod)["state"].get("waiting") or {}).get("reason") == reason
