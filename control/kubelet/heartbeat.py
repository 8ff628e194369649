"""Registers nodes and keeps saying that they are well: Lease every ten seconds, status when it changes or grows old.

A Node that is there already keeps everything that users gave it; one that was deleted is made again at the next beat.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from datetime import datetime
from pathlib import Path

from control.api.kinds import LEASE, NODE
from control.api.objects import Object, format_micro_time, uid_of
from control.api.status import StatusError
from control.config.clock import Clock
from control.kubelet.knobs import Knobs
from control.kubelet.nodes import (
    LEASE_NAMESPACE,
    Machine,
    NodeIdentity,
    has_changed,
    lease,
    missing_labels,
    new_node,
    node_status,
)
from control.mirror.client import Client
from control.mirror.recorder import Recorder

logger = logging.getLogger(__name__)


def read_machine(data_dir: str) -> Machine:
    """What this machine has; cgroup limits are not looked at, the scheduler's numbers are the machine's."""
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    pretty = next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "Linux")
    disk = os.statvfs(data_dir if os.path.isdir(data_dir) else "/")

    def text(path: str) -> str:
        try:
            return Path(path).read_text().strip()
        except OSError:
            return ""

    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        storage_bytes=disk.f_blocks * disk.f_frsize,
        arch=platform.machine(),
        kernel=platform.release(),
        os_image=pretty,
        machine_id=text("/etc/machine-id"),
        boot_id=text("/proc/sys/kernel/random/boot_id"),
    )


class Heartbeat:
    """One node's registration and life signs."""

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        node: NodeIdentity,
        machine: Machine,
        knobs: Knobs,
        clock: Clock,
    ) -> None:
        self.client, self.recorder, self.node, self.machine, self.knobs = client, recorder, node, machine, knobs
        self.clock = clock
        self.uid = ""
        self.status_at: datetime | None = None
        self.registered = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await self.beat()
                delay_s = self.clock.delay_s(self.knobs.lease_renew_s)
            except (StatusError, ConnectionError, TimeoutError) as error:
                logger.log(
                    logging.WARNING if self.registered.is_set() else logging.DEBUG,
                    "node %s: %s",
                    self.node.name,
                    error or type(error).__name__,
                )
                delay_s = self.knobs.reconnect_s
            await asyncio.sleep(delay_s)

    async def beat(self) -> None:
        if not self.registered.is_set():
            await self.register()
        await self.renew()
        now = self.clock.now()
        if self.status_at is None or (now - self.status_at).total_seconds() >= self.knobs.node_status_s:
            await self.report()

    async def register(self) -> None:
        wanted = new_node(self.node, self.machine, self.knobs.pods_max, self.clock.now())
        try:
            existing = await self.client.create(NODE, wanted)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            existing = await self.client.get(NODE, "", self.node.name)
        await self.write_status(existing)
        labels = missing_labels(existing, self.node, self.machine)
        if labels:
            existing = await self.client.patch(NODE, "", self.node.name, {"metadata": {"labels": labels}})
        self.uid = uid_of(existing)
        self.registered.set()
        self.recorder.emit({**existing, "apiVersion": "v1", "kind": "Node"}, "Normal", "Starting", "Starting kubelet.")

    async def renew(self) -> None:
        patch = {"spec": {"renewTime": format_micro_time(self.clock.now()), "holderIdentity": self.node.name}}
        try:
            await self.client.patch(LEASE, LEASE_NAMESPACE, self.node.name, patch)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            made = lease(self.node, self.uid, self.knobs.lease_duration_s, self.clock.now())
            await self.client.create(LEASE, made)

    async def report(self) -> None:
        try:
            existing = await self.client.get(NODE, "", self.node.name)
        except StatusError as error:
            if error.reason == "NotFound":
                await self.register()
                return
            raise
        await self.write_status(existing)

    async def write_status(self, existing: Object) -> None:
        now = self.clock.now()
        wanted = node_status(self.node, self.machine, self.knobs.pods_max, existing, now)
        old = self.status_at is None or (now - self.status_at).total_seconds() >= self.knobs.node_status_s
        if has_changed(existing, wanted) or old:
            await self.client.patch(NODE, "", self.node.name, {"status": wanted}, subresource="status")
            self.status_at = now
