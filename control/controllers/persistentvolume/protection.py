"""Protection of what is in use: a claim that pods use outlives its deletion, and so does a volume that is bound.

Both carry a finalizer from birth (admission adds it, and here it is added to whatever came without). A claim loses it
when it is being deleted and no pod with a node uses it: pods without one would not be started on it any more. Finished
pods count until they are gone, for nobody else knows whether they need their data. Since the mirror may lag behind the
scheduler, the server is asked for the pods before the finalizer goes. A volume loses its own when it is being deleted
and not bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, Kind
from control.api.objects import (
    Key,
    Object,
    is_deleting,
    key_of,
    meta,
    name_of,
    namespace_of,
    resource_version_of,
    status_of,
    uid_of,
)
from control.api.storage import CLAIM_PROTECTION, VOLUME_PROTECTION, claims_of, is_made_for
from control.controllers.action import SETTLED, NoneOf, Outcome, Patch
from control.controllers.controller import Wakes
from control.controllers.pods import node_of
from control.mirror.world import World


class ClaimProtection:
    name = "pvc-protection-controller"
    kind = PERSISTENT_VOLUME_CLAIM

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {PERSISTENT_VOLUME_CLAIM: lambda world, claim: (key_of(claim),), POD: _claims_being_deleted}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        claim = world.get(PERSISTENT_VOLUME_CLAIM, *key)
        if claim is None:
            return SETTLED
        if not is_deleting(claim):
            return _protected(PERSISTENT_VOLUME_CLAIM, claim, CLAIM_PROTECTION)
        if CLAIM_PROTECTION not in (meta(claim).get("finalizers") or ()):
            return SETTLED

        def uses(pod: Object) -> bool:
            return uses_claim(pod, claim)

        if any(map(uses, world.list(POD, key.namespace))):
            return SETTLED
        free = without_finalizer(PERSISTENT_VOLUME_CLAIM, claim, CLAIM_PROTECTION)
        return Outcome((NoneOf(POD, key.namespace, uses), free))


class VolumeProtection:
    name = "pv-protection-controller"
    kind = PERSISTENT_VOLUME

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {PERSISTENT_VOLUME: lambda world, volume: (key_of(volume),)}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        volume = world.get(PERSISTENT_VOLUME, "", key.name)
        if volume is None:
            return SETTLED
        if not is_deleting(volume):
            return _protected(PERSISTENT_VOLUME, volume, VOLUME_PROTECTION)
        if VOLUME_PROTECTION in (meta(volume).get("finalizers") or ()) and status_of(volume).get("phase") != "Bound":
            return Outcome((without_finalizer(PERSISTENT_VOLUME, volume, VOLUME_PROTECTION),))
        return SETTLED


def uses_claim(pod: Object, claim: Object) -> bool:
    if not node_of(pod):
        return False
    for volume, name in claims_of(pod):
        if name != name_of(claim):
            continue
        over = is_deleting(pod) and not meta(pod).get("deletionGracePeriodSeconds")
        if "ephemeral" not in volume or (is_made_for(claim, pod) and not over):
            return True
    return False


def _protected(kind: Kind, obj: Object, finalizer: str) -> Outcome:
    finalizers = list(meta(obj).get("finalizers") or ())
    if finalizer in finalizers:
        return SETTLED
    version = resource_version_of(obj)
    own = {"finalizers": [*finalizers, finalizer], "resourceVersion": version}
    return Outcome((Patch(kind, namespace_of(obj), name_of(obj), uid_of(obj), {"metadata": own}),))


def without_finalizer(kind: Kind, obj: Object, finalizer: str) -> Patch:
    return Patch(
        kind,
        namespace_of(obj),
        name_of(obj),
        uid_of(obj),
        {"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}},
        patch_type="application/strategic-merge-patch+json",
    )


def _claims_being_deleted(world: World, pod: Object) -> Iterable[Key]:
    for _, name in claims_of(pod):
        claim = world.get(PERSISTENT_VOLUME_CLAIM, namespace_of(pod), name)
        if claim is not None and is_deleting(claim):
            yield key_of(claim)
