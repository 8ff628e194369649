"""Where a Service is reached: its listeners, and whose traffic policy counts at each.

One on each cluster IP, external IP (loopback addresses only: others are not this machine's to give) and, for NodePort
and LoadBalancer, on every node's address and 127.0.0.1. A port whose appProtocol says HTTP in the clear is balanced per
request, any other of TCP per connection, as kube-proxy does; one of UDP per flow.

internalTrafficPolicy is the cluster IPs', externalTrafficPolicy that of node ports and external IPs. A node's address
is that node's; at other addresses the client's node counts. 127.0.0.1 is no node's address: its node ports stand for a
load balancer that knows which nodes have endpoints, so Local does not narrow them. The load balancer's own address is
the cluster IP here, and goes by the internal policy. With externalTrafficPolicy Local a LoadBalancer has its
healthCheckNodePort on every node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any

from control.api.kinds import NODE
from control.api.objects import Key, Object, key_of, labels_of, meta, name_of, spec_of, status_of
from control.mirror.world import World
from control.publish.unit import Config, backend_name
from dataplane.snapshot.model import Listener, ListenerMode, Node

H2C = "kubernetes.io/h2c"  # KEP-3726: HTTP/2 in the clear, by prior knowledge
HTTP_PROTOCOLS = ("http", "kubernetes.io/ws", H2C)  # wss is not HTTP in the clear
SERVED_PROTOCOLS = ("TCP", "UDP")
SERVED_ELSEWHERE = "service.kubernetes.io/service-proxy-name"  # a label; kube-proxy's pkg/proxy/apis
AFFINITY_TIMEOUT_S = 10800  # core/v1 default of sessionAffinityConfig.clientIP.timeoutSeconds
ALLOCATED, CHOSEN = 1, 2  # ranks of listeners: by the API, or by the user alone; 0 is the cluster's own
ZONE = "topology.kubernetes.io/zone"
HOST_RANGE = "127.0.0.0/8"


@dataclass(frozen=True, slots=True)
class Front:
    """An address and port of a Service port; `node` as in Listener, `rank` as in places."""

    address: str
    port: int
    rank: int
    node: str = ""
    local: bool = False


def served_ports(service: Object) -> list[Object]:
    return [port for port in spec_of(service).get("ports") or () if transport_of(port) in SERVED_PROTOCOLS]


def transport_of(port: Object) -> str:
    return port.get("protocol") or "TCP"


def port_backend(service: Key, port: Object) -> str:
    """The backend behind the listeners of a port; one number may be a port of TCP and one of UDP."""
    name = backend_name(service, port["port"])
    return name if transport_of(port) == "TCP" else f"{name}/{transport_of(port).lower()}"


def is_headless(service: Object) -> bool:
    return spec_of(service).get("clusterIP") in (None, "", "None")


def is_left_alone(service: Object) -> bool:
    """Whether another proxy serves it: kube-proxy leaves such a Service alone too."""
    return SERVED_ELSEWHERE in labels_of(service)


def is_loopback(text: str) -> bool:
    try:
        return isinstance(address := ip_address(text), IPv4Address) and address.is_loopback
    except ValueError:
        return False


def listeners_of(world: World, service: Object, port: Object, config: Config) -> list[tuple[Listener, int]]:
    """The port's listeners and their ranks, by which places are given (see `places`)."""
    if is_headless(service) or is_left_alone(service):
        return []
    spec, key, backend = spec_of(service), key_of(service), port_backend(key_of(service), port)
    affinity = 0.0
    if spec.get("sessionAffinity") == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity = float(client_ip.get("timeoutSeconds") or AFFINITY_TIMEOUT_S)
    mode: ListenerMode = "http" if port.get("appProtocol") in HTTP_PROTOCOLS else "tcp"
    if transport_of(port) == "UDP":
        mode = "udp"
    found = [
        (
            Listener(
                f"{backend}/{front.address}:{front.port}", front.address, front.port, mode, backend,
                affinity_timeout_s=affinity, node=front.node, local=front.local,
            ),
            front.rank,
        )
        for front in _fronts(world, spec, port, config)
        if is_loopback(front.address)
    ]  # fmt: skip
    if port is served_ports(service)[0] and (health := _health_port(spec)):
        for address, node in node_addresses(world):
            name = f"{key}/health/{address}:{health}"
            found.append((Listener(name, address, health, "health", backend, node=node), ALLOCATED))
    return found


def _fronts(world: World, spec: Mapping[str, Any], port: Object, config: Config) -> list[Front]:
    """One for each place, the first one for it."""
    within, outside = spec.get("internalTrafficPolicy") == "Local", spec.get("externalTrafficPolicy") == "Local"
    found = [Front(at, port["port"], ALLOCATED, local=within) for at in spec.get("clusterIPs") or [spec["clusterIP"]]]
    number = port.get("nodePort")
    if spec.get("type") in ("NodePort", "LoadBalancer") and number:
        found += [Front(address, number, ALLOCATED) for address in config.node_port_addresses]
        found += [Front(address, number, ALLOCATED, node, outside) for address, node in node_addresses(world)]
    found += [Front(address, port["port"], CHOSEN, local=outside) for address in spec.get("externalIPs") or ()]
    places: dict[tuple[str, int], Front] = {}
    for front in found:
        places.setdefault((front.address, front.port), front)
    return list(places.values())


def _health_port(spec: Mapping[str, Any]) -> int:
    """0: there is none."""
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        return 0
    return int(spec.get("healthCheckNodePort") or 0)


def node_addresses(world: World) -> list[tuple[str, str]]:
    """(loopback address, node) of all nodes: where node ports are opened, one listener each."""
    return [(address, name_of(node)) for node in world.list(NODE) for address in addresses_of(node)]


def addresses_of(node: Object) -> list[str]:
    addresses = status_of(node).get("addresses") or ()
    internal = [each.get("address") or "" for each in addresses if each.get("type") == "InternalIP"]
    return [address for address in internal if is_loopback(address)]


def nodes(world: World) -> list[Node]:
    """Where clients come from: a node's pods and the node itself; everybody else is on the oldest node."""
    found = []
    oldest = min(world.list(NODE), key=_age, default=None)
    for node in world.list(NODE):
        ranges, zone = location_of(node)
        found.append(Node(name_of(node), (*ranges, HOST_RANGE) if node is oldest else ranges, zone))
    return found


def location_of(node: Object) -> tuple[tuple[str, ...], str]:
    """The ranges of a node's pods and of itself, and its zone."""
    spec = spec_of(node)
    ranges = [*(spec.get("podCIDRs") or [spec.get("podCIDR") or ""]), *(f"{each}/32" for each in addresses_of(node))]
    return tuple(filter(None, ranges)), labels_of(node).get(ZONE, "")


def _age(node: Object) -> tuple[str, int, str]:
    name = name_of(node)
    return meta(node).get("creationTimestamp") or "", len(name), name
