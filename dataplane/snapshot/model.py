"""The contract: everything that the data plane can be told, as frozen values.

The data plane owns this format, as Envoy owns xDS, and knows nothing of Kubernetes beyond it; `control.publish`
builds to it. State is a set of named resources of nine types. A listener accepts connections; an ingress listener
looks a request up among the routes of its `table`; a route or a listener names a backend, and a route perhaps a policy
(`policy.py`); a backend's endpoints are resources of their own, so that one pod's flip costs one endpoint's bytes
however many there are. For the same reason each DNS record is a resource; zones say which part of the name space the
records of a dns listener make up. Resources refer to each other by name, and a name that is not there yet is no error
(a route to an unknown backend or policy answers 503, as an ingress controller does): order of arrival never matters.

The first `Update` of a connection is `full`: it *is* the state, whatever is not in it is gone. Later ones carry what
changed. A worker answers each with `Ack` or `Nack`; after a Nack it goes on with its last good state, and the next
update must be full. `triggered_at` is when the cause happened (for an endpoint: the pod's Ready transition), so that
the time from cause to effect is measurable at the place of effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataplane.snapshot.policy import RoutePolicy as RoutePolicy

ListenerMode = Literal["tcp", "udp", "http", "ingress", "dns", "health"]
PathType = Literal["Exact", "Prefix", "ImplementationSpecific", "Regex"]
Policy = Literal["random", "round-robin", "weighted-round-robin", "least-request", "peak-ewma", "ring-hash", "maglev"]
Protocol = Literal["http1", "h2c"]
Retry = Literal["none", "kube-proxy", "ingress-nginx"]
RetryCause = Literal[
    "error",
    "timeout",
    "invalid_header",
    "http_403",
    "http_404",
    "http_429",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
]  # nginx's proxy_next_upstream
RecordType = Literal["A", "AAAA", "CNAME", "PTR", "SRV", "TXT", "EMPTY", "DASHED"]
ResourceType = Literal[
    "listener", "route", "routepolicy", "backend", "endpoint", "certificate", "zone", "record", "node"
]

Place = tuple[str, int, str]
"""(address, port, TCP or UDP)"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket and what happens on it.

    `tcp`: each connection goes to one endpoint of `backend` (kube-proxy), `udp`: each flow of datagrams does, `http`:
    each request does (appProtocol http, or kubernetes.io/h2c, where clients may begin with HTTP/2). `ingress`: each
    request is routed by the routes whose `table` is this listener's. `dns`: questions are answered from zones and
    records, on UDP and TCP. `health`: HTTP, says whether `node` has endpoints of `backend` (healthCheckNodePort). A
    tcp, udp or http listener whose backend has no usable endpoint is closed, so that clients see the connection
    refused, as under kube-proxy.
    """

    name: str
    address: str
    port: int
    mode: ListenerMode
    backend: str = ""
    table: str = ""
    tls: bool = False  # certificates are chosen by SNI among all Certificate resources
    affinity_timeout_s: float = 0.0  # sessionAffinity ClientIP, sliding; 0 = none
    reads_terminating: bool = True  # KEP-1669: fall back on serving terminating endpoints when none is ready
    node: str = ""  # whose socket this is; "": the client's node counts (see Node)
    local: bool = False  # traffic policy Local: that node's endpoints only

    @property
    def places(self) -> tuple[Place, ...]:
        """The sockets that it needs; no two listeners may have one in common."""
        protocols = {"udp": ("UDP",), "dns": ("TCP", "UDP")}.get(self.mode, ("TCP",))
        return tuple((self.address, self.port, protocol) for protocol in protocols)


@dataclass(frozen=True, slots=True)
class Route:
    """One path rule of one Ingress. `host` "" matches every host; "*.example.com" one label more, exactly.

    Among routes of equal host, path and type the smallest `order` wins (oldest Ingress first). `is_default` makes the
    rule a default backend: consulted after all paths of its host (host set) or of the whole table (host ""). A path of
    type Regex is a pattern for the path's beginning, without regard to case. `policy` names a RoutePolicy. A canary
    matches nothing by itself: it is the alternative of the route with its host, path and type.
    """

    name: str
    table: str
    host: str
    path: str
    path_type: PathType
    backend: str
    order: tuple[str, str, int]  # (creationTimestamp, namespace/name, index)
    is_default: bool = False
    policy: str = ""
    is_canary: bool = False


@dataclass(frozen=True, slots=True)
class Backend:
    """A set of endpoints (those whose `backend` is this name) and how to use it."""

    name: str  # namespace/service:port, or namespace/service:port@ingress where the policies differ
    policy: Policy = "random"
    retry: Retry = "none"
    tries_max: int = 1  # 0: as many as there are endpoints
    retry_on: tuple[RetryCause, ...] = ("error", "timeout")  # of retry "ingress-nginx"
    retry_timeout_s: float = 0.0  # no further try after so long; 0: none is too late
    retries_any_method: bool = False  # else idempotent requests only
    hash_on: str = ""  # of ring-hash and maglev: a template as in balance/key; "": the client's address
    slow_start_s: float = 0.0  # an endpoint's share grows for so long after it has become ready; 0: full at once
    eject_after: int = 0  # failures in a row that eject an endpoint; 0: none do
    eject_s: float = 30.0  # for how long, the first time (Envoy's base_ejection_time)
    retry_budget: float = 0.0  # retries as a share of requests; 0: as many as `retry` says
    retries_min_per_s: float = 10.0  # that a budget always allows (linkerd's default)
    connect_timeout_s: float = 5.0  # ingress-nginx proxy-connect-timeout
    send_timeout_s: float = (
        60.0  # ingress-nginx proxy-send-timeout: the endpoint takes no byte of the request for so long
    )
    response_timeout_s: float = 60.0  # ingress-nginx proxy-read-timeout
    idle_timeout_s: float = 60.0  # upstream keep-alive: ingress-nginx upstream-keepalive-timeout
    connections_max: int = 1024  # per endpoint and worker
    pending_max: int = 1024  # requests waiting for a connection, per endpoint and worker
    protocol: Protocol = "http1"  # what endpoints speak: h2c is HTTP/2 in the clear by prior knowledge


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of one backend with the conditions of KEP-1672; `id` is unique within the backend."""

    backend: str
    id: str  # target pod uid, or address:port for manual slices
    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool
    node: str = ""
    zone: str = ""
    target: str = ""  # namespace/pod, for people
    triggered_at: float = 0.0  # Unix time, seconds
    by_name: bool = False  # `address` is a DNS name, to be looked up when a connection is made (ExternalName)
    hint_nodes: tuple[str, ...] = ()  # of EndpointSlice's hints (KEP-2433, KEP-3015): for whose clients it is
    hint_zones: tuple[str, ...] = ()
    weight: int = 1  # its share under weighted-round-robin, ring-hash and maglev, as a multiple of the others'

    @property
    def name(self) -> str:
        return f"{self.backend}|{self.id}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and key in PEM for `hosts` (exact or wildcard); hosts ("",) is the default certificate.

    Of two for one host the smallest `order` wins (oldest Ingress first), then the name.
    """

    name: str
    hosts: tuple[str, ...]
    chain_pem: str
    key_pem: str
    order: tuple[str, str, int] = ("", "", 0)  # as a route's


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the name space that dns listeners answer for: the name and all that is below it.

    Of the zones that a name lies in, the longest counts. Names are absolute and in lower case ("cluster.local.", the
    root is "."). A name without a record in the zone does not exist; with `upstreams` it is theirs to answer.
    """

    name: str
    nameserver: str  # the zone's NS, and the primary in its SOA
    ttl_s: int = 5  # of every record, and of every denial; CoreDNS: 5, kubeadm's Corefile: 30
    upstreams: tuple[tuple[str, int], ...] = ()  # (address, port) in order of preference


@dataclass(frozen=True, slots=True)
class Record:
    """One DNS record; what is equal is the same record.

    `data` is the address, target or text; `port` is SRV's. Two types exist here only. EMPTY: the name exists and has
    nothing. DASHED: each label below the owner that spells an address with dashes ("10-0-0-1") has that address.
    """

    owner: str
    type: RecordType
    data: str = ""
    port: int = 0

    @property
    def name(self) -> str:
        return f"{self.owner} {self.type} {self.data} {self.port}"


@dataclass(frozen=True, slots=True)
class Node:
    """A place from which clients come: those with an address in `ranges` (CIDR; the longest prefix counts)."""

    name: str
    ranges: tuple[str, ...]
    zone: str = ""


Resource = Listener | Route | RoutePolicy | Backend | Endpoint | Certificate | Zone | Record | Node

TYPES: dict[ResourceType, type[Resource]] = {
    "listener": Listener,
    "route": Route,
    "routepolicy": RoutePolicy,
    "backend": Backend,
    "endpoint": Endpoint,
    "certificate": Certificate,
    "zone": Zone,
    "record": Record,
    "node": Node,
}

ResourceKey = tuple[ResourceType, str]
"""(type, name): what a resource is replaced or removed by."""


def type_of(resource: Resource) -> ResourceType:
    return type(resource).__name__.lower()  # type: ignore[return-value]


def key_of(resource: Resource) -> ResourceKey:
    return type_of(resource), resource.name


@dataclass(frozen=True, slots=True)
class Update:
    """From the publisher: the whole state (`full`) or what changed since the update before. Versions only grow."""

    version: int
    full: bool
    upserts: tuple[Resource, ...] = ()
    removes: tuple[ResourceKey, ...] = ()
    triggered_at: float = 0.0  # Unix time of the oldest cause joined in this update; 0 = unknown
    published_at: float = 0.0
    warnings: tuple[tuple[str, int], ...] = ()  # what users wrote and cannot be served: Warning events by reason


@dataclass(frozen=True, slots=True)
class Ack:
    """From a worker: this version is in force in it since `applied_at` (Unix time)."""

    version: int
    applied_at: float


@dataclass(frozen=True, slots=True)
class Nack:
    """From a worker: this version was refused and the last good one stays in force; the next update must be full."""

    version: int
    error: str


Message = Update | Ack | Nack
