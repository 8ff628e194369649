"""The binder: brings claims and volumes together, and says what becomes of a volume whose claim is gone.

One queue for both kinds: the key of a volume has no namespace. The two halves of Kubernetes' controller:

Claims. A claim that never was bound is given the default class if it names none, then the volume that it asks for, or
the best one (`control.controllers.volumematch`); else whoever provisions volumes of its class is asked for one, by an
annotation, once the scheduler has chosen a node if the class waits for that. A claim that was bound and whose volume is
gone or has another claim is Lost, and stays so.

Volumes. Without a claim a volume is Available; with one that knows it, Bound. When its claim is gone (the server is
asked, for the two kinds' mirrors run at different speeds) it is Released, and its reclaim policy decides: Retain leaves
it to people, Delete to its provisioner (the node that has the directory; see `control.kubelet`), and what has no
provisioner to delete it, or ought to be recycled, has Failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.api.storage import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    claims_of,
    class_of,
    default_class,
    names_a_class,
    refers_to,
)
from control.controllers.action import SETTLED, Absent, Action, Emit, Outcome, Update
from control.controllers.controller import Wakes
from control.controllers.persistentvolume.binding import annotated, bind, claim_status, unbind, volume_phase
from control.controllers.pods import is_finished, node_of
from control.controllers.volumematch import best, class_object, mismatch, waits_for_consumer
from control.mirror.world import World

LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
LOST_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"
NO_CLASS = "no persistent volumes available for this claim and no storage class is set"


class PersistentVolumeController:
    name = "persistentvolume-controller"
    kind = PERSISTENT_VOLUME_CLAIM

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            PERSISTENT_VOLUME_CLAIM: _of_claim,
            PERSISTENT_VOLUME: _of_volume,
            STORAGE_CLASS: lambda world, obj: _pending(world),
            POD: lambda world, obj: (),
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        if not key.namespace:
            volume = world.get(PERSISTENT_VOLUME, "", key.name)
            return SETTLED if volume is None else Outcome(tuple(_volume(world, volume, now)))
        claim = world.get(PERSISTENT_VOLUME_CLAIM, *key)
        if claim is None:
            return SETTLED
        if BIND_COMPLETED in annotations_of(claim):
            return Outcome(tuple(_bound(world, claim, now)))
        return SETTLED if is_deleting(claim) else Outcome(tuple(_unbound(world, claim, now)))


# --- claims -------------------------------------------------------------------------------------------------------


def _unbound(world: World, claim: Object, now: datetime) -> Iterator[Action]:
    asked = spec_of(claim).get("volumeName")
    if asked:
        yield from _asked(world, claim, str(asked), now)
        return
    delayed = waits_for_consumer(world, claim)
    volume = best(claim, world.list(PERSISTENT_VOLUME), promised_only=delayed)
    if volume is not None:
        yield from bind(volume, claim, now)
        return
    default = None if names_a_class(claim) else default_class(world.list(STORAGE_CLASS))
    if default is not None:
        spec = {**spec_of(claim), "storageClassName": name_of(default)}
        yield Update(PERSISTENT_VOLUME_CLAIM, {**claim, "spec": spec})
    elif delayed and SELECTED_NODE not in annotations_of(claim):
        yield _waiting(world, claim)
    elif class_of(claim):
        yield from _ask_provisioner(world, claim)
    else:
        yield Emit(claim, "Normal", "FailedBinding", NO_CLASS)


def _asked(world: World, claim: Object, name: str, now: datetime) -> Iterator[Action]:
    """A claim that names its volume gets that one or none."""
    volume = world.get(PERSISTENT_VOLUME, "", name)
    if volume is None:
        return
    if spec_of(volume).get("claimRef") is None:
        why = mismatch(claim, volume)
        if why:
            text = f'Cannot bind to requested volume "{name}": {why}'
            yield Emit(claim, "Warning", "VolumeMismatch", text)
        else:
            yield from bind(volume, claim, now)
    elif refers_to(volume, claim):
        yield from bind(volume, claim, now)
    else:
        yield Emit(claim, "Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.')


def _waiting(world: World, claim: Object) -> Emit:
    names = [
        name_of(pod)
        for pod in world.by_field(POD, "spec.nodeName", "", namespace_of(claim))
        if not node_of(pod) and not is_finished(pod) and any(name == name_of(claim) for _, name in claims_of(pod))
    ]
    if not names:
        message = "waiting for first consumer to be created before binding"
        return Emit(claim, "Normal", "WaitForFirstConsumer", message)
    message = f"waiting for pod{'s' if len(names) > 1 else ''} {','.join(names)} to be scheduled"
    return Emit(claim, "Normal", "WaitForPodScheduled", message)


def _ask_provisioner(world: World, claim: Object) -> Iterator[Action]:
    found = class_object(world, claim)
    if found is None:
        message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
        yield Emit(claim, "Warning", "ProvisioningFailed", message)
        return
    provisioner = str(found.get("provisioner") or "")
    if provisioner.startswith("kubernetes.io/"):
        yield Emit(claim, "Warning", "ProvisioningFailed", f"no volume plugin matched name: {provisioner}")
        return
    marks = {BETA_STORAGE_PROVISIONER: provisioner, STORAGE_PROVISIONER: provisioner}
    if not marks.items() <= annotations_of(claim).items():
        yield Update(PERSISTENT_VOLUME_CLAIM, annotated(claim, marks))
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        yield Emit(claim, "Normal", "ExternalProvisioning", message)


def _bound(world: World, claim: Object, now: datetime) -> Iterator[Action]:
    name = spec_of(claim).get("volumeName")
    volume = world.get(PERSISTENT_VOLUME, "", name) if name else None
    if not name:
        yield from _lost(claim, "ClaimLost", LOST_REFERENCE)
    elif volume is None:
        yield from _lost(claim, "ClaimLost", LOST_VOLUME, Absent(PERSISTENT_VOLUME, "", str(name), ""))
    elif spec_of(volume).get("claimRef") is None or refers_to(volume, claim):
        yield from bind(volume, claim, now)
    else:
        yield from _lost(claim, "ClaimMisbound", MISBOUND)


def _lost(claim: Object, reason: str, message: str, *questions: Absent) -> Iterator[Action]:
    if status_of(claim).get("phase") != "Lost":
        yield from questions
        yield claim_status(claim, {"phase": "Lost", "accessModes": None, "capacity": None})
        yield Emit(claim, "Warning", reason, message)


# --- volumes ------------------------------------------------------------------------------------------------------


def _volume(world: World, volume: Object, now: datetime) -> Iterator[Action]:
    ref = spec_of(volume).get("claimRef") or {}
    if not ref.get("uid"):
        yield from volume_phase(volume, "Available", now)
        return
    claim = world.get(PERSISTENT_VOLUME_CLAIM, ref.get("namespace") or "", ref.get("name") or "")
    if claim is None or uid_of(claim) != ref["uid"]:
        yield from _released(volume, now, Absent(PERSISTENT_VOLUME_CLAIM, ref["namespace"], ref["name"], ref["uid"]))
    elif not spec_of(claim).get("volumeName"):
        return  # half way: the claim's turn
    elif spec_of(claim)["volumeName"] == name_of(volume):
        yield from volume_phase(volume, "Bound", now)
    elif PROVISIONED_BY in annotations_of(volume) and _policy(volume) == "Delete":
        yield from _released(volume, now)
    else:
        yield unbind(volume)


def _released(volume: Object, now: datetime, *questions: Absent) -> Iterator[Action]:
    if status_of(volume).get("phase") not in ("Released", "Failed"):
        yield from questions
        yield from volume_phase(volume, "Released", now)
    elif status_of(volume).get("phase") != "Failed":
        yield from _reclaimed(volume, now)


def _reclaimed(volume: Object, now: datetime) -> Iterator[Action]:
    reason, message = "", ""
    if _policy(volume) == "Recycle":
        reason, message = "VolumeFailedRecycle", "No recycler plugin found for the volume!"
    elif _policy(volume) == "Delete" and PROVISIONED_BY not in annotations_of(volume):
        reason = "VolumeFailedDelete"
        why = "no deletable volume plugin matched"
        message = f'error getting deleter volume plugin for volume "{name_of(volume)}": {why}'
    if reason:
        yield from volume_phase(volume, "Failed", now, message)
        yield Emit(volume, "Warning", reason, message)


def _policy(volume: Object) -> str:
    return str(spec_of(volume).get("persistentVolumeReclaimPolicy") or "Retain")


# --- what wakes whom ----------------------------------------------------------------------------------------------


def _of_claim(world: World, claim: Object) -> Iterable[Key]:
    yield key_of(claim)
    if spec_of(claim).get("volumeName"):
        yield Key("", spec_of(claim)["volumeName"])
    for volume in world.by_field(PERSISTENT_VOLUME, "spec.claimRef.uid", uid_of(claim)):
        yield key_of(volume)


def _of_volume(world: World, volume: Object) -> Iterable[Key]:
    """Itself, those whom it belongs to, and while it is free everybody who waits."""
    yield key_of(volume)
    ref = spec_of(volume).get("claimRef")
    if ref:
        yield Key(ref.get("namespace") or "", ref.get("name") or "")
    yield from map(key_of, world.by_field(PERSISTENT_VOLUME_CLAIM, "spec.volumeName", name_of(volume)))
    if not ref and status_of(volume).get("phase") == "Available":
        yield from _pending(world)


def _pending(world: World) -> list[Key]:
    return [key_of(claim) for claim in world.by_field(PERSISTENT_VOLUME_CLAIM, "spec.volumeName", "")]
