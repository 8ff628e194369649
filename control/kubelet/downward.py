"""The downward API: what a pod may read of itself, by field path or as a resource amount.

Environment variables and volumes read the same fields; volumes may also read whole label and annotation maps. Amounts
that a container does not limit are the node's allocatable ones, as in Kubernetes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.api import quantity
from control.api.objects import Object, annotations_of, find_named, labels_of, meta, spec_of

SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class FieldUnknown(Exception):
    """The path or resource cannot be read; the message is Kubernetes'."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs: what its spec does not tell."""

    host_ip: str
    pod_ip: str
    allocatable: Mapping[str, str]


def field_text(pod: Object, path: str, place: Place) -> str:
    """The text of a fieldRef's `fieldPath`."""
    match = SUBSCRIPT.fullmatch(path)
    if match:
        source = labels_of(pod) if match[1] == "labels" else annotations_of(pod)
        return str(source.get(match[2], ""))
    known: dict[str, Any] = {
        "metadata.name": meta(pod).get("name"),
        "metadata.namespace": meta(pod).get("namespace"),
        "metadata.uid": meta(pod).get("uid"),
        "spec.nodeName": spec_of(pod).get("nodeName"),
        "spec.serviceAccountName": spec_of(pod).get("serviceAccountName"),
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
    }
    if path in known:
        return str(known[path] or "")
    if path == "metadata.labels":
        return map_text(labels_of(pod))
    if path == "metadata.annotations":
        return map_text(annotations_of(pod))
    raise FieldUnknown(f"unsupported fieldPath: {path}")


def map_text(pairs: Mapping[str, str]) -> str:
    """A map as a file: one key="value" a line, sorted; the value quoted as Go's %q does for what labels may hold."""
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(pairs.items()))


def resource_text(pod: Object, container: Mapping[str, Any], ref: Mapping[str, Any], place: Place) -> str:
    """The text of a resourceFieldRef: the amount divided by `divisor`, rounded up."""
    if ref.get("containerName"):
        spec = spec_of(pod)
        found = find_named(spec.get("containers"), ref["containerName"]) or find_named(
            spec.get("initContainers"), ref["containerName"]
        )
        if found is None:
            raise FieldUnknown(f"container {ref['containerName']} not found")
        container = found
    which, _, name = str(ref.get("resource", "")).partition(".")
    if which not in ("limits", "requests") or not name:
        raise FieldUnknown(f"unsupported container resource : {ref.get('resource')}")
    amounts = container.get("resources") or {}
    text = (amounts.get(which) or {}).get(name)
    if text is None and which == "limits":
        text = place.allocatable.get(name)
    amount = quantity.parse(str(text or "0")).nano
    divisor = quantity.parse(str(ref.get("divisor") or "1")).nano or quantity.NANO
    return str(-(-amount // divisor))
