"""The node process, composed: the kubelet logic of all virtual nodes, speaking to the API over HTTPS as any kubelet
does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from control.config.clock import REAL, Clock
from control.config.folders import Folders
from control.config.settings import Settings, SettingsError
from control.kubelet.agent import Agent, load_image_file
from control.kubelet.images.table import ImageTable, ImageTableError
from control.kubelet.knobs import FAST, REALISTIC, Knobs
from control.kubelet.network.loopback import Loopback
from control.kubelet.nodes import NodeIdentity
from control.kubelet.process import ProcessHost
from control.kubelet.resolv import ClusterDns
from control.mirror.client import Client
from control.supervise.ready import ReadyPipe
from control.supervise.resolvers import resolv_conf

BEAT_MIN_S = 1.0  # a node's life sign costs some milliseconds: a busy machine must not make it look dead
PROBE_MIN_S = 0.05  # a look costs the program some milliseconds too


def images_of(file: str) -> ImageTable:
    """The shipped table, with the user's rows of `--images FILE` before it; raises SettingsError."""
    try:
        return load_image_file(Path(file)) if file else ImageTable()
    except (OSError, ImageTableError) as error:
        raise SettingsError(f"--images: {' '.join(str(error).split())}") from error


def knobs_of(settings: Settings, clock: Clock = REAL) -> Knobs:
    """The kubelet's knobs of the profile, with the delays that the profile names; it plans in cluster seconds."""
    knobs = REALISTIC if settings.profile == "realistic" else FAST
    delays = settings.delays
    renew_s = clock.period_s(knobs.lease_renew_s, BEAT_MIN_S)
    return replace(
        knobs,
        pleg_delay_s=delays.process_exit_detection_s,
        status_delay_s=delays.status_write_s,
        probe_eager_s=clock.cluster_s(knobs.probe_eager_s),
        probe_period_min_s=clock.cluster_s(PROBE_MIN_S),
        grace_min_s=clock.cluster_s(knobs.grace_min_s),
        lease_renew_s=renew_s,
        lease_duration_s=round(knobs.lease_duration_s * renew_s / knobs.lease_renew_s),
    )


class NodePlane:
    """`await start()`, `await stop()`; `wait` raises ConnectionError when the supervisor is gone."""

    def __init__(
        self,
        settings: Settings,
        folders: Folders,
        client: Client,
        host: ProcessHost,
        *,
        dns_port: int,
        ready: ReadyPipe,
    ) -> None:
        addresses = settings.addresses
        clock, _mark = folders.load_clock()
        identities = [
            NodeIdentity(name, addresses.node_ip(index), str(addresses.pod_network(index)))
            for index, name in enumerate(settings.node_names)
        ]
        self._ready = ready
        self.agent = Agent(
            client,
            host,
            nodes=identities,
            data_dir=folders.data,
            run_socket=folders.node_socket,
            network=Loopback([(node.name, node.pod_cidr) for node in identities]),
            simulated_cidr=addresses.simulated_cidr,
            simulated_nodes=settings.simulated_node_names,
            images=images_of(settings.images_file),
            knobs=knobs_of(settings, clock),
            dns=ClusterDns(addresses.dns_service_ip(), dns_port, host=resolv_conf()),
            clock=clock,
        )

    async def start(self) -> None:
        self._task = asyncio.create_task(self.agent.run())
        adopted = asyncio.create_task(self.agent.adopted.wait())
        await asyncio.wait([self._task, adopted], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        self._ready.say("nodes")

    async def wait(self) -> None:
        """Until the agent ends by itself, which is a failure: raises what it was."""
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        await self.agent.stop()
        await self._task
