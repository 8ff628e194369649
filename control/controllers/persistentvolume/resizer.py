"""Growth: a bound claim that asks for more than it has gets it, for a directory has no size of its own.

The volume's capacity follows the request, then the claim's status the volume; a crash between the two leaves the
second to the next wake. Volumes of others are not ours to grow, which is said on the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, Kind
from control.api.objects import Key, annotations_of, is_deleting, key_of, name_of, spec_of, status_of
from control.api.storage import PROVISIONED_BY, PROVISIONER, amount, capacity, refers_to, requested
from control.controllers.action import SETTLED, Action, Emit, Outcome, Update
from control.controllers.controller import Wakes
from control.controllers.persistentvolume.binding import claim_status
from control.mirror.world import World

EXTERNAL = (
    "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external controller to "
    "process this PVC."
)


class Resizer:
    name = "volume-expand"
    kind = PERSISTENT_VOLUME_CLAIM

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        return {
            PERSISTENT_VOLUME_CLAIM: lambda world, claim: (key_of(claim),),
            PERSISTENT_VOLUME: lambda world, volume: [
                key_of(claim) for claim in world.by_field(PERSISTENT_VOLUME_CLAIM, "spec.volumeName", name_of(volume))
            ],
        }

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        claim = world.get(PERSISTENT_VOLUME_CLAIM, *key)
        if claim is None or status_of(claim).get("phase") != "Bound" or is_deleting(claim):
            return SETTLED
        if requested(claim) <= amount(status_of(claim).get("capacity")):
            return SETTLED
        volume = world.get(PERSISTENT_VOLUME, "", spec_of(claim).get("volumeName") or "")
        if volume is None or not refers_to(volume, claim):
            return SETTLED
        if capacity(volume) < requested(claim) and annotations_of(volume).get(PROVISIONED_BY) != PROVISIONER:
            return Outcome((Emit(claim, "Normal", "ExternalExpanding", EXTERNAL),))
        wanted = spec_of(claim)["resources"]["requests"]["storage"]
        actions: list[Action] = []
        if capacity(volume) < requested(claim):
            larger = {**spec_of(volume), "capacity": {"storage": wanted}}
            text = f"External resizer is resizing volume {name_of(volume)}"
            actions += [Update(PERSISTENT_VOLUME, {**volume, "spec": larger}), Emit(claim, "Normal", "Resizing", text)]
        size = {"storage": wanted}
        actions += [
            claim_status(claim, {"capacity": size, "allocatedResources": size}),
            Emit(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded"),
        ]
        return Outcome(tuple(actions))
