"""What a resource must mean, beyond its types: refused here is what no worker could act upon.

The codec checks that a port is an integer, this module that it is a port. A reference to something that is not there
(yet) is no mistake: the model says so. The numbers' limits are those of TCP/IP and of sense, not policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from dataplane.snapshot import policy_check
from dataplane.snapshot.hash_key import unknown_in
from dataplane.snapshot.model import (
    Backend,
    Certificate,
    Endpoint,
    Listener,
    Node,
    Record,
    Resource,
    ResourceType,
    Route,
    Zone,
    type_of,
)
from dataplane.snapshot.pattern import problem_of

IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)", re.ASCII)
IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", re.ASCII)  # exact grammar is left to the kernel
NAME_MAX, LABEL_MAX, TEXT_MAX = 254, 63, 255  # RFC 1035 2.3.4, with the final dot; a TXT is one string here
LABEL = re.compile(rf"[a-z0-9_-]{{1,{LABEL_MAX}}}", re.ASCII)
WEIGHT_MAX = 256  # HAProxy's
TTL_MAX_S = 2**31 - 1  # RFC 2181 8
HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.ASCII)


def problem(resource: Resource) -> str:
    """Why the resource cannot be used, naming it and the field; "" if it can."""
    kind = type_of(resource)
    if not resource.name:
        return f"{kind} without a name"
    found = _CHECKS[kind](resource)
    return f"{kind} {resource.name}: {found}" if found else ""


def _listener(item: Listener) -> str:
    if not is_address(item.address):
        return f"address: {item.address!r} is no IP address"
    if not 0 < item.port < 65536:
        return f"port: {item.port} is no port"
    if item.mode == "ingress" and not item.table:
        return "table: an ingress listener needs one"
    if item.mode in ("tcp", "udp", "http", "health") and not item.backend:
        return f"backend: a {item.mode} listener needs one"
    if item.affinity_timeout_s < 0:
        return "affinity_timeout_s: below zero"
    if item.affinity_timeout_s and item.mode not in ("tcp", "udp", "http"):
        return f"affinity_timeout_s: a{'n' * (item.mode == 'ingress')} {item.mode} listener has none"
    if item.local and item.mode not in ("tcp", "udp", "http"):
        return f"local: a{'n' * (item.mode == 'ingress')} {item.mode} listener has no traffic policy"
    if item.mode == "health" and not item.node:
        return "node: a health listener speaks for one"
    if item.tls and item.mode in _PLAIN:
        return f"tls: {_PLAIN[item.mode]}"
    return ""


_PLAIN = {
    "tcp": "a tcp listener passes bytes through as they are",
    "udp": "a udp listener passes datagrams through as they are",
    "dns": "a dns listener speaks plain UDP and TCP",
    "health": "a health listener speaks plain HTTP",
}


def _route(item: Route) -> str:
    if not item.table:
        return "table: a route belongs to one"
    if item.host and not HOST.fullmatch(item.host):
        return f"host: {item.host!r} is neither a lowercase DNS name nor one with a first label of '*'"
    if not item.is_default and not item.path.startswith("/") and (item.path or item.path_type in ("Exact", "Regex")):
        return f"path: {item.path!r} does not begin with '/'"
    if item.path_type == "Regex" and (why := problem_of(item.path)):
        return f"path: {why}"
    if item.is_canary and not item.policy:
        return "policy: a canary needs one"
    return ""


def _backend(item: Backend) -> str:
    if item.connections_max < 1:
        return "connections_max: below 1"
    for name in ("tries_max", "pending_max", "retry_timeout_s", "slow_start_s", "eject_after", "retry_budget",
                 "retries_min_per_s"):  # fmt: skip
        if getattr(item, name) < 0:
            return f"{name}: below zero"
    for name in ("connect_timeout_s", "send_timeout_s", "response_timeout_s", "idle_timeout_s", "eject_s"):
        if not getattr(item, name) > 0:
            return f"{name}: not above zero"
    if unknown := unknown_in(item.hash_on):
        return f"hash_on: no such variable: {', '.join(unknown)}"
    return ""


def _endpoint(item: Endpoint) -> str:
    if not item.backend or not item.id:
        return "backend and id: both are needed"
    if item.by_name and (is_address(item.address) or not HOST.fullmatch(item.address)):
        return f"address: {item.address!r} is no lowercase DNS name"
    if not item.by_name and not is_address(item.address):
        return f"address: {item.address!r} is no IP address"
    if not 0 < item.port < 65536:
        return f"port: {item.port} is no port"
    if not 1 <= item.weight <= WEIGHT_MAX:
        return f"weight: {item.weight} is not between 1 and {WEIGHT_MAX}"
    return ""


def _certificate(item: Certificate) -> str:
    for host in item.hosts:
        if host and not HOST.fullmatch(host):
            return f"hosts: {host!r} is neither a lowercase DNS name nor one with a first label of '*'"
    return "" if item.hosts else "hosts: at least one ('' for the default certificate)"


def _zone(item: Zone) -> str:
    for name, value in (("name", item.name), ("nameserver", item.nameserver)):
        if not _is_domain(value):
            return f"{name}: {value!r} is no absolute lowercase DNS name"
    if not 0 <= item.ttl_s <= TTL_MAX_S:
        return f"ttl_s: {item.ttl_s} is not between 0 and {TTL_MAX_S}"
    for address, port in item.upstreams:
        if not is_address(address) or not 0 < port < 65536:
            return f"upstreams: {address!r}, {port} is no address and port"
    return ""


def _record(item: Record) -> str:
    if not _is_domain(item.owner):
        return f"owner: {item.owner!r} is no absolute lowercase DNS name"
    if item.type in ("A", "AAAA") and not _is_written_as(item.data, IPv4Address if item.type == "A" else IPv6Address):
        return f"data: {item.data!r} is no address for {item.type}"
    if item.type in ("CNAME", "PTR", "SRV") and not _is_domain(item.data):
        return f"data: {item.data!r} is no absolute lowercase DNS name"
    if item.type == "TXT" and not (item.data.isascii() and len(item.data) <= TEXT_MAX):
        return f"data: more than {TEXT_MAX} ASCII characters"
    if item.type in ("EMPTY", "DASHED") and item.data:
        return f"data: {item.type} has none"
    if not 0 <= item.port < 65536 or (item.port and item.type != "SRV"):
        return f"port: {item.port} belongs to no {item.type}"
    return ""


def _node(item: Node) -> str:
    for text in item.ranges:
        try:
            ip_network(text)
        except ValueError:
            return f"ranges: {text!r} is no CIDR"
    return ""


def _is_domain(text: str) -> bool:
    return text == "." or (
        text.endswith(".") and len(text) <= NAME_MAX and all(map(LABEL.fullmatch, text[:-1].split(".")))
    )


def _is_written_as(text: str, family: type[IPv4Address | IPv6Address]) -> bool:
    try:
        family(text)
    except ValueError:
        return False
    return "%" not in text


def is_address(text: str) -> bool:
    return bool(IPV4.fullmatch(text) or IPV6.fullmatch(text))


_CHECKS: dict[ResourceType, Callable[[Any], str]] = {
    "listener": _listener,
    "route": _route,
    "routepolicy": policy_check.problem,
    "backend": _backend,
    "endpoint": _endpoint,
    "certificate": _certificate,
    "zone": _zone,
    "record": _record,
    "node": _node,
}
