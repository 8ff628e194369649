"""The node process: `python -m control.supervise.role_node DATA_DIR --api-port N`."""

from __future__ import annotations

import sys

from control.config.folders import Folders
from control.config.settings import Settings
from control.mirror.kubeconfig import Access
from control.mirror.remote import RemoteClient
from control.supervise.host import SupervisorHost
from control.supervise.node_plane import NodePlane
from control.supervise.ready import ReadyPipe
from control.supervise.role import Role, options_of, run


class NodeRole:
    """A node plane with the connections that it needs as a process of its own."""

    def __init__(self, plane: NodePlane, client: RemoteClient, host: SupervisorHost) -> None:
        self._plane = plane
        self._client = client
        self._host = host

    async def wait(self) -> None:
        await self._plane.wait()

    async def stop(self) -> None:
        await self._plane.stop()
        await self._client.close()
        await self._host.close()


async def begin(settings: Settings, folders: Folders, arguments: list[str]) -> Role:
    options = options_of(arguments)
    host = await SupervisorHost.connect(folders.supervisor_socket)
    pki = folders.pki
    client = RemoteClient(
        Access(
            server=f"https://{settings.addresses.host}:{options.api_port}",
            ca_pem=(pki / "ca.crt").read_text(),
            certificate_pem=(pki / "node.crt").read_text(),
            key_pem=(pki / "node.key").read_text(),
        ),
        user_agent="loopkube-node",
    )
    plane = NodePlane(settings, folders, client, host, dns_port=options.dns_port, ready=ReadyPipe(options.ready_fd))
    await plane.start()
    return NodeRole(plane, client, host)


if __name__ == "__main__":
    sys.exit(run(begin))
