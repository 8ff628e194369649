"""The command lines of loopkube's own processes, and which descriptors each gets."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise.part import Part


def parts_of(
    settings: Settings,
    folders: Folders,
    ports: Mapping[str, int],
    control_fds: tuple[int, int],
    worker_fds: Sequence[tuple[int, int]],
) -> list[Part]:
    """`control_fds` are the API's and the publisher's sockets. Control, node and `settings.workers` workers;
    `worker_fds` has each worker's (http, https) sockets."""
    data = str(folders.data)
    python = (sys.executable, "-m")
    shared = ("--http-port", str(ports["http"]), "--https-port", str(ports["https"]), "--api-port", str(ports["api"]))
    api_fd, publish_fd = control_fds
    fds = ("--api-fd", str(api_fd), "--publish-fd", str(publish_fd))
    parts = [
        Part("control", "control", (*python, "control.supervise.role_control", data, *fds, *shared), control_fds),
        Part("node", "node", (*python, "control.supervise.role_node", data, *shared)),
    ]
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
