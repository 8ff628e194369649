"""The command lines of loopkube's own processes, and which descriptors each gets."""

from __future__ import annotations

import sys

from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise.part import Part
from control.supervise.ports import Doors


def parts_of(settings: Settings, folders: Folders, doors: Doors) -> list[Part]:
    """Control, node and `settings.workers` workers."""
    python = (sys.executable, "-m")
    ports = [word for purpose, port in doors.ports.items() for word in (f"--{purpose}-port", str(port))]
    told = (str(folders.data), *ports)
    fds = (doors.api.fileno(), doors.publish.fileno())
    control = ("--api-fd", str(fds[0]), "--publish-fd", str(fds[1]))
    parts = [
        Part("control", "control", (*python, "control.supervise.role_control", *told, *control), fds),
        Part("node", "node", (*python, "control.supervise.role_node", *told)),
    ]
    for index in range(settings.workers):
        argv = (*python, "dataplane.worker", *worker_arguments(folders, doors, index))
        parts.append(Part("dataplane", f"worker-{index}", argv, worker_fds(doors, index)))
    return parts


def worker_fds(doors: Doors, index: int) -> tuple[int, int]:
    return doors.http[index].fileno(), doors.https[index].fileno()


def worker_arguments(folders: Folders, doors: Doors, index: int) -> tuple[str, ...]:
    """What a worker is told, after `python -m dataplane.worker`."""
    http, https = worker_fds(doors, index)
    return (
        *("--name", f"worker-{index}"),
        *("--workers", str(len(doors.http))),
        *("--feed", str(folders.publish_socket)),
        *("--admin", str(folders.worker_socket(index))),
        *("--listen-fd", f"ingress-http={http}"),
        *("--listen-fd", f"ingress-https={https}"),
    )
