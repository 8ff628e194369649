"""A cluster's settings, checked once.

Everything that `loopkube up` was asked for, and the address plan that follows from the network mode. All later code
gets these values as arguments; no address or port is a constant anywhere else.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from control.config.clock import SCALE_MAX
from control.config.profile import PROFILES, Delays, ProfileName

NetworkMode = Literal["loopback"]

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
NODES_MAX = 200  # each node has a /24 of the pod range's third byte
SIMULATED_MAX = 5000  # a cluster of Kubernetes' own largest supported size
WORKERS_MAX = 64


class SettingsError(Exception):
    """A setting that cannot be used; the message names it, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address plan of a network mode."""

    host: str
    pod_cidr: str
    service_cidr: str
    node_cidr: str
    simulated_cidr: str  # of pods that nothing listens for

    def pod_network(self, node: int) -> IPv4Network:
        """The node's own /24 of the pod range."""
        return list(IPv4Network(self.pod_cidr).subnets(new_prefix=24))[node]

    def node_ip(self, node: int) -> str:
        return str(IPv4Network(self.node_cidr).network_address + node + 1)

    def api_service_ip(self) -> str:
        """The first address of the service range: Service default/kubernetes."""
        return str(IPv4Address(IPv4Network(self.service_cidr).network_address + 1))

    def dns_service_ip(self) -> str:
        """The tenth, as kubeadm has it: Service kube-system/kube-dns."""
        return str(IPv4Address(IPv4Network(self.service_cidr).network_address + 10))


SLOTS = 10  # clusters side by side on one machine
"""Each cluster has a slot, and with it address ranges of its own: all of them live in the machine's one 127.0.0.0/8."""


def loopback(slot: int) -> Addresses:
    """Slot 0, the usual one, has 127.244.0.0/16 for pods and 127.96.0.0/16 for Services; the next ones lie beside."""
    return Addresses(
        host="127.0.0.1",
        pod_cidr=f"127.{244 - slot}.0.0/16",
        service_cidr=f"127.{96 + slot}.0.0/16",
        node_cidr=f"127.245.{slot}.0/24",
        simulated_cidr=f"127.{128 + 8 * slot}.0.0/13",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What `loopkube up` was asked for. Port 0 means: any free one (chosen when the supervisor opens it)."""

    name: str
    data_dir: str
    nodes: int = 1
    simulated_nodes: int = 0
    workers: int = 1
    network: NetworkMode = "loopback"
    network_reason: str = ""
    profile: ProfileName = "fast"
    time_scale: float = 1.0  # cluster seconds a second, see clock.py
    api_port: int = 6443
    http_port: int = 8080
    https_port: int = 8443
    images_file: str = ""
    slot: int | None = None  # chosen at the first start, and kept: Services' addresses depend on it

    @property
    def addresses(self) -> Addresses:
        return loopback(self.slot or 0)

    @property
    def delays(self) -> Delays:
        return PROFILES[self.profile]

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"loopkube-{i}" for i in range(self.nodes))

    @property
    def simulated_node_names(self) -> tuple[str, ...]:
        return tuple(f"simulated-{i}" for i in range(self.simulated_nodes))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Settings:
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**known)


def check(settings: Settings) -> Settings:
    """Returns the settings unchanged; raises SettingsError for the first that cannot be used."""
    if not NAME.fullmatch(settings.name):
        raise SettingsError(
            f"--name {settings.name!r}: use at most 40 lower case letters, digits and '-', "
            "with a letter or digit at both ends"
        )
    if not 1 <= settings.nodes <= NODES_MAX:
        raise SettingsError(f"--nodes {settings.nodes}: between 1 and {NODES_MAX}")
    if not 0 <= settings.simulated_nodes <= SIMULATED_MAX:
        raise SettingsError(f"--simulated-nodes {settings.simulated_nodes}: between 0 and {SIMULATED_MAX}")
    if not 1 <= settings.workers <= WORKERS_MAX:
        raise SettingsError(f"--workers {settings.workers}: between 1 and {WORKERS_MAX}")
    if not 1 <= settings.time_scale <= SCALE_MAX:  # NaN neither
        raise SettingsError(f"--time-scale {settings.time_scale:g}: a number between 1 and {SCALE_MAX:g}")
    ports = {"--api-port": settings.api_port, "--http-port": settings.http_port, "--https-port": settings.https_port}
    for option, port in ports.items():
        if not 0 <= port <= 65535:
            raise SettingsError(f"{option} {port}: between 0 (any free port) and 65535")
    fixed = [port for port in ports.values() if port]
    if len(set(fixed)) != len(fixed):
        raise SettingsError("--api-port, --http-port and --https-port must differ from each other")
    return settings


def time_scale_of(asked: str) -> float:
    """What `--time-scale asked` means; its range is for `check`. Raises SettingsError."""
    try:
        return float(asked)
    except ValueError:
        raise SettingsError(f"--time-scale {asked!r}: a number between 1 and {SCALE_MAX:g}") from None


def choose_network(asked: str) -> tuple[NetworkMode, str]:
    """The mode for `--network asked` and why; raises SettingsError for one that does not exist yet."""
    if asked == "loopback":
        return "loopback", "asked for"
    if asked == "auto":
        return "loopback", "the only mode so far: each pod listens on its own address, given as POD_IP"
    raise SettingsError(f"--network {asked}: one of auto, loopback (netns does not exist yet)")
