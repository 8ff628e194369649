"""The host's ports, opened by the supervisor and handed to whoever serves them.

The supervisor keeps them open while a part is restarted: clients wait in the queue of the socket for the successor
instead of being refused; so are workers that look for the publisher. Each worker has its own SO_REUSEPORT socket of
an Ingress port, so that the kernel spreads connections.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

from control.config.folders import Folders
from control.config.settings import Settings, SettingsError
from control.supervise.resolvers import dns_port

CAP_NET_BIND_SERVICE = 10  # capabilities(7)
BACKLOG = 4096  # net.core.somaxconn's default on current kernels; the kernel caps it by its own


@dataclass(frozen=True, slots=True)
class Doors:
    """All sockets of a cluster that outlive its parts; `http` and `https` have one for each worker.

    `dns` is only a port: workers open it at the DNS Service's address, as they open other Services' ports.
    """

    api: socket.socket
    publish: socket.socket
    http: tuple[socket.socket, ...]
    https: tuple[socket.socket, ...]
    dns: int

    @classmethod
    def open(cls, settings: Settings, folders: Folders) -> Doors:
        """Raises SettingsError for a port that cannot be had; what was opened until then is closed."""
        host, workers = settings.addresses.host, settings.workers
        opened: list[socket.socket] = []
        try:
            for port, count, option in (
                (settings.api_port, 1, "--api-port"),
                (settings.http_port, workers, "--http-port"),
                (settings.https_port, workers, "--https-port"),
            ):
                opened += open_listeners(host, port, count, option)
            publish = open_unix(folders.publish_socket)
            dns = dns_port(settings.addresses.dns_service_ip())
        except SettingsError:
            for listener in opened:
                listener.close()
            raise
        return cls(opened[0], publish, tuple(opened[1 : 1 + workers]), tuple(opened[1 + workers :]), dns)

    @property
    def ports(self) -> dict[str, int]:
        first = {"api": self.api, "http": self.http[0], "https": self.https[0]}
        return {purpose: int(listener.getsockname()[1]) for purpose, listener in first.items()} | {"dns": self.dns}


def open_listeners(host: str, port: int, count: int, option: str) -> list[socket.socket]:
    """`count` sockets that share `host:port` (0: any free one). Raises SettingsError, naming the command's `option`."""
    sockets: list[socket.socket] = []
    try:
        # first without SO_REUSEPORT, so that another program's socket is noticed, a twin cluster's too
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        for _ in range(count):
            listener = socket.socket()
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, port))
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise SettingsError(_explain(error, host, port, option)) from error
    return sockets


def first_port() -> int:
    """The lowest port that this process may open: 1 with CAP_NET_BIND_SERVICE, else the kernel's setting."""
    try:
        with open("/proc/self/status") as file:
            effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
        if effective >> CAP_NET_BIND_SERVICE & 1:
            return 1
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            return max(int(file.read()), 1)
    except (OSError, ValueError, StopIteration):
        return 1  # not told: the attempt will tell


def open_unix(path: Path) -> socket.socket:
    """A listening unix socket that only this user may connect to; what lay there before is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _explain(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: stop it, or choose another one with {option}"
    if error.errno == errno.EACCES:
        return (
            f"port {port} needs a permission that this user does not have (ports below 1024): "
            f"choose a higher one with {option}, or lower net.ipv4.ip_unprivileged_port_start"
        )
    return f"port {port} on {host} cannot be opened ({error.strerror}): choose another one with {option}"
