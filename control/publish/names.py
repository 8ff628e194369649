"""What things are called: the records of the Kubernetes DNS specification 1.1.0, from Services, slices and Namespaces.

A Service with a cluster IP has its address under its name, an SRV for each named port, and a PTR. A headless one has an
address for each ready endpoint under its name, the same under the endpoint's own name below it, an SRV for each pair of
endpoint and named port, and a PTR to the endpoint's name; without a ready endpoint there is nothing, so the name does
not exist (NXDOMAIN, as the specification has it; CoreDNS says so too). publishNotReadyAddresses makes every endpoint
count. An endpoint without a hostname is called by its address with dashes, as CoreDNS calls it. An ExternalName is an
alias. A Namespace makes `<ns>.svc` exist, with or without Services, and `1-2-3-4.<ns>.pod` mean 1.2.3.4 whether such a
pod exists or not (CoreDNS' `pods insecure`, which kubeadm sets).

Beyond the specification, as in CoreDNS: an SRV question for a Service itself gets all its ports, unnamed ones too (that
is how peers of a StatefulSet find each other), and the port in a headless Service's SRV is the endpoint's, not the
Service's: it is what a client must dial.

A headless Service may have thousands of endpoints, of which one changes: what was made of each endpoint is remembered
(`NamedPiece`) and used again while the endpoint is the same. Services with a cluster IP do not look at their endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from control.api.kinds import ENDPOINT_SLICE, NAMESPACE, SERVICE
from control.api.objects import Key, Object, name_of, spec_of
from control.mirror.world import World
from control.publish.endpoints import SERVICE_NAME, NamedPiece, Pieces
from control.publish.unit import Built, Config
from dataplane.snapshot.model import Listener, Record, Zone

SCHEMA_VERSION = "1.1.0"  # of the specification
SERVER_SERVICE = Key("kube-system", "kube-dns")
DNS_PORT = 53


def build_server(config: Config, built: Built) -> None:
    """The listener and the zones: what is there before any Service is."""
    if not config.dns_address:
        return
    domain, ttl_s = config.dns_domain, config.dns_ttl_s
    nameserver = f"ns.dns.{domain}"
    built.add(Listener("dns", config.dns_address, config.dns_port, "dns"))
    built.add(Zone(domain, nameserver, ttl_s))
    for reverse_zone in ("in-addr.arpa.", "ip6.arpa."):
        built.add(Zone(reverse_zone, nameserver, ttl_s, config.dns_upstreams))
    if config.dns_upstreams:
        built.add(Zone(".", nameserver, ttl_s, config.dns_upstreams))
    built.add(Record(nameserver, "A", config.dns_address))
    built.add(Record(f"dns-version.{domain}", "TXT", SCHEMA_VERSION))


def build_namespace(world: World, key: Key, config: Config) -> Built:
    """What exists by a Namespace alone."""
    built = Built(world.get(NAMESPACE, *key))
    if built.owner is not None:
        built.add(Record(f"{key.name}.svc.{config.dns_domain}", "EMPTY"))
        built.add(Record(f"{key.name}.pod.{config.dns_domain}", "DASHED"))
    return built


def build_names(world: World, key: Key, config: Config, pieces: Pieces | None = None) -> Built:
    """The names of a Service; `pieces` saves making all of a headless one's again."""
    service = world.get(SERVICE, *key)
    built = Built(service)
    if service is None:
        return built
    name, spec = f"{key.name}.{key.namespace}.svc.{config.dns_domain}", spec_of(service)
    if key == SERVER_SERVICE and config.dns_port != DNS_PORT:
        text = (
            f"names are answered at {config.dns_address}:{config.dns_port}: port {DNS_PORT} could not be opened there, "
            "because it needs a privilege (net.ipv4.ip_unprivileged_port_start) or another program has it"
        )
        built.note(service, "DNSPortInUse", text)
    if spec.get("type") == "ExternalName":
        _add_alias(service, name, built)
    elif spec.get("clusterIP") == "None":
        _add_endpoints(world, service, key, name, pieces or Pieces(), built)
    else:
        for address in spec.get("clusterIPs") or [spec.get("clusterIP")]:
            if address:
                built.add(_address(name, address))
                built.add(Record(reverse(address), "PTR", name))
        for port in spec.get("ports") or ():
            _add(built, _services(name, port, name))
    return built


def is_headless(world: World, key: Key) -> bool:
    """Whether a Service's names depend on its slices."""
    service = world.get(SERVICE, *key)
    return service is not None and spec_of(service).get("clusterIP") == "None"


def _add_alias(service: Object, name: str, built: Built) -> None:
    target = str(spec_of(service).get("externalName") or "").lower().rstrip(".")
    if _is_address(target):
        text = f"externalName {target} looks like an address, which is no name to be an alias of: {name} does not exist"
        built.note(service, "ExternalNameIsAddress", text)
    elif target:
        built.add(Record(name, "CNAME", f"{target}."))


def _add_endpoints(world: World, service: Object, key: Key, name: str, pieces: Pieces, built: Built) -> None:
    everybody = bool(spec_of(service).get("publishNotReadyAddresses"))
    before, pieces.names = pieces.names, {}
    for slice_ in world.by_field(ENDPOINT_SLICE, SERVICE_NAME, key.name, key.namespace):
        if slice_.get("addressType") not in ("IPv4", "IPv6"):  # FQDN has no meaning to anybody, says the API
            continue
        piece = _of_slice(name, slice_, before.get(name_of(slice_)))
        pieces.names[name_of(slice_)] = piece
        for endpoint, records in piece.endpoints:
            if everybody or (endpoint.get("conditions") or {}).get("ready") is not False:
                _add(built, records)


def _of_slice(name: str, slice_: Object, before: NamedPiece | None) -> NamedPiece:
    ports = slice_.get("ports")
    known = before.endpoints if before is not None and before.ports == ports else ()
    made = []
    for at, endpoint in enumerate(slice_.get("endpoints") or ()):
        is_known = at < len(known) and known[at][0] == endpoint
        made.append(known[at] if is_known else (endpoint, tuple(_of_endpoint(name, endpoint, ports or ()))))
    return NamedPiece(ports, tuple(made))


def _of_endpoint(name: str, endpoint: Object, ports: Sequence[Mapping[str, Any]]) -> Iterable[Record]:
    for address in endpoint.get("addresses") or ():
        own = f"{endpoint.get('hostname') or _with_dashes(address)}.{name}"
        yield _address(name, address)
        yield _address(own, address)
        yield Record(reverse(address), "PTR", own)
        for port in ports:
            yield from _services(name, port, own)


def _services(name: str, port: Mapping[str, Any], target: str) -> Iterable[Record]:
    """SRV records of one port: at `_port._protocol` if it has a name, and at the Service itself."""
    number = port.get("port")
    if number:
        if port.get("name"):
            protocol = (port.get("protocol") or "TCP").lower()
            yield Record(f"_{port['name']}._{protocol}.{name}", "SRV", target, number)
        yield Record(name, "SRV", target, number)


def _add(built: Built, records: Iterable[Record]) -> None:
    for record in records:
        built.add(record)


def _address(name: str, address: str) -> Record:
    return Record(name, "AAAA" if ":" in address else "A", address)


def reverse(address: str) -> str:
    """The name under which an address is looked up; "" for what is none, which nobody can ask for."""
    return f"{ip_address(address).reverse_pointer}." if _is_address(address) else ""


def _with_dashes(address: str) -> str:
    """The address as a label; one that ends in a colon gets a zero, since no label ends in a dash."""
    label = address.replace(".", "-").replace(":", "-").lower()
    return f"{label}0" if label.endswith("-") else label


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
