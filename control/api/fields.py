"""Fields that a field selector may name, kind by kind.

Every kind has metadata.name, and metadata.namespace where it has namespaces. The values are texts, as selectors compare
them: true and false in lower case, absent as "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object, meta

PATHS: dict[Kind, tuple[str, ...]] = {
    kinds.POD: (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.nominatedNodeName",
    ),
    kinds.EVENT: (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "type",
        "reportingComponent",
    ),
    kinds.EVENTS_EVENT: (
        "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
        "regarding.resourceVersion", "regarding.fieldPath", "reason", "type", "reportingController",
    ),
    kinds.SECRET: ("type",),
    kinds.NODE: ("spec.unschedulable",),
    kinds.NAMESPACE: ("status.phase",),
    kinds.SERVICE: ("spec.clusterIP", "spec.type"),
    kinds.JOB: ("status.successful",),
    kinds.REPLICA_SET: ("status.replicas",),
    kinds.REPLICATION_CONTROLLER: ("status.replicas",),
}  # fmt: skip

_ELSEWHERE = {"status.successful": "status.succeeded"}
_NUMBERS = {"status.successful", "status.replicas"}
_BOOLEANS = {"spec.hostNetwork", "spec.unschedulable"}


def _text(obj: Object, path: str) -> str:
    value: Any = obj
    for part in _ELSEWHERE.get(path, path).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path in _BOOLEANS:
        return "true" if value else "false"
    if path in _NUMBERS:
        return str(value or 0)
    return str(value) if value is not None else ""


def _pod_ips(pod: Object) -> str:
    status = pod.get("status") or {}
    addresses = status.get("podIPs") or ()
    return addresses[0].get("ip", "") if addresses else status.get("podIP") or ""


def selectable(kind: Kind) -> Callable[[Object], Mapping[str, str]]:
    """A function from an object to its selectable fields."""
    paths = PATHS.get(kind, ())
    namespaced = kind.namespaced

    def fields(obj: Object) -> Mapping[str, str]:
        own = meta(obj)
        found = {"metadata.name": own.get("name") or ""}
        if namespaced:
            found["metadata.namespace"] = own.get("namespace") or ""
        for path in paths:
            found[path] = _text(obj, path)
        if kind is kinds.POD:
            found["status.podIP"] = found["status.podIPs"] = _pod_ips(obj)
        elif kind is kinds.EVENT:
            source = obj.get("source") or {}
            found["source"] = source.get("component") or obj.get("reportingComponent") or ""
        return found

    return fields
