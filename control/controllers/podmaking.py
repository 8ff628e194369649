"""How a workload makes and unmakes its pods: from a template, with one controller reference, behind one fence.

The fence is an update of the workload's status that carries the resourceVersion which was decided on: on any other
version it fails, and nothing behind it happens (see `controller`). It writes the status as it is then seen to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from control.api.kinds import NAMESPACE, POD, Kind
from control.api.objects import (
    Object,
    annotations_of,
    copy_of,
    is_deleting,
    labels_of,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    status_of,
    uid_of,
)
from control.controllers.action import Action, Delete, Emit, Outcome, Update
from control.controllers.adoption import owner_reference
from control.mirror.world import World

Refused = Callable[[str], tuple[Action, ...]]
"""What to do, given its message, when the server will not have something."""


def pod_from(kind: Kind, owner: Object, template: Mapping[str, Any], name: str, **labels: str) -> Object:
    """The pod of this name that `template` describes, with more labels."""
    own: Object = {
        "name": name,
        "generateName": f"{name_of(owner)}-",
        "namespace": namespace_of(owner),
        "labels": {**labels_of(template), **labels},
        "ownerReferences": [owner_reference(kind, owner)],
    }
    if annotations_of(template):
        own["annotations"] = dict(annotations_of(template))
    if meta(template).get("finalizers"):
        own["finalizers"] = list(meta(template)["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": copy_of(template.get("spec") or {})}


def pod_deletion(pod: Object, refused: Refused, *, as_seen: bool = False) -> Delete:
    """`as_seen`: only while it is of the version that was seen, for what was decided on its readiness."""
    version = resource_version_of(pod) if as_seen else ""
    return Delete(POD, namespace_of(pod), name_of(pod), uid_of(pod), version, refused=refused)


def told_deletion(owner: Object, pod: Object, *, as_seen: bool = False) -> tuple[Delete, Emit]:
    """The deletion of a pod, and the event that tells of it or of its failure."""

    def refused(message: str) -> tuple[Action, ...]:
        return (Emit(owner, "Warning", "FailedDelete", f"Error deleting: {message}"),)

    told = Emit(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
    return pod_deletion(pod, refused, as_seen=as_seen), told


def is_leaving(world: World, owner: Object) -> bool:
    """Whether the owner's namespace is being deleted: nothing is created there."""
    namespace = world.get(NAMESPACE, "", namespace_of(owner))
    return namespace is not None and is_deleting(namespace)


def fenced(kind: Kind, owner: Object, status: Mapping[str, Any], deeds: list[Action]) -> tuple[Action, ...]:
    """The status and the deeds behind it; nothing where neither says anything new."""
    if not deeds and status == status_of(owner):
        return ()
    return (Update(kind, {**owner, "status": dict(status)}, "status"), *deeds)


def step(kind: Kind, owner: Object, deeds: list[Action]) -> Outcome:
    """Deeds behind a fence that leaves the status as it was."""
    return Outcome((Update(kind, owner, "status"), *deeds))
