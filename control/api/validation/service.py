"""Services: ports, addresses by type, traffic policies; and that a Service keeps the address it was given.

Addresses and node ports are allocated before validation, so a ClusterIP Service without an address is one whose
allocation was skipped (a dry run); it is not an error here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from control.api import faults, names
from control.api.objects import Object, spec_of, status_of
from control.api.status import FieldError
from control.api.validation.container import PROTOCOLS
from control.api.validation.meta import NameRule, validate_labels, without_suffix
from control.api.validation.probe import port_or_name

AFFINITY_TIMEOUT_MAX_S = 86400
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")


def _service_name(name: str, prefix: bool) -> Sequence[str]:
    """Since 1.37 a Service's name may start with a digit (KEP-5311)."""
    return names.dns_label(without_suffix(name, prefix))


service_name: NameRule = _service_name


def validate_service(service: Object) -> list[FieldError]:
    spec = spec_of(service)
    kind, ports = spec.get("type") or "", spec.get("ports") or ()
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    headless = bool(addresses) and addresses[0] == "None"
    found: list[FieldError] = []
    if not ports and not headless and kind != "ExternalName":
        found.append(faults.required("spec.ports"))
    if headless and kind in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {kind} services"
        found.append(faults.invalid("spec.clusterIPs[0]", "None", why))
    if kind == "ExternalName":
        found += _external_name(spec)
    found += _ports(ports, kind)
    if spec.get("selector"):
        found += validate_labels(spec["selector"], "spec.selector")
    found += _affinity(spec)
    if kind != "ExternalName":
        found += _addresses(spec, addresses)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        found += _external_ip(address, f"spec.externalIPs[{index}]")
    found += faults.one_of("spec.type", kind, TYPES)
    found += _load_balancer(spec, kind)
    return found + _traffic(spec, kind)


def _external_name(spec: Mapping[str, Any]) -> list[FieldError]:
    why = "may not be set for ExternalName services"
    fields = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    found = [faults.forbidden(f"spec.{field}", why) for field in fields if spec.get(field)]
    target = (spec.get("externalName") or "").removesuffix(".")
    if not target:
        return [*found, faults.required("spec.externalName")]
    return found + faults.each_invalid("spec.externalName", target, names.dns_subdomain(target))


def _ports(ports: Sequence[Object], kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        name = port.get("name") or ""
        if name:
            found += faults.each_invalid(f"{at}.name", name, names.dns_label(name))
            if name in seen:
                found.append(faults.duplicate(f"{at}.name", name))
            seen.add(name)
        elif len(ports) > 1:
            found.append(faults.required(f"{at}.name"))
        number = port.get("port") or 0
        found += faults.each_invalid(f"{at}.port", number, names.port_number(number))
        found += faults.one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS)
        found += port_or_name(port.get("targetPort", 0), f"{at}.targetPort")
        protocol = port.get("appProtocol")
        if protocol is not None:
            found += faults.each_invalid(f"{at}.appProtocol", protocol, names.qualified_name(protocol))
    if kind == "ClusterIP":
        why = "may not be used when `type` is 'ClusterIP'"
        given = [index for index, port in enumerate(ports) if port.get("nodePort")]
        found += [faults.forbidden(f"spec.ports[{index}].nodePort", why) for index in given]
    return found + _twice(ports)


def _twice(ports: Sequence[Object]) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("nodePort", "port"):
        seen: set[tuple[str, int]] = set()
        for index, port in enumerate(ports):
            number, protocol = port.get(field) or 0, port.get("protocol") or ""
            if number and (protocol, number) in seen:
                if field == "nodePort":
                    found.append(faults.duplicate(f"spec.ports[{index}].nodePort", number))
                else:
                    found.append(faults.duplicate(f"spec.ports[{index}]", {"protocol": protocol, "port": number}))
            seen.add((protocol, number))
    return found


def _affinity(spec: Mapping[str, Any]) -> list[FieldError]:
    affinity: Any = spec.get("sessionAffinity")
    config: Any = spec.get("sessionAffinityConfig")
    found = faults.one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if affinity == "ClientIP":
        for field in ("", "clientIP", "timeoutSeconds"):
            path = f"{path}.{field}" if field else path
            config = (config or {}).get(field) if field else config
            if config is None:
                return [*found, faults.required(path, "when session affinity type is ClientIP")]
        if not 0 < config <= AFFINITY_TIMEOUT_MAX_S:
            why = f"must be greater than 0 and less than {AFFINITY_TIMEOUT_MAX_S}"
            found.append(faults.invalid(path, config, why))
    elif affinity == "None" and config is not None:
        found.append(faults.forbidden(path, "must not be set when session affinity is None"))
    return found


def _addresses(spec: Mapping[str, Any], addresses: Sequence[str]) -> list[FieldError]:
    found: list[FieldError] = []
    primary = spec.get("clusterIP") or ""
    listed = spec.get("clusterIPs") or []
    if primary and listed and listed[0] != primary:
        why = "first value must match `clusterIP`"
        found.append(faults.invalid("spec.clusterIPs", listed, why))
    if len(addresses) > 1 and "None" in addresses:
        found.append(faults.invalid("spec.clusterIPs[0]", addresses[0], "'None' must be the first and only value"))
    if len(addresses) > 2:
        found.append(faults.invalid("spec.clusterIPs", list(addresses), "may only hold up to 2 values"))
    for index, address in enumerate(addresses):
        if address not in ("None", ""):
            found += faults.each_invalid(f"spec.clusterIPs[{index}]", address, names.ip_address(address))
    policy = spec.get("ipFamilyPolicy")
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    found += faults.one_of("spec.ipFamilyPolicy", policy, policies, optional=True)
    seen: set[str] = set()
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        found += faults.one_of(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        if family in seen:
            found.append(faults.duplicate(f"spec.ipFamilies[{index}]", family))
        seen.add(family)
    return found


def _external_ip(address: str, path: str) -> list[FieldError]:
    complaints = names.ip_address(address)
    if complaints:
        return faults.each_invalid(path, address, complaints)
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return [faults.invalid(path, address, "may not be unspecified (0.0.0.0 or ::)")]
    if parsed.is_link_local:
        return [faults.invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    if parsed.is_multicast:
        return [faults.invalid(path, address, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    return []


def _load_balancer(spec: Mapping[str, Any], kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    only = "may only be used when `type` is 'LoadBalancer'"
    if spec.get("loadBalancerSourceRanges"):
        path = "spec.LoadBalancerSourceRanges"
        if kind != "LoadBalancer":
            found.append(faults.forbidden(path, only))
        for index, text in enumerate(spec["loadBalancerSourceRanges"]):
            found += validate_cidr(text.strip(), f"{path}[{index}]")
    if kind != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if field in spec:
                found.append(faults.forbidden(f"spec.{field}", only))
    elif "loadBalancerClass" in spec:
        name = spec["loadBalancerClass"]
        found += faults.each_invalid("spec.loadBalancerClass", name, names.qualified_name(name))
    return found


def validate_cidr(text: str, path: str) -> list[FieldError]:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        valid = False
    else:
        valid = "/" in text
    why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
    return [] if valid else [faults.invalid(path, text, why)]


def _traffic(spec: Mapping[str, Any], kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    external = spec.get("externalTrafficPolicy") or ""
    exposed = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    path = "spec.externalTrafficPolicy"
    if exposed:
        found += faults.one_of(path, external, POLICIES)
    elif external:
        found.append(faults.invalid(path, external, "may only be set for externally-accessible services"))
    checked = kind == "LoadBalancer" and external == "Local"
    health = spec.get("healthCheckNodePort") or 0
    if health and not checked:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(faults.invalid("spec.healthCheckNodePort", health, why))
    if kind != "ExternalName" or "internalTrafficPolicy" in spec:
        found += faults.one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), POLICIES)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        found.append(faults.not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return found


def validate_service_update(new: Object, old: Object) -> list[FieldError]:
    """The primary address and family stay, unless the type moves from or to ExternalName."""
    after, before = spec_of(new), spec_of(old)
    found: list[FieldError] = []
    if "ExternalName" not in (after.get("type"), before.get("type")):
        for field in ("clusterIPs", "ipFamilies"):
            was, now = before.get(field) or [], after.get(field) or []
            if was and (not now or now[0] != was[0]):
                why = "may not change once set" if field == "clusterIPs" else "primary ipFamily may not be changed"
                first = now[0] if now else ""
                found.append(faults.invalid(f"spec.{field}[0]", first if field == "ipFamilies" else now, why))
    was_class, now_class = before.get("loadBalancerClass"), after.get("loadBalancerClass")
    if before.get("type") == after.get("type") == "LoadBalancer" and was_class != now_class:
        why = "may not change once set"
        found.append(faults.invalid("spec.loadBalancerClass", now_class, why))
    return found


def validate_service_status(new: Object, old: Object) -> list[FieldError]:
    return validate_load_balancer(status_of(new), "status.loadBalancer")


def validate_load_balancer(status: Mapping[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, ingress in enumerate((status.get("loadBalancer") or {}).get("ingress") or ()):
        at = f"{path}.ingress[{index}]"
        address, host = ingress.get("ip") or "", ingress.get("hostname") or ""
        if address:
            found += faults.each_invalid(f"{at}.ip", address, names.ip_address(address))
        if "ipMode" in ingress:
            found += faults.one_of(f"{at}.ipMode", ingress["ipMode"], ("Proxy", "VIP"))
        if host:
            found += faults.each_invalid(f"{at}.hostname", host, names.dns_subdomain(host))
            if not names.ip_address(host):
                why = "must be a DNS name, not an IP address"
                found.append(faults.invalid(f"{at}.hostname", host, why))
    return found
