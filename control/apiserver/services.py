"""What a Service gets from the cluster: its addresses, its node ports, and what it keeps over updates.

A create asks for what it needs; an update asks for what is new and gives back what it no longer uses. Both happen as a
`Grant`: numbers are taken at once, so that nobody else gets them while the write is on its way, and are given back by
`undo` if it fails; what the old version held and the new one does not is given back by `settle`, after success only.

Before that, an update is completed from the old version (`carry_over`): a client that leaves allocated values out
(`kubectl apply` of the same manifest, a PUT of a hand-written file) means "as before", and values that no longer apply
to the type go away unless the client sets them to something new. The rules are those of
pkg/registry/core/service/strategy.go (patchAllocatedValues, NormalizeClusterIPs, dropTypeDependentFields).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control.api.kinds import SERVICE
from control.api.objects import Key, Object, key_of, name_of, spec_of
from control.api.status import FieldError, StatusError, internal_error, invalid
from control.apiserver.allocate import Books, Full, OutOfRange, Taken

NONE = "None"


@dataclass(slots=True)
class Grant:
    """What one write of a Service took and what it will give back."""

    owner: Key
    taken_addresses: list[str] = field(default_factory=list)
    taken_ports: list[int] = field(default_factory=list)
    freed_addresses: list[str] = field(default_factory=list)
    freed_ports: list[int] = field(default_factory=list)

    def undo(self, books: Books) -> None:
        _give_back(books, self.owner, self.taken_addresses, self.taken_ports)

    def settle(self, books: Books) -> None:
        _give_back(books, self.owner, self.freed_addresses, self.freed_ports)


def _give_back(books: Books, owner: Key, addresses: list[str], ports: list[int]) -> None:
    for address in addresses:
        books.release_address(address, owner)
    for port in ports:
        books.release_port(port, owner)


def has_address(service: Mapping[str, Any]) -> bool:
    """Whether a Service of this shape has a cluster IP: not ExternalName, not headless."""
    spec = spec_of(service)
    return spec.get("type", "ClusterIP") != "ExternalName" and spec.get("clusterIP") != NONE


def has_node_ports(service: Mapping[str, Any]) -> bool:
    type_ = spec_of(service).get("type")
    return type_ == "NodePort" or (
        type_ == "LoadBalancer" and spec_of(service).get("allocateLoadBalancerNodePorts") is not False
    )


def has_health_port(service: Mapping[str, Any]) -> bool:
    spec = spec_of(service)
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_external(service: Mapping[str, Any]) -> bool:
    """Whether the Service can be reached from outside, so that externalTrafficPolicy means something."""
    spec = spec_of(service)
    type_ = spec.get("type", "ClusterIP")
    return type_ in ("NodePort", "LoadBalancer") or (type_ == "ClusterIP" and bool(spec.get("externalIPs")))


def addresses_of(service: Mapping[str, Any]) -> list[str]:
    if not has_address(service):
        return []
    spec = spec_of(service)
    return list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))


def ports_of(service: Mapping[str, Any]) -> list[int]:
    spec = spec_of(service)
    ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return list(dict.fromkeys(ports))


def carry_over(new: Object, old: Object) -> None:
    """Completes an update from the version before it."""
    spec, was = new.setdefault("spec", {}), spec_of(old)
    if has_address(old) and has_address(new):
        for key in ("clusterIP", "clusterIPs"):
            if not spec.get(key) and was.get(key):
                spec[key] = was[key]
    if has_node_ports(old) and has_node_ports(new):
        _carry_ports(spec, was)
    if has_health_port(old) and has_health_port(new) and was.get("healthCheckNodePort"):
        spec.setdefault("healthCheckNodePort", was["healthCheckNodePort"])
    if spec.get("type", "ClusterIP") != "ExternalName":
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if was.get(key):
                spec.setdefault(key, was[key])
    _normalize(spec, was)
    _drop_inapplicable(new, old)


def _carry_ports(spec: Object, was: Mapping[str, Any]) -> None:
    kept = {port.get("nodePort") for port in spec.get("ports") or ()}
    before = {port.get("name", ""): port.get("nodePort") for port in was.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = before.get(port.get("name", ""))
        if not port.get("nodePort") and number and number not in kept:
            port["nodePort"] = number


def _normalize(spec: Object, was: Mapping[str, Any]) -> None:
    """Keeps clusterIPs in step when a client changes clusterIP alone."""
    single, several = spec.get("clusterIP"), spec.get("clusterIPs")
    if single == was.get("clusterIP") or several != was.get("clusterIPs"):
        if single and not several:
            spec["clusterIPs"] = [single]
        return
    if single:
        spec["clusterIPs"] = [single]
    else:
        spec.pop("clusterIPs", None)


def _drop_inapplicable(new: Object, old: Object) -> None:
    """Takes away what the new type has no use for, where the client has not set it to something new."""
    spec, was = new["spec"], spec_of(old)
    if has_address(old) and spec.get("type") == "ExternalName":
        _drop_same(spec, was, "clusterIPs" if spec.get("clusterIP") == was.get("clusterIP") else "", "clusterIP")
        _drop_same(spec, was, "ipFamilies", "ipFamilyPolicy")
    if has_node_ports(old) and not has_node_ports(new) and spec.get("type") != "LoadBalancer":
        before = {port.get("nodePort") for port in was.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in before:
                port.pop("nodePort", None)
    if is_external(old) and not is_external(new):
        _drop_same(spec, was, "externalTrafficPolicy")
    if has_health_port(old) and not has_health_port(new):
        _drop_same(spec, was, "healthCheckNodePort")
    if was.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_same(spec, was, "allocateLoadBalancerNodePorts", "loadBalancerClass")


def _drop_same(spec: Object, was: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if spec.get(key) == was.get(key):
            spec.pop(key, None)


def grant(service: Object, old: Object | None, books: Books) -> Grant:
    """Fills in what `service` needs; raises the 422 of a number that cannot be had, with nothing taken."""
    given = Grant(key_of(service))
    try:
        _families(service)
        _grant_address(service, old, books, given)
        _grant_ports(service, old, books, given)
    except BaseException:
        given.undo(books)
        raise
    if old is not None:
        addresses, ports = addresses_of(service), ports_of(service)
        given.freed_addresses = [one for one in addresses_of(old) if one not in addresses]
        given.freed_ports = [one for one in ports_of(old) if one not in ports]
    return given


def _refuse(service: Object, path: str, value: str, why: str) -> StatusError:
    return invalid(SERVICE, name_of(service), [FieldError(path, "FieldValueInvalid", f"Invalid value: {value}: {why}")])


def _families(service: Object) -> None:
    """This cluster is IPv4 only: what asks for more is told so, what asks for nothing is told what it got."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    families = spec.setdefault("ipFamilies", ["IPv4"])
    for index, family in enumerate(families):
        if family == "IPv6":
            raise _refuse(service, f"spec.ipFamilies[{index}]", '"IPv6"', "not configured on this cluster")
    if spec.setdefault("ipFamilyPolicy", "SingleStack") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        raise _refuse(service, "spec.ipFamilyPolicy", '"RequireDualStack"', why)


def _grant_address(service: Object, old: Object | None, books: Books, given: Grant) -> None:
    spec = service["spec"]
    if spec.get("clusterIP") == NONE:
        spec["clusterIPs"] = [NONE]
    if not has_address(service):
        return
    held = addresses_of(old) if old is not None else []
    asked = addresses_of(service)
    if not asked:
        try:
            address = books.any_address(given.owner)
        except Full:
            raise internal_error("failed to allocate a serviceIP: range is full") from None
        given.taken_addresses.append(address)
        asked = [address]
    for address in asked:
        if address in held or address in given.taken_addresses:
            continue
        value = '["' + '","'.join(asked) + '"]'
        try:
            books.take_address(address, given.owner)
        except Taken:
            why = f"failed to allocate IP {address}: provided IP is already allocated"
            raise _refuse(service, "spec.clusterIPs", value, why) from None
        except (OutOfRange, ValueError):
            why = (
                f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
                f"The range of valid IPs is {books.network}"
            )
            raise _refuse(service, "spec.clusterIPs", value, why) from None
        given.taken_addresses.append(address)
    spec["clusterIP"] = asked[0]
    spec["clusterIPs"] = asked


def _grant_ports(service: Object, old: Object | None, books: Books, given: Grant) -> None:
    spec = service["spec"]
    held = set(ports_of(old)) if old is not None else set()
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        if port.get("nodePort"):
            _take_port(service, f"spec.ports[{index}].nodePort", port["nodePort"], held, books, given)
    for port in ports:
        if has_node_ports(service) and not port.get("nodePort"):
            port["nodePort"] = _shared(port, ports) or _any_port(books, given)
    if has_health_port(service):
        wanted = spec.get("healthCheckNodePort")
        if wanted:
            _take_port(service, "spec.healthCheckNodePort", wanted, held, books, given)
        else:
            spec["healthCheckNodePort"] = _any_port(books, given)


def _shared(port: Object, ports: list[Object]) -> int | None:
    """The node port of the same port under another protocol: DNS wants 53 on TCP and UDP alike."""
    same = [one for one in ports if one.get("nodePort") and one.get("port") == port.get("port")]
    for candidate in same:
        number: int = candidate["nodePort"]
        users = [one for one in ports if one.get("nodePort") == number]
        if all(one.get("protocol", "TCP") != port.get("protocol", "TCP") for one in users):
            return number
    return None


def _take_port(service: Object, path: str, port: int, held: set[int], books: Books, given: Grant) -> None:
    if port in held or port in given.taken_ports:
        return
    low, high = books.node_ports
    try:
        books.take_port(port, given.owner)
    except Taken:
        raise _refuse(service, path, str(port), "provided port is already allocated") from None
    except OutOfRange:
        why = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        raise _refuse(service, path, str(port), why) from None
    given.taken_ports.append(port)


def _any_port(books: Books, given: Grant) -> int:
    try:
        port = books.any_port(given.owner)
    except Full:
        raise internal_error("failed to allocate a nodePort: range is full") from None
    given.taken_ports.append(port)
    return port


def occupy(service: Mapping[str, Any], books: Books) -> list[str]:
    """Books what a stored Service holds, at start; returns what could not be booked (another range, a double use)."""
    problems = []
    owner = key_of(service)
    for address in addresses_of(service):
        try:
            books.take_address(address, owner)
        except (Taken, OutOfRange, ValueError):
            problems.append(f"cluster IP {address} of Service {owner}")
    for port in ports_of(service):
        try:
            books.take_port(port, owner)
        except (Taken, OutOfRange):
            problems.append(f"node port {port} of Service {owner}")
    return problems


def release(service: Mapping[str, Any], books: Books) -> None:
    """Gives back everything that a removed Service held."""
    _give_back(books, key_of(service), addresses_of(service), ports_of(service))
