"""What the builders give: for each Service and each Ingress, the resources that follow from it alone.

A unit is a Service or an Ingress, and apart from its listeners a Service's names. Each data-plane resource belongs to
exactly one unit, so that a change rebuilds the units that it touches and nothing else, and what vanished is what a unit
no longer yields. What cannot be expressed is said in a `Note`, which becomes a Warning event: nothing that a user wrote
is dropped in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from control.api.objects import Key, Object, meta
from control.mirror.ingress_class import CONTROLLER
from dataplane.snapshot.check import problem
from dataplane.snapshot.model import Resource, ResourceKey, Retry, key_of

TABLE = "ingress"
"""The routing table of all our Ingresses."""


class Unit(NamedTuple):
    """`frame` is what belongs to no object: the ingress and dns listeners, their certificate and zones.

    `names` are those of a Service, `namespace` are those that a Namespace has by itself.
    """

    type: Literal["frame", "service", "ingress", "names", "namespace"]
    key: Key


FRAME = Unit("frame", Key("", ""))


@dataclass(frozen=True, slots=True)
class Note:
    """A Warning about an object of the user's."""

    regarding: Object
    reason: str
    message: str


@dataclass(slots=True)
class Built:
    """What one unit yields; `owner` is the object that it is made of.

    What a worker would refuse is noted instead of added: it refuses updates as a whole, and one object that slipped
    through validation must not keep all others from being served. `ranks` are those of listeners (see `places`).
    """

    owner: Object | None = None
    resources: dict[ResourceKey, Resource] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    ranks: dict[ResourceKey, int] = field(default_factory=dict)

    @property
    def created(self) -> str:
        return str(meta(self.owner).get("creationTimestamp") or "") if self.owner is not None else ""

    def add(self, resource: Resource, rank: int = 0) -> None:
        why = problem(resource)
        if why:
            if self.owner is not None:
                self.note(self.owner, "Unpublishable", f"not served: {why}")
            return
        key = key_of(resource)
        self.resources[key] = resource
        if rank:
            self.ranks[key] = rank

    def note(self, regarding: Object, reason: str, message: str) -> None:
        self.notes.append(Note(regarding, reason, message))


@dataclass(frozen=True, slots=True)
class Config:
    """The addresses and policies of a cluster's data plane. Port 0 opens no such listener."""

    ingress_address: str = "127.0.0.1"
    http_port: int = 8080
    https_port: int = 8443
    node_port_addresses: tuple[str, ...] = ("127.0.0.1",)  # besides every node's own address
    controller: str = CONTROLLER
    service_retry: Retry = "none"  # kube-proxy never retries, see KEP-265's successors and virtual-ips.md
    ingress_retry: Retry = "none"
    ssl_redirect: bool = True  # ingress-nginx's ssl-redirect: hosts with a certificate are sent to https
    ingress_tries_max: int = 1  # 3 with ingress_retry "ingress-nginx" (proxy-next-upstream-tries)
    default_chain_pem: str = ""  # for https requests whose host has no certificate
    default_key_pem: str = ""
    first_port: int = 1  # the lowest that the workers' user may open (net.ipv4.ip_unprivileged_port_start)
    dns_address: str = ""  # where names are answered; "" nowhere
    dns_port: int = 53
    dns_domain: str = "cluster.local."
    dns_ttl_s: int = 0  # CoreDNS: 5, kubeadm's Corefile: 30
    dns_upstreams: tuple[tuple[str, int], ...] = ()  # who knows all other names
    sync_delay_s: float = 0.0  # least time between two updates of Services (kube-proxy's minSyncPeriod: 1 s)
    ingress_sync_delay_s: float = 0.0  # the same for Ingresses (ingress-nginx's sync-rate-limit: 3.3 s)


def backend_name(service: Key, port: int | str, flavour: str = "") -> str:
    """`namespace/service:port`; with a flavour (`ingress`, `ingress/<name>`) behind an @."""
    return f"{service}:{port}@{flavour}" if flavour else f"{service}:{port}"
