"""Generic ephemeral volumes: a claim of the pod's own, made from the template in the pod and gone with it.

The claim `<pod>-<volume>` is controlled by the pod, so the garbage collector deletes it after the pod. A claim of that
name that is somebody else's is never used: the pod waits, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import PERSISTENT_VOLUME_CLAIM, POD, Kind
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    controller_of,
    copy_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    spec_of,
)
from control.api.storage import ephemeral_claim, is_made_for
from control.controllers.action import SETTLED, Action, Create, Emit, Outcome
from control.controllers.adoption import owner_reference
from control.controllers.controller import Wakes
from control.mirror.world import World


class EphemeralController:
    name = "ephemeral_volume"
    kind = POD

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {POD: lambda world, pod: (key_of(pod),) if _volumes(pod) else (), PERSISTENT_VOLUME_CLAIM: _of_claim}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        pod = world.get(POD, *key)
        if pod is None or is_deleting(pod):
            return SETTLED
        actions: list[Action] = []
        for volume in _volumes(pod):
            name = ephemeral_claim(pod, volume)
            found = world.get(PERSISTENT_VOLUME_CLAIM, key.namespace, name)
            if found is None:
                actions.append(_creation(pod, volume, name))
            elif not is_made_for(found, pod):
                why = f"PVC {key.namespace}/{name} was not created for pod {key} (pod is not owner)"
                actions.append(_failure(pod, volume, why))
        return Outcome(tuple(actions))


def _volumes(pod: Object) -> list[Object]:
    return [volume for volume in spec_of(pod).get("volumes") or () if "ephemeral" in volume]


def _failure(pod: Object, volume: Object, why: str) -> Emit:
    return Emit(pod, "Warning", "FailedBinding", f"ephemeral volume {volume.get('name')}: {why}")


def _creation(pod: Object, volume: Object, name: str) -> Create:
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}

    def refused(message: str) -> tuple[Action, ...]:
        return (_failure(pod, volume, f"create PVC {name}: {message}"),)

    own: Object = {
        "name": name,
        "namespace": namespace_of(pod),
        "labels": dict(labels_of(template)),
        "annotations": dict(annotations_of(template)),
        "ownerReferences": [owner_reference(POD, pod)],
    }
    claim = {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": own,
        "spec": copy_of(spec_of(template)),
    }
    return Create(PERSISTENT_VOLUME_CLAIM, claim, refused)


def _of_claim(world: World, claim: Object) -> Iterable[Key]:
    ref = controller_of(claim)
    if ref is not None and ref.get("kind") == POD.kind:
        yield Key(namespace_of(claim), ref.get("name") or "")
