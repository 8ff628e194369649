"""What follows from a Service: its listeners, its backends and their endpoints.

Listeners are where it is reached (`fronts`). Backends: `ns/svc:port` (`ns/svc:port/udp`) behind the listeners, and a
flavour of it for each Ingress that routes to the port, since an ingress controller balances by other rules than
kube-proxy. Headless Services, ExternalNames and those that another proxy serves have no listeners, but an Ingress may
still route to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from control.api.kinds import SERVICE
from control.api.objects import Key, Object, annotations_of, key_of, name_of, spec_of
from control.mirror.world import World
from control.publish.annotations.backend import BackendTerms
from control.publish.balancing import balancing_of, weights_of
from control.publish.endpoints import Pieces, endpoints_of, slices_of
from control.publish.fronts import (
    H2C,
    SERVED_PROTOCOLS,
    is_headless,
    is_left_alone,
    is_loopback,
    listeners_of,
    port_backend,
    served_ports,
    transport_of,
)
from control.publish.unit import Built, Config, backend_name
from dataplane.snapshot.model import Backend, Endpoint, Protocol

TOPOLOGY_MODES = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints")


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
    if not is_left_alone(service):
        _note_what_is_not_served(service, built)
        _note_ports_that_need_a_privilege(service, config, built)
    own, weights = balancing_of(service, built), weights_of(service, built)
    for port in served_ports(service):
        port_name, transport = port.get("name") or "", transport_of(port)
        protocol: Protocol = "h2c" if port.get("appProtocol") == H2C else "http1"
        listeners = listeners_of(world, service, port, config)
        if listeners:
            for listener, rank in listeners:
                built.add(listener, rank)
            name = port_backend(key, port)
            built.add(own.of(Backend(name, "random", config.service_retry, protocol=protocol)))
            built.resources.update(endpoints_of(name, slices, port_name, transport, pieces, weights))
        for use in wanted:
            if transport == "TCP" and port_matches(port, use.port):
                name = backend_name(key, port["port"], use.flavour)
                built.add(use.terms.backend(name, own, config, protocol))
                if use.terms.via_service and not is_headless(service):
                    built.add(_itself(service, port, name))
                    continue
                built.resources.update(endpoints_of(name, slices, port_name, transport, pieces, weights))
    return built


def _add_external(service: Object, uses: Iterable[Use], config: Config, built: Built) -> None:
    """An ExternalName: for Ingresses, an endpoint that is a name, looked up when a connection is made."""
    external = str(spec_of(service).get("externalName") or "").lower().removesuffix(".")
    for use in uses:
        port = external_port(service, use.port)
        if not port:
            continue
        name = backend_name(key_of(service), use.port, use.flavour)
        built.add(use.terms.backend(name, balancing_of(service), config))
        id_, by_name = f"{external}:{port}", not _is_address(external)
        built.add(Endpoint(name, id_, external, port, True, True, False, target=external, by_name=by_name))


def _itself(service: Object, port: Object, backend: str) -> Endpoint:
    """The Service as an endpoint: its cluster IP, where its own listener balances."""
    address, number = spec_of(service)["clusterIP"], port["port"]
    target = str(key_of(service))
    return Endpoint(backend, f"{address}:{number}", address, number, True, True, False, target=target)


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


def port_matches(port: Object, wanted: int | str) -> bool:
    return bool(port.get("port") == wanted if isinstance(wanted, int) else (port.get("name") or "") == wanted)


def find_port(service: Object, wanted: int | str) -> Object | None:
    """The port that an Ingress means."""
    ports = (port for port in served_ports(service) if transport_of(port) == "TCP")
    return next((port for port in ports if port_matches(port, wanted)), None)


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
        protocol = transport_of(port)
        if protocol not in SERVED_PROTOCOLS and not is_headless(service):
            text = f"port {port.get('port')}/{protocol} is not served: loopkube's data plane speaks TCP and UDP"
            built.note(service, "UnsupportedProtocol", text)
    for address in spec.get("externalIPs") or ():
        if not is_loopback(address):
            text = f"externalIP {address} is not served: only addresses in 127.0.0.0/8 belong to this machine alone"
            built.note(service, "UnsupportedExternalIP", text)
    if spec.get("loadBalancerSourceRanges"):
        text = (
            f"spec.loadBalancerSourceRanges of {name_of(service)}: not implemented, everybody on this machine may come"
        )
        built.note(service, "UnsupportedField", text)
    for annotation in TOPOLOGY_MODES:
        if annotations_of(service).get(annotation, "").lower() not in ("", "disabled"):
            text = f"{annotation}: not implemented, ignored: use spec.trafficDistribution"
            built.note(service, "UnsupportedAnnotation", text)
