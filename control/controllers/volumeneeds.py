"""What a pod's volumes ask of the scheduler: whether it can be placed at all, on which nodes, and what comes first.

Some faults concern the pod whatever the node (kube-scheduler's PreFilter): a claim that is not there, is being deleted,
is Lost, or waits for a volume that no scheduler can hasten. Others are a node's: a bound volume is not in its reach,
nothing there can be bound or provisioned, or a pod somewhere uses a claim that one pod at a time may use. Claims of
classes that wait for their first consumer are bound for the node that was chosen: a volume that is there is promised
to the claim, else the claim gets the annotation `selected-node`, by which provisioners know where. The pod waits for
that before it gets its node; a claim that has a selected node binds its pod to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from control.api.objects import (
    Object,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from control.api.storage import (
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    ONCE_POD,
    SELECTED_NODE,
    claims_of,
    is_made_for,
)
from control.controllers.action import Action, Patch, Update
from control.controllers.pods import is_finished, node_of
from control.controllers.volumematch import best, class_object, is_bound, reaches, waits_for_consumer
from control.mirror.world import World

IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
OUT_OF_REACH = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


@dataclass(frozen=True, slots=True)
class VolumeNeeds:
    """`fault` stands for all nodes; `open` are the claims that wait for a node."""

    world: World
    fault: str = ""
    in_use: bool = False
    bound: tuple[Object, ...] = ()
    open: tuple[Object, ...] = ()
    volumes: Sequence[Object] = field(default=())

    @classmethod
    def of(cls, world: World, pod: Object) -> VolumeNeeds | None:
        """None for a pod without claims, which is nearly every one."""
        named = claims_of(pod)
        if not named:
            return None
        claims: list[Object] = []
        for volume, name in named:
            claim = world.get(PERSISTENT_VOLUME_CLAIM, namespace_of(pod), name)
            fault = _fault(pod, volume, name, claim)
            if fault or claim is None:
                return cls(world, fault)
            claims.append(claim)
        bound = tuple(claim for claim in claims if is_bound(claim))
        waiting = tuple(claim for claim in claims if not is_bound(claim))
        if any(spec_of(claim).get("volumeName") or not waits_for_consumer(world, claim) for claim in waiting):
            return cls(world, UNBOUND)
        in_use = any(_is_in_use(world, pod, claim) for claim in claims)
        return cls(world, "", in_use, bound, waiting, world.list(PERSISTENT_VOLUME) if waiting else ())

    def refusal(self, node: Object) -> str:
        """Why this node will not do; "" if it does."""
        if self.in_use:
            return IN_USE
        for claim in self.bound:
            volume = self.world.get(PERSISTENT_VOLUME, "", spec_of(claim)["volumeName"])
            if volume is None:
                return NO_VOLUME
            if not reaches(volume, node):
                return OUT_OF_REACH
        return NOTHING_TO_BIND if self.plan(node) is None else ""

    def plan(self, node: Object) -> list[tuple[Object, Object | None]] | None:
        """(claim, the volume to promise it or None to have one made) of each open claim; None where one has neither."""
        found: list[tuple[Object, Object | None]] = []
        taken: set[str] = set()
        for claim in self.open:
            selected = annotations_of(claim).get(SELECTED_NODE)
            if selected is not None and selected != name_of(node):
                return None
            volume = None
            if selected is None:
                volume = best(claim, self.volumes, lambda volume: reaches(volume, node), taken=taken)
            if volume is None and not self._can_be_made(claim, node):
                return None
            if volume is not None:
                taken.add(name_of(volume))
            found.append((claim, volume))
        return found

    def _can_be_made(self, claim: Object, node: Object) -> bool:
        storage_class = class_object(self.world, claim) or {}
        if storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
            return False
        topologies = storage_class.get("allowedTopologies") or ()
        return not topologies or any(_is_in(topology, node) for topology in topologies)

    def deeds(self, node: Object) -> list[Action]:
        """What has to be written before the pod can go to this node; what is written already is waited for."""
        actions: list[Action] = []
        for claim, volume in self.plan(node) or ():
            if volume is not None and spec_of(volume).get("claimRef") is None:
                actions.append(_promise(volume, claim))
            elif volume is None and SELECTED_NODE not in annotations_of(claim):
                own = {"annotations": {SELECTED_NODE: name_of(node)}, "resourceVersion": resource_version_of(claim)}
                place = namespace_of(claim), name_of(claim), uid_of(claim)
                actions.append(Patch(PERSISTENT_VOLUME_CLAIM, *place, {"metadata": own}))
        return actions


def _fault(pod: Object, volume: Object, name: str, claim: Object | None) -> str:
    ephemeral = "ephemeral" in volume
    if claim is None:
        if ephemeral:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return f'persistentvolumeclaim "{name}" not found'
    if status_of(claim).get("phase") == "Lost":
        lost = spec_of(claim).get("volumeName") or ""
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"'
    if is_deleting(claim):
        return f'persistentvolumeclaim "{name}" is being deleted'
    if ephemeral and not is_made_for(claim, pod):
        return f"PVC {key_of(claim)} was not created for pod {key_of(pod)} (pod is not owner)"
    return ""


def _is_in_use(world: World, pod: Object, claim: Object) -> bool:
    """Whether the claim is for one pod only, and another has it."""
    if ONCE_POD not in (spec_of(claim).get("accessModes") or ()):
        return False
    return any(
        node_of(other) and not is_finished(other) and uid_of(other) != uid_of(pod)
        for other in world.list(POD, namespace_of(pod))
        if any(name == name_of(claim) for _, name in claims_of(other))
    )


def _is_in(topology: Object, node: Object) -> bool:
    return all(
        labels_of(node).get(each.get("key") or "") in (each.get("values") or ())
        for each in topology.get("matchLabelExpressions") or ()
    )


def _promise(volume: Object, claim: Object) -> Update:
    """The volume's half of the binding; the binder does the rest."""
    ref = {
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
    }
    marks = {**annotations_of(volume), BOUND_BY_CONTROLLER: "yes"}
    own = {**volume["metadata"], "annotations": marks}
    return Update(PERSISTENT_VOLUME, {**volume, "metadata": own, "spec": {**spec_of(volume), "claimRef": ref}})
