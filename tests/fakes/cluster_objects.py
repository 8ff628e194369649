"""API objects in few words, for tests of what is made of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from control.api.objects import Object


def metadata(name: str, namespace: str = "", **more: Any) -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {}), "uid": f"uid-{namespace}-{name}", **more}


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(name)}


def service(name: str, *ports: Object, namespace: str = "a", **spec: Any) -> Object:
    more = {part: spec.pop(part) for part in ("annotations", "labels") if part in spec}
    meta = metadata(name, namespace, **{part: value for part, value in more.items() if value})
    spec = {"type": "ClusterIP", "clusterIP": "127.96.0.9", "ports": list(ports or [{"port": 80}]), **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def endpoint(address: str, pod: str = "", ready: bool | None = True, **conditions: bool) -> Object:
    made: Object = {"addresses": [address], "conditions": {"ready": ready, **conditions}, "nodeName": "n0"}
    if pod:
        made["targetRef"] = {"kind": "Pod", "namespace": "a", "name": pod, "uid": f"uid-{pod}"}
    return made


def slice_(
    name: str,
    of: str,
    endpoints: Sequence[Object],
    *,
    namespace: str = "a",
    ports: Sequence[Object] | None = None,
    trigger: str = "",
    address_type: str = "IPv4",
) -> Object:
    annotations = {"loopkube.io/trigger-time": trigger} if trigger else {}
    meta = metadata(name, namespace, labels={"kubernetes.io/service-name": of}, annotations=annotations)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": address_type,
        "ports": list(ports) if ports is not None else [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def path(service_name: str, at: str = "/", port: int | str = 80, type_: str = "Prefix") -> Object:
    return {"path": at, "pathType": type_, "backend": backend(service_name, port)}


def backend(service_name: str, port: int | str = 80) -> Object:
    return {"service": {"name": service_name, "port": {"number" if isinstance(port, int) else "name": port}}}


def ingress(name: str, *rules: Object, namespace: str = "a", **spec: Any) -> Object:
    annotations = spec.pop("annotations", None)
    created = spec.pop("created", "2026-01-01T00:00:00Z")
    meta = metadata(name, namespace, creationTimestamp=created)
    if annotations:
        meta["annotations"] = annotations
    spec = {"ingressClassName": "loopkube", "rules": list(rules), **spec}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec}


def rule(host: str, *paths: Object) -> Object:
    return {"host": host, "http": {"paths": list(paths)}} if paths else {"host": host}


def ingress_class(name: str = "loopkube", controller: str = "loopkube.io/ingress", *, default: bool = False) -> Object:
    meta = metadata(name)
    if default:
        meta["annotations"] = {"ingressclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": meta,
        "spec": {"controller": controller},
    }  # fmt: skip


def node(name: str, address: str, *, zone: str = "", pods: str = "", created: str = "") -> Object:
    status = {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]}
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    meta = metadata(name, labels=labels, **({"creationTimestamp": created} if created else {}))
    spec = {"podCIDR": pods, "podCIDRs": [pods]} if pods else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec, "status": status}


def secret(name: str, namespace: str = "a", **files: str) -> Object:
    data = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name, namespace), "data": data}
