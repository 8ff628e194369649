"""What a resource must mean, beyond its types: refused here is what no worker could act upon.

The codec checks that a port is an integer, this module that it is a port. A reference to something that is not there
(yet) is no mistake: the model says so. The numbers' limits are those of TCP/IP and of sense, not policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dataplane.snapshot.model import Backend, Certificate, Endpoint, Listener, Resource, ResourceType, Route, type_of

IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)", re.ASCII)
IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", re.ASCII)  # exact grammar is left to the kernel
HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.ASCII)


def problem(resource: Resource) -> str:
    """Why the resource cannot be used, naming it and the field; "" if it can."""
    kind = type_of(resource)
    if not resource.name:
        return f"{kind} without a name"
    found = _CHECKS[kind](resource)
    return f"{kind} {resource.name}: {found}" if found else ""


def _listener(item: Listener) -> str:
    if not _is_address(item.address):
        return f"address: {item.address!r} is no IP address"
    if not 0 < item.port < 65536:
        return f"port: {item.port} is no port"
    if item.mode == "ingress" and not item.table:
        return "table: an ingress listener needs one"
    if item.mode != "ingress" and not item.backend:
        return f"backend: a {item.mode} listener needs one"
    if item.affinity_timeout_s < 0:
        return "affinity_timeout_s: below zero"
    if item.affinity_timeout_s and item.mode == "ingress":
        return "affinity_timeout_s: an ingress listener has none"
    if item.tls and item.mode == "tcp":
        return "tls: a tcp listener passes bytes through as they are"
    return ""


def _route(item: Route) -> str:
    if not item.table:
        return "table: a route belongs to one"
    if item.host and not HOST.fullmatch(item.host):
        return f"host: {item.host!r} is neither a lowercase DNS name nor one with a first label of '*'"
    if not item.is_default and not item.path.startswith("/") and (item.path or item.path_type == "Exact"):
        return f"path: {item.path!r} does not begin with '/'"
    return ""


def _backend(item: Backend) -> str:
    for name in ("tries_max", "connections_max"):
        if getattr(item, name) < 1:
            return f"{name}: below 1"
    if item.pending_max < 0:
        return "pending_max: below zero"
    for name in ("connect_timeout_s", "response_timeout_s", "idle_timeout_s"):
        if not getattr(item, name) > 0:
            return f"{name}: not above zero"
    return ""


def _endpoint(item: Endpoint) -> str:
    if not item.backend or not item.id:
        return "backend and id: both are needed"
    if not _is_address(item.address):
        return f"address: {item.address!r} is no IP address"
    if not 0 < item.port < 65536:
        return f"port: {item.port} is no port"
    return ""


def _certificate(item: Certificate) -> str:
    for host in item.hosts:
        if host and not HOST.fullmatch(host):
            return f"hosts: {host!r} is neither a lowercase DNS name nor one with a first label of '*'"
    return "" if item.hosts else "hosts: at least one ('' for the default certificate)"


def _is_address(text: str) -> bool:
    return bool(IPV4.fullmatch(text) or IPV6.fullmatch(text))


_CHECKS: dict[ResourceType, Callable[[Any], str]] = {
    "listener": _listener,
    "route": _route,
    "backend": _backend,
    "endpoint": _endpoint,
    "certificate": _certificate,
}
