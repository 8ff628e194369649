"""What exists in every cluster before anybody creates anything.

The four namespaces, the Service `default/kubernetes` at the first address of the service range with the API server as
its endpoint, the Service `kube-system/kube-dns` where the cluster's names are answered, the IngressClass that
loopkube's own ingress serves (the default class), the StorageClass `standard` (the default class too, as in kind;
unlike kind's it lets volumes grow), and the two system priority classes. All of it is compared at each start, so an
upgrade adds what is new and a moved API port is put right; what users have changed in their own fields stays.
"""

from __future__ import annotations

from typing import NamedTuple

from control.api.kinds import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    INGRESS_CLASS,
    NAMESPACE,
    PRIORITY_CLASS,
    SERVICE,
    STORAGE_CLASS,
    Kind,
)
from control.api.objects import Object
from control.api.storage import IS_DEFAULT, PROVISIONER, STANDARD

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
INGRESS_CLASS_NAME = "loopkube"
INGRESS_CONTROLLER = "loopkube.io/ingress"
SYSTEM_CLUSTER_CRITICAL = 2_000_000_000  # scheduling.SystemCriticalPriority
SYSTEM_NODE_CRITICAL = 2_000_001_000
DNS_LABELS = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
API_LABELS = {"component": "apiserver", "provider": "kubernetes"}


class Wanted(NamedTuple):
    """One object; `follows` names the top-level parts that the server keeps as they are here."""

    kind: Kind
    obj: Object
    follows: tuple[str, ...] = ()


def _object(kind: Kind, name: str, namespace: str = "", **parts: object) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    for key in ("labels", "annotations"):
        if key in parts:
            metadata[key] = parts.pop(key)
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}


def cluster(service_address: str, api_port: int) -> list[Wanted]:
    """What is there before the API server listens."""
    wanted = [Wanted(NAMESPACE, _object(NAMESPACE, name)) for name in NAMESPACES]
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": api_port}
    spec = {
        "clusterIP": service_address,
        "clusterIPs": [service_address],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ports": [port],
    }
    wanted.append(Wanted(SERVICE, _object(SERVICE, "kubernetes", "default", labels=API_LABELS, spec=spec)))
    wanted.append(
        Wanted(
            INGRESS_CLASS,
            _object(
                INGRESS_CLASS,
                INGRESS_CLASS_NAME,
                annotations={"ingressclass.kubernetes.io/is-default-class": "true"},
                spec={"controller": INGRESS_CONTROLLER},
            ),
        )
    )
    wanted.append(
        Wanted(
            STORAGE_CLASS,
            _object(
                STORAGE_CLASS,
                STANDARD,
                annotations={IS_DEFAULT: "true"},
                provisioner=PROVISIONER,
                reclaimPolicy="Delete",
                volumeBindingMode="WaitForFirstConsumer",
                allowVolumeExpansion=True,
            ),
        )
    )
    wanted += [
        _priority(
            "system-cluster-critical",
            SYSTEM_CLUSTER_CRITICAL,
            "must run in the cluster, but can be moved to another node if necessary",
        ),
        _priority("system-node-critical", SYSTEM_NODE_CRITICAL, "must not be moved from their current node"),
    ]
    return wanted


def _priority(name: str, value: int, which: str) -> Wanted:
    description = f"Used for system critical pods that {which}."
    return Wanted(PRIORITY_CLASS, _object(PRIORITY_CLASS, name, value=value, description=description))


def api_endpoints(host: str, port: int) -> list[Wanted]:
    """Where the Service `default/kubernetes` leads: written once the API server listens."""
    endpoints = _object(
        ENDPOINTS,
        "kubernetes",
        "default",
        labels={"endpointslice.kubernetes.io/skip-mirror": "true"},
        subsets=[
            {"addresses": [{"ip": host}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]},
        ],
    )
    slice_ = _object(
        ENDPOINT_SLICE,
        "kubernetes",
        "default",
        labels={"kubernetes.io/service-name": "kubernetes"},
        addressType="IPv4",
        endpoints=[{"addresses": [host], "conditions": {"ready": True}}],
        ports=[{"name": "https", "port": port, "protocol": "TCP"}],
    )
    return [Wanted(ENDPOINTS, endpoints, ("subsets",)), Wanted(ENDPOINT_SLICE, slice_, ("endpoints", "ports"))]


def dns_service(address: str, port: int) -> list[Wanted]:
    """Where the cluster's names are answered: by the data plane itself, at the Service's address.

    No proxy stands in between, which the label says to every proxy; the slice says at which port names are really
    answered, where 53 could not be had.
    """
    labels = {**DNS_LABELS, "service.kubernetes.io/service-proxy-name": "loopkube-dns"}
    ports = [{"name": "dns", "protocol": "UDP"}, {"name": "dns-tcp", "protocol": "TCP"}]
    spec = {
        "clusterIP": address,
        "clusterIPs": [address],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ports": [{**each, "port": 53, "targetPort": port} for each in ports],
    }
    slice_ = _object(
        ENDPOINT_SLICE,
        "kube-dns",
        "kube-system",
        labels={"kubernetes.io/service-name": "kube-dns"},
        addressType="IPv4",
        endpoints=[{"addresses": [address], "conditions": {"ready": True}}],
        ports=[{**each, "port": port} for each in ports],
    )
    return [
        Wanted(SERVICE, _object(SERVICE, "kube-dns", "kube-system", labels=labels, spec=spec)),
        Wanted(ENDPOINT_SLICE, slice_, ("endpoints", "ports")),
    ]


def corrected(wanted: Wanted, found: Object) -> Object | None:
    """What to write where an object exists already: None if it is right."""
    differing = {part: wanted.obj[part] for part in wanted.follows if found.get(part) != wanted.obj[part]}
    return {**found, **differing} if differing else None
