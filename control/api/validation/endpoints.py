"""Endpoints and EndpointSlices: addresses that can be dialled, ports with names that tell them apart.

One difference to Kubernetes: loopback addresses are valid. On a single machine pods have their own addresses in 127/8,
and users may point a Service without selector at something that listens there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from control.api import faults, names
from control.api.objects import Object
from control.api.status import FieldError
from control.api.validation.container import PROTOCOLS

ENDPOINTS_MAX, ADDRESSES_MAX, PORTS_MAX, HINTS_MAX = 1000, 100, 20000, 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def validate_endpoints(endpoints: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        at = f"subsets[{index}]"
        ready, waiting = subset.get("addresses") or (), subset.get("notReadyAddresses") or ()
        if not ready and not waiting:
            found.append(faults.required(at, "must specify `addresses` or `notReadyAddresses`"))
        for field, addresses in (("addresses", ready), ("notReadyAddresses", waiting)):
            for number, address in enumerate(addresses):
                found += _endpoint_address(address, f"{at}.{field}[{number}]")
        ports = subset.get("ports") or ()
        for number, port in enumerate(ports):
            found += _endpoint_port(port, f"{at}.ports[{number}]", named=len(ports) > 1)
    return found


def _endpoint_address(address: Object, path: str) -> list[FieldError]:
    text = address.get("ip") or ""
    found = faults.each_invalid(f"{path}.ip", text, names.ip_address(text))
    if not found:
        found = _special(text, f"{path}.ip")
    hostname, node = address.get("hostname"), address.get("nodeName")
    if hostname:
        found += faults.each_invalid(f"{path}.hostname", hostname, names.dns_label(hostname))
    if node is not None:
        found += faults.each_invalid(f"{path}.nodeName", node, names.dns_subdomain(node))
    return found


def _special(text: str, path: str) -> list[FieldError]:
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        return [faults.invalid(path, text, "may not be unspecified (0.0.0.0 or ::)")]
    if address.is_link_local:
        return [faults.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    if address.is_multicast:
        return [faults.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    return []


def _endpoint_port(port: Object, path: str, *, named: bool) -> list[FieldError]:
    name = port.get("name") or ""
    found: list[FieldError] = []
    if named and not name:
        found.append(faults.required(f"{path}.name"))
    elif name:
        found += faults.each_invalid(f"{path}.name", name, names.dns_label(name))
    number = port.get("port") or 0
    found += faults.each_invalid(f"{path}.port", number, names.port_number(number))
    found += faults.one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    protocol = port.get("appProtocol")
    if protocol is not None:
        found += faults.each_invalid(f"{path}.appProtocol", protocol, names.qualified_name(protocol))
    return found


def validate_endpoint_slice(endpoint_slice: Object) -> list[FieldError]:
    kind = endpoint_slice.get("addressType") or ""
    found = faults.one_of("addressType", kind, ADDRESS_TYPES)
    endpoints = endpoint_slice.get("endpoints") or ()
    if len(endpoints) > ENDPOINTS_MAX:
        return [*found, faults.too_many("endpoints", len(endpoints), ENDPOINTS_MAX)]
    for index, endpoint in enumerate(endpoints):
        found += _endpoint(endpoint, kind, f"endpoints[{index}]")
    return found + _slice_ports(endpoint_slice.get("ports") or ())


def _endpoint(endpoint: Object, kind: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or ()
    found: list[FieldError] = []
    if not addresses:
        found.append(faults.required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > ADDRESSES_MAX:
        found.append(faults.too_many(f"{path}.addresses", len(addresses), ADDRESSES_MAX))
    for index, address in enumerate(addresses):
        found += _slice_address(address, kind, f"{path}.addresses[{index}]")
    hostname, node = endpoint.get("hostname"), endpoint.get("nodeName")
    if hostname is not None:
        found += faults.each_invalid(f"{path}.hostname", hostname, names.dns_label(hostname))
    if node is not None:
        found += faults.each_invalid(f"{path}.nodeName", node, names.dns_subdomain(node))
    hints = endpoint.get("hints") or {}
    zones: set[str] = set()
    for index, zone in enumerate(hints.get("forZones") or ()):
        name = zone.get("name") or ""
        if name in zones:
            found.append(faults.duplicate(f"{path}.hints.forZones[{index}]", name))
        found += faults.each_invalid(f"{path}.hints.forZones[{index}].name", name, names.label_value(name))
        zones.add(name)
    if len(zones) > HINTS_MAX:
        found.append(faults.too_many(f"{path}.hints.forZones", len(zones), HINTS_MAX))
    return found


def _slice_address(address: str, kind: str, path: str) -> list[FieldError]:
    if kind == "FQDN":
        return faults.each_invalid(path, address, names.dns_subdomain(address))
    if kind not in ("IPv4", "IPv6"):
        return []
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return faults.each_invalid(path, address, names.ip_address(address))
    if version != (4 if kind == "IPv4" else 6):
        return [faults.invalid(path, address, f"must be an {kind} address")]
    return _special(address, path)


def _slice_ports(ports: Sequence[Object]) -> list[FieldError]:
    if len(ports) > PORTS_MAX:
        return [faults.too_many("ports", len(ports), PORTS_MAX)]
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"ports[{index}]"
        name = port.get("name") or ""
        if name:
            found += faults.each_invalid(f"{at}.name", name, names.dns_label(name))
        if name in seen:
            found.append(faults.duplicate(f"{at}.name", name))
        seen.add(name)
        number = port.get("port")
        if number is not None:
            found += faults.each_invalid(f"{at}.port", number, names.port_number(number))
        found += faults.one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS)
        protocol = port.get("appProtocol")
        if protocol is not None:
            found += faults.each_invalid(f"{at}.appProtocol", protocol, names.qualified_name(protocol))
    return found


def validate_endpoint_slice_update(new: Object, old: Object) -> list[FieldError]:
    return faults.immutable("addressType", new.get("addressType"), old.get("addressType"))
