"""What follows from a Service: its listeners, its backends and their endpoints.

Listeners: one on each cluster IP, external IP (loopback addresses only: others are not this machine's to give) and, for
NodePort and LoadBalancer, on every node's address and 127.0.0.1. A port whose appProtocol says HTTP in the clear is
balanced per request, any other per connection, as kube-proxy does. Backends: `ns/svc:port` behind the listeners, and a
flavour of it for each Ingress that routes to the port, since an ingress controller balances by other rules than
kube-proxy. Headless Services and ExternalNames have no listeners, but an Ingress may still route to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from control.api.kinds import NODE, SERVICE
from control.api.objects import Key, Object, key_of, name_of, spec_of, status_of
from control.mirror.world import World
from control.publish.annotations.backend import BackendTerms
from control.publish.endpoints import Pieces, endpoints_of, slices_of
from control.publish.unit import Built, Config, backend_name, balance_of, chosen_balance
from dataplane.snapshot.model import Backend, Endpoint, Listener, ListenerMode, Policy, Protocol

H2C = "kubernetes.io/h2c"  # KEP-3726: HTTP/2 in the clear, by prior knowledge
HTTP_PROTOCOLS = ("http", "kubernetes.io/ws", H2C)  # wss is not HTTP in the clear
AFFINITY_TIMEOUT_S = 10800  # core/v1 default of sessionAffinityConfig.clientIP.timeoutSeconds
SERVED_PROTOCOL = "TCP"
ALLOCATED, CHOSEN = 1, 2  # ranks of listeners: by the API, or by the user alone; 0 is the cluster's own


@dataclass(frozen=True, slots=True)
class Use:
    """An Ingress routes to a port of a Service: it needs the backend of this flavour."""

    service: Key
    port: int | str  # number or name, as the Ingress says
    flavour: str
    terms: BackendTerms  # the Ingress's own; where they say nothing: the Service's, or round-robin


def build_service(world: World, key: Key, config: Config, uses: Iterable[Use], pieces: Pieces | None = None) -> Built:
    """All resources of a Service; `uses` are those of Ingresses that route to it. `pieces` is its memory, if any."""
    service = world.get(SERVICE, *key)
    built = Built(service)
    pieces = pieces or Pieces()
    pieces.turn()
    if service is None:
        return built
    if spec_of(service).get("type") == "ExternalName":
        _add_external(service, uses, config, built)
        return built
    slices = slices_of(world, key)
    wanted = list(uses)
    _note_what_is_not_served(service, built)
    _note_ports_that_need_a_privilege(service, config, built)
    policy = balance_of(service, "random", built)
    ingress_policy: Policy = chosen_balance(service) or "round-robin"
    for port in served_ports(service):
        port_name = port.get("name") or ""
        protocol: Protocol = "h2c" if port.get("appProtocol") == H2C else "http1"
        listeners = _listeners(world, service, port, config)
        if listeners:
            for listener, rank in listeners:
                built.add(listener, rank)
            name = backend_name(key, port["port"])
            built.add(Backend(name, policy, config.service_retry, protocol=protocol))
            built.resources.update(endpoints_of(name, slices, port_name, pieces))
        for use in wanted:
            if port_matches(port, use.port):
                name = backend_name(key, port["port"], use.flavour)
                built.add(use.terms.backend(name, ingress_policy, config, protocol))
                built.resources.update(endpoints_of(name, slices, port_name, pieces))
    return built


def _add_external(service: Object, uses: Iterable[Use], config: Config, built: Built) -> None:
    """An ExternalName: for Ingresses, an endpoint that is a name, looked up when a connection is made."""
    external = str(spec_of(service).get("externalName") or "").lower().removesuffix(".")
    for use in uses:
        port = external_port(service, use.port)
        if not port:
            continue
        name = backend_name(key_of(service), use.port, use.flavour)
        built.add(use.terms.backend(name, chosen_balance(service) or "round-robin", config))
        id_, by_name = f"{external}:{port}", not _is_address(external)
        built.add(Endpoint(name, id_, external, port, True, True, False, target=external, by_name=by_name))


def external_port(service: Object, wanted: int | str) -> int:
    """The port of an ExternalName that an Ingress's backend port means, as ingress-nginx finds it: a port of the
    Service by name or number, and its targetPort if that is a number; else the number itself. 0: none."""
    for port in spec_of(service).get("ports") or ():
        if port_matches(port, wanted):
            target = port.get("targetPort")
            return int(target if isinstance(target, int) and target else port["port"])
    return wanted if isinstance(wanted, int) else 0


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def served_ports(service: Object) -> list[Object]:
    return [port for port in spec_of(service).get("ports") or () if (port.get("protocol") or "TCP") == SERVED_PROTOCOL]


def port_matches(port: Object, wanted: int | str) -> bool:
    return bool(port.get("port") == wanted if isinstance(wanted, int) else (port.get("name") or "") == wanted)


def find_port(service: Object, wanted: int | str) -> Object | None:
    return next((port for port in served_ports(service) if port_matches(port, wanted)), None)


def is_headless(service: Object) -> bool:
    return spec_of(service).get("clusterIP") in (None, "", "None")


def node_addresses(world: World) -> list[str]:
    """The loopback addresses of all nodes: where node ports are opened, one listener each."""
    addresses = [each for node in world.list(NODE) for each in status_of(node).get("addresses") or ()]
    internal = [each.get("address") or "" for each in addresses if each.get("type") == "InternalIP"]
    return [address for address in internal if _is_loopback(address)]


def _is_loopback(text: str) -> bool:
    try:
        return isinstance(address := ip_address(text), IPv4Address) and address.is_loopback
    except ValueError:
        return False


def _listeners(world: World, service: Object, port: Object, config: Config) -> list[tuple[Listener, int]]:
    """The port's listeners and their ranks, by which places are given (see `places`)."""
    if is_headless(service):
        return []
    spec = spec_of(service)
    places = {(address, port["port"]): ALLOCATED for address in spec.get("clusterIPs") or [spec["clusterIP"]]}
    if spec.get("type") in ("NodePort", "LoadBalancer") and port.get("nodePort"):
        nodes = [*config.node_port_addresses, *node_addresses(world)]
        places |= {(address, port["nodePort"]): ALLOCATED for address in nodes}
    for address in spec.get("externalIPs") or ():
        places.setdefault((address, port["port"]), CHOSEN)
    affinity: float = 0.0
    if spec.get("sessionAffinity") == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity = float(client_ip.get("timeoutSeconds") or AFFINITY_TIMEOUT_S)
    mode: ListenerMode = "http" if port.get("appProtocol") in HTTP_PROTOCOLS else "tcp"
    backend = backend_name(key_of(service), port["port"])
    return [
        (Listener(f"{backend}/{address}:{number}", address, number, mode, backend, affinity_timeout_s=affinity), rank)
        for (address, number), rank in places.items()
        if _is_loopback(address)
    ]


def _note_ports_that_need_a_privilege(service: Object, config: Config, built: Built) -> None:
    low = sorted({port["port"] for port in served_ports(service) if port["port"] < config.first_port})
    if low and not is_headless(service):
        text = (
            f"port {', '.join(map(str, low))} cannot be opened at the cluster IP: this user may open ports from "
            f"{config.first_port} on only. Use such a port, or `sysctl net.ipv4.ip_unprivileged_port_start={low[0]}` "
            "and `loopkube up` again; an Ingress reaches the pods all the same"
        )
        built.note(service, "PortNeedsPrivilege", text)


def _note_what_is_not_served(service: Object, built: Built) -> None:
    spec = spec_of(service)
    for port in spec.get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        if protocol != SERVED_PROTOCOL and not is_headless(service):
            text = f"port {port.get('port')}/{protocol} is not served: loopkube's data plane speaks TCP only"
            built.note(service, "UnsupportedProtocol", text)
    for address in spec.get("externalIPs") or ():
        if not _is_loopback(address):
            text = f"externalIP {address} is not served: only addresses in 127.0.0.0/8 belong to this machine alone"
            built.note(service, "UnsupportedExternalIP", text)
    ignored = [
        field
        for field, plain in (("internalTrafficPolicy", "Cluster"), ("externalTrafficPolicy", "Cluster"))
        if spec.get(field) not in (None, plain)
    ]
    ignored += [field for field in ("trafficDistribution", "loadBalancerSourceRanges") if spec.get(field)]
    if ignored:
        text = f"{', '.join(f'spec.{field}' for field in ignored)} of {name_of(service)}: not implemented, ignored"
        built.note(service, "UnsupportedField", text)
