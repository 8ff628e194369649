"""The control process: `python -m control.supervise.role_control DATA_DIR --api-fd N ...`, see `role.Options`."""

from __future__ import annotations

import socket
import sys

from control.config.folders import Folders
from control.config.settings import Settings
from control.store.records import StoreError
from control.supervise.control_plane import ControlPlane
from control.supervise.ready import ReadyPipe
from control.supervise.role import Role, options_of, run


async def begin(settings: Settings, folders: Folders, arguments: list[str]) -> Role:
    options = options_of(arguments)
    plane = ControlPlane(
        settings,
        folders,
        socket.socket(fileno=options.api_fd),
        socket.socket(fileno=options.publish_fd),
        http_port=options.http_port,
        https_port=options.https_port,
        dns_port=options.dns_port,
        ready=ReadyPipe(options.ready_fd),
    )
    await plane.start()
    return plane


if __name__ == "__main__":
    sys.exit(run(begin, (StoreError,)))
