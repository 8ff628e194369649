"""The node process, composed: the kubelet logic of all virtual nodes, speaking to the API over HTTPS as any kubelet
does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from control.config.folders import Folders
from control.config.settings import Settings, SettingsError
from control.kubelet.agent import Agent
from control.kubelet.images.table import ImageTable, ImageTableError, parse_rows
from control.kubelet.knobs import FAST, REALISTIC
from control.kubelet.network.loopback import Loopback
from control.kubelet.nodes import NodeIdentity
from control.kubelet.process import ProcessHost
from control.mirror.client import Client
from control.supervise.ready import ReadyPipe


def images_of(file: str) -> ImageTable:
    """The shipped table with the user's rows of `--images FILE` before it; raises SettingsError."""
    if not file:
        return ImageTable()
    try:
        return ImageTable().with_rows(parse_rows(yaml.safe_load(Path(file).read_text()), file))
    except (OSError, yaml.YAMLError, ImageTableError) as error:
        raise SettingsError(f"--images {file}: {' '.join(str(error).split())}") from error


class NodePlane:
    """`await start()`, `await stop()`; `wait` raises ConnectionError when the supervisor is gone."""

    def __init__(
        self, settings: Settings, folders: Folders, client: Client, host: ProcessHost, *, ready: ReadyPipe
    ) -> None:
        addresses = settings.addresses
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
            images=images_of(settings.images_file),
            knobs=REALISTIC if settings.profile == "realistic" else FAST,
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
