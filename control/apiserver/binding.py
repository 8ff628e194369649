"""Binding: the scheduler's decision about a pod, made once.

A Binding names a node; the pod gets it with the condition PodScheduled=True and the binding's annotations. A pod that
has a node already, is going, or is gated cannot be bound; nobody can move a pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.api.kinds import POD, Kind
from control.api.objects import Object, annotations_of, format_time, is_deleting, meta, name_of, spec_of, uid_of
from control.api.status import StatusError, conflict

BINDING = Kind("", "v1", "Binding", "bindings")
_PODS_BINDING = Kind("", "v1", "Binding", "pods/binding")


def node_of(binding: Mapping[str, Any]) -> str:
    """The node that a Binding names; raises 400 if it names none."""
    target = binding.get("target") or {}
    if target.get("kind") not in (None, "", "Node", "Minion") or not target.get("name"):
        raise StatusError(400, "BadRequest", 'Binding "target" must name a Node')
    name: str = target["name"]
    return name


def bound(pod: Object, binding: Mapping[str, Any], now: datetime) -> Object:
    """`pod` (the caller's own copy) on its node; raises Conflict if it cannot be bound."""
    name, node = name_of(pod), node_of(binding)
    uid = meta(binding).get("uid")
    if uid and uid != uid_of(pod):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {uid_of(pod)}"
        raise conflict(POD, name, why)
    if is_deleting(pod):
        raise conflict(_PODS_BINDING, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec_of(pod).get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec_of(pod)["nodeName"]}"'
        raise conflict(_PODS_BINDING, name, why)
    if spec_of(pod).get("schedulingGates"):
        raise conflict(_PODS_BINDING, name, f"pod {name} has non-empty .spec.schedulingGates")
    pod["spec"]["nodeName"] = node
    if annotations_of(binding):
        pod["metadata"]["annotations"] = {**annotations_of(pod), **annotations_of(binding)}
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [one for one in conditions if one.get("type") != "PodScheduled"]
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
    }
    conditions.append(scheduled)
    return pod
