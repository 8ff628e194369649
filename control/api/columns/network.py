"""Rows of what traffic goes through: Services, Endpoints, EndpointSlices, Ingresses and their classes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from control.api.columns.cells import AGE, NAME, NONE, joined, path
from control.api.objects import Object, spec_of, status_of
from control.api.scheme import Column

SHOWN_MAX = 3
"""How many endpoints, ports or hosts are listed before "+ N more..."."""


def _some(texts: Sequence[str], total: int, none: str) -> str:
    """The first few of a list, and how many are not shown."""
    if not texts:
        return none
    more = total - SHOWN_MAX
    shown = ",".join(texts[:SHOWN_MAX])
    return f"{shown} + {more} more..." if more > 0 else shown


# --- services -----------------------------------------------------------------------------------------------------


def _cluster_ip(service: Object, now: datetime) -> Any:
    spec = spec_of(service)
    addresses = spec.get("clusterIPs") or ()
    return (addresses[0] if addresses else spec.get("clusterIP")) or NONE


def _external_ip(service: Object, now: datetime) -> Any:
    spec = spec_of(service)
    kind, own = spec.get("type"), list(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    if kind != "LoadBalancer":
        return ",".join(own) or NONE
    ingress = (status_of(service).get("loadBalancer") or {}).get("ingress") or ()
    given = [each.get("ip") or each.get("hostname") or "" for each in ingress]
    return ",".join(each for each in (*given, *own) if each) or "<pending>"


def _service_ports(service: Object, now: datetime) -> Any:
    texts = []
    for port in spec_of(service).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port')}{node}/{port.get('protocol') or 'TCP'}")
    return ",".join(texts) or NONE


def _selector(service: Object, now: datetime) -> Any:
    return joined(spec_of(service).get("selector"))


SERVICE_COLUMNS = (
    NAME,
    Column("Type", path("spec", "type", absent=""), description="How the Service is exposed."),
    Column("Cluster-IP", _cluster_ip, description="The address inside the cluster."),
    Column("External-IP", _external_ip, description="Addresses outside the cluster."),
    Column("Port(s)", _service_ports, description="The ports that the Service has."),
    AGE,
    Column("Selector", _selector, description="Which pods get the traffic.", priority=1),
)


# --- endpoints ----------------------------------------------------------------------------------------------------


def _endpoints(endpoints: Object, now: datetime) -> Any:
    texts: list[str] = []
    for subset in endpoints.get("subsets") or ():
        addresses = [address.get("ip") or "" for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            texts += addresses
        for port in ports:
            texts += [f"[{ip}]:{port.get('port')}" if ":" in ip else f"{ip}:{port.get('port')}" for ip in addresses]
    return _some(texts, len(texts), NONE)


ENDPOINTS_COLUMNS = (NAME, Column("Endpoints", _endpoints, description="Addresses that are ready for traffic."), AGE)


def _slice_ports(endpoint_slice: Object, now: datetime) -> Any:
    ports = endpoint_slice.get("ports") or ()
    texts = [str(port["port"]) if port.get("port") is not None else "*" for port in ports]
    return _some(texts, len(texts), "<unset>")


def _slice_endpoints(endpoint_slice: Object, now: datetime) -> Any:
    addresses = [
        address for endpoint in endpoint_slice.get("endpoints") or () for address in endpoint.get("addresses") or ()
    ]
    return _some(addresses, len(addresses), "<unset>")


ENDPOINT_SLICE_COLUMNS = (
    NAME,
    Column("AddressType", path("addressType", absent=""), description="What the addresses are."),
    Column("Ports", _slice_ports, description="Ports of every endpoint in this slice."),
    Column("Endpoints", _slice_endpoints, description="Addresses of the endpoints."),
    AGE,
)


# --- ingresses ----------------------------------------------------------------------------------------------------


def _hosts(ingress: Object, now: datetime) -> Any:
    hosts = [rule["host"] for rule in spec_of(ingress).get("rules") or () if rule.get("host")]
    return _some(hosts, len(hosts), "*")


def _address(ingress: Object, now: datetime) -> Any:
    points = (status_of(ingress).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname") or "" for point in points)


def _ingress_ports(ingress: Object, now: datetime) -> Any:
    return "80, 443" if spec_of(ingress).get("tls") else "80"


INGRESS_COLUMNS = (
    NAME,
    Column("Class", path("spec", "ingressClassName"), description="The class of this Ingress."),
    Column("Hosts", _hosts, description="Hosts that incoming requests are matched against before the ingress rule"),
    Column("Address", _address, description="Where the Ingress can be reached."),
    Column("Ports", _ingress_ports, description="Ports of TLS configurations that open"),
    AGE,
)


def _parameters(ingress_class: Object, now: datetime) -> Any:
    parameters = spec_of(ingress_class).get("parameters")
    if not parameters:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters.get('kind')}{group}/{parameters.get('name')}"


INGRESS_CLASS_COLUMNS = (
    NAME,
    Column("Controller", path("spec", "controller", absent=""), description="Who handles Ingresses of this class."),
    Column("Parameters", _parameters, description="A reference to a resource with additional parameters"),
    AGE,
)
