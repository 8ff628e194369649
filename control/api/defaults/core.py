"""Defaults of the core group beside pods (pkg/apis/core/v1/defaults.go), and of PriorityClass."""

from __future__ import annotations

import base64

from control.api.defaults.pod import default_template
from control.api.objects import Object, labels_of, name_of

AFFINITY_TIMEOUT_S = 10800
NAME_LABEL = "kubernetes.io/metadata.name"


def default_namespace(namespace: Object) -> None:
    """Every namespace carries its own name as a label, whatever the client says."""
    name = name_of(namespace)
    if name and labels_of(namespace).get(NAME_LABEL) != name:
        meta = namespace.setdefault("metadata", {})
        meta["labels"] = {**(meta.get("labels") or {}), NAME_LABEL: name}


def default_node(node: Object) -> None:
    status = node.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def default_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    if spec.setdefault("sessionAffinity", "None") == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", AFFINITY_TIMEOUT_S)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if external:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for address in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if address.get("ip"):
                address.setdefault("ipMode", "VIP")


def default_endpoints(endpoints: Object) -> None:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def default_secret(secret: Object) -> None:
    """`stringData` is only a way to write: it ends up in `data`, over what is there."""
    secret.setdefault("type", "Opaque")
    texts = secret.pop("stringData", None)
    if texts:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def default_replication_controller(controller: Object) -> None:
    spec = controller.setdefault("spec", {})
    labels = labels_of(spec.get("template") or {})
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not labels_of(controller):
            controller.setdefault("metadata", {})["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    if "template" in spec:  # a pointer in Go: its absence is an error, not an empty template
        default_template(spec)


def default_priority_class(priority_class: Object) -> None:
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")


def default_limit_range(limit_range: Object) -> None:
    """For containers: no limit means the largest, no request means the limit or, failing that, the least."""
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        for field, amounts in (("default", limits), ("defaultRequest", requests)):
            if amounts:
                item[field] = amounts
