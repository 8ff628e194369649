"""The command lines of loopkube's own processes, and which descriptors each gets."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise.part import Part


def parts_of(
    settings: Settings, folders: Folders, ports: Mapping[str, int], api_fd: int, worker_fds: Sequence[tuple[int, int]]
) -> list[Part]:
    """Control, node and `settings.workers` workers; `worker_fds` has each worker's (http, https) sockets."""
    data = str(folders.data)
    python = (sys.executable, "-m")
    shared = ("--http-port", str(ports["http"]), "--https-port", str(ports["https"]), "--api-port", str(ports["api"]))
    parts = [
        Part("control", "control", (*python, "control.supervise.role_control", data, "--api-fd", str(api_fd), *shared)),
        Part("node", "node", (*python, "control.supervise.role_node", data, *shared)),
    ]
    parts[0].pass_fds = (api_fd,)
    for index, (http_fd, https_fd) in enumerate(worker_fds):
        arguments = (
            *("--name", f"worker-{index}"),
            *("--feed", str(folders.publish_socket)),
            *("--admin", str(folders.worker_socket(index))),
            *("--listen-fd", f"ingress-http={http_fd}"),
            *("--listen-fd", f"ingress-https={https_fd}"),
        )
        parts.append(
            Part("dataplane", f"worker-{index}", (*python, "dataplane.worker", *arguments), (http_fd, https_fd))
        )
    return parts
