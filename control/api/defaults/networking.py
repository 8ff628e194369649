"""Defaults of the networking and discovery groups (pkg/apis/{networking,discovery}/v1/defaults.go)."""

from __future__ import annotations

from control.api.objects import Object


def default_endpoint_slice(endpoint_slice: Object) -> None:
    """Ports always show a name and a protocol; an endpoint always shows its conditions."""
    for port in endpoint_slice.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    for endpoint in endpoint_slice.get("endpoints") or ():
        endpoint.setdefault("conditions", {})


def default_ingress_class(ingress_class: Object) -> None:
    parameters = (ingress_class.get("spec") or {}).get("parameters")
    if parameters:
        parameters.setdefault("scope", "Cluster")
