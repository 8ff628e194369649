"""What all pods of the node process share: the API, the supervisor, the mirror, events, limits, the clock.

A `Ward` decides nothing. It exists so that a pod's runner has one place to reach the world through, and tests one
place to put fakes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from control.api.kinds import Kind
from control.api.objects import Object, spec_of
from control.api.status import StatusError
from control.config.clock import Clock
from control.kubelet.downward import Place
from control.kubelet.hooks import Handlers
from control.kubelet.images.table import ImageTable
from control.kubelet.knobs import Knobs
from control.kubelet.launch import Folders, folders_of
from control.kubelet.nodes import Machine, NodeIdentity, capacity
from control.kubelet.process import ProcessHost
from control.kubelet.resolv import ClusterDns
from control.mirror.client import Client
from control.mirror.mirror import Mirror
from control.mirror.recorder import Recorder
from control.mirror.world import World

EventType = Literal["Normal", "Warning"]
logger = logging.getLogger(__name__)


class Network(Protocol):
    """Gives pods their addresses (`network.loopback.Loopback`)."""

    def allocate(self, node: str, uid: str) -> str: ...

    def claim(self, node: str, uid: str, address: str) -> bool: ...

    def release(self, node: str, uid: str) -> None: ...


@dataclass(slots=True)
class Ward:
    client: Client
    host: ProcessHost
    mirror: Mirror
    recorders: Mapping[str, Recorder]  # one a node: it is the events' host
    network: Network
    images: ImageTable
    knobs: Knobs
    clock: Clock
    rng: random.Random
    nodes: Mapping[str, NodeIdentity]
    machine: Machine
    data_dir: str
    handlers: Handlers
    start_limit: asyncio.Semaphore
    probe_limit: asyncio.Semaphore
    dns: ClusterDns = field(default_factory=ClusterDns)
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    on_finished: Callable[[str], None] = lambda uid: None

    @property
    def world(self) -> World:
        return self.mirror.world

    def now(self) -> float:
        """Cluster time, Unix seconds."""
        return self.clock.now().timestamp()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that is kept until it ends, and whose failure is logged rather than lost."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("kubelet task failed", exc_info=task.exception())

    def place(self, pod: Object, pod_ip: str) -> Place:
        node = self.nodes.get(str(spec_of(pod).get("nodeName") or ""))
        return Place(node.ip if node else "", pod_ip, capacity(self.machine, self.knobs.pods_max))

    def folders(self, namespace: str, name: str, uid: str) -> Folders:
        return folders_of(self.data_dir, namespace, name, uid)

    def say(self, pod: Object, type_: EventType, reason: str, message: str, container: str = "") -> None:
        """An event about a pod, or about one of its containers."""
        path = ""
        if container:
            spec = spec_of(pod)
            is_init = any(item["name"] == container for item in spec.get("initContainers") or ())
            path = f"spec.{'initContainers' if is_init else 'containers'}{{{container}}}"
        about = {**pod, "apiVersion": "v1", "kind": "Pod", "fieldPath": path}
        self.recorder_of(str(spec_of(pod).get("nodeName") or "")).emit(about, type_, reason, message)

    def recorder_of(self, node: str) -> Recorder:
        return self.recorders.get(node) or next(iter(self.recorders.values()))

    def say_config(self, config_map: Object, reason: str, message: str) -> None:
        """A warning about a ConfigMap that configures the node itself."""
        about = {**config_map, "apiVersion": "v1", "kind": "ConfigMap"}
        self.recorder_of("").emit(about, "Warning", reason, message)

    async def look_for(self, kind: Kind, namespace: str, name: str) -> bool:
        """Asks the API for an object that the mirror does not show (yet); says whether the mirror has it now."""
        try:
            found = await self.client.get(kind, namespace, name)
        except (StatusError, ConnectionError):
            return False
        self.mirror.observe(kind, found)
        return self.world.get(kind, namespace, name) is not None
