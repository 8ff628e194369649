"""Which directory stands behind a claim, or why there is none yet.

The kubelet trusts a binding only when both sides agree: the claim is Bound and names a volume, and the volume's
claimRef carries the claim's UID. A claim that is being deleted starts no more pods. Of the volumes' sources two are
directories of this machine, hostPath and local; others cannot be mounted. The sentences are kubelet's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, Kind
from control.api.objects import Object, is_deleting, key_of, namespace_of, spec_of, status_of, uid_of
from control.api.storage import ephemeral_claim, is_made_for, mode_of
from control.kubelet.volumes import HOST_PATH, Volume, VolumeUnavailable
from control.mirror.world import World

LOCAL = "local"
"""The type of a directory that must be there already; beside it a Volume's types are those of hostPath."""


class ClaimUnavailable(VolumeUnavailable):
    """A volume that the kubelet cannot even begin to mount."""

    def __init__(self, volume: str, why: str, kind: Kind | None = None, name: str = "") -> None:
        super().__init__(volume, why, kind, name)
        text = f"unmounted volumes=[{volume}], unattached volumes=[], failed to process volumes=[{volume}]: {why}"
        self.args = (f"Unable to attach or mount volumes: {text}",)


def claimed(pod: Object, spec: Mapping[str, Any], world: World) -> Volume:
    """The directory of a volume of type persistentVolumeClaim or ephemeral; raises VolumeUnavailable."""
    volume, namespace = spec["name"], namespace_of(pod)
    ephemeral = "ephemeral" in spec
    name = ephemeral_claim(pod, dict(spec)) if ephemeral else str(spec["persistentVolumeClaim"].get("claimName"))
    place = f"{namespace}/{name}"

    def unavailable(why: str, kind: Kind | None = PERSISTENT_VOLUME_CLAIM, of: str = name) -> ClaimUnavailable:
        return ClaimUnavailable(volume, f"error processing PVC {place}: {why}", kind, of)

    claim = world.get(PERSISTENT_VOLUME_CLAIM, namespace, name)
    if claim is None:
        raise unavailable(f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found')
    if ephemeral and not is_made_for(claim, pod):
        raise unavailable(f"PVC {key_of(claim)} was not created for pod {key_of(pod)} (pod is not owner)", None)
    if is_deleting(claim):
        raise unavailable("PVC is being deleted", None)
    bound_to = spec_of(claim).get("volumeName") or ""
    if status_of(claim).get("phase") != "Bound" or not bound_to:
        raise unavailable("PVC is not bound")
    disk = world.get(PERSISTENT_VOLUME, "", bound_to)
    if disk is None:
        raise unavailable(f'persistentvolumes "{bound_to}" not found', PERSISTENT_VOLUME, bound_to)
    ref = spec_of(disk).get("claimRef")
    if ref is None:
        why = "it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        raise unavailable(f'found PV object "{bound_to}" but {why}', PERSISTENT_VOLUME, bound_to)
    if ref.get("uid") != uid_of(claim):
        points = f'pv.Spec.ClaimRef.UID "{ref.get("uid")}" does not point to claim.UID "{uid_of(claim)}"'
        raise unavailable(f'found PV object "{bound_to}" but its {points}', None)
    if mode_of(disk) == "Block":
        raise ClaimUnavailable(volume, f"volume {volume} has volumeMode Block, but is specified in volumeMounts")
    return _directory(volume, bound_to, spec_of(disk))


def _directory(volume: str, name: str, source: Mapping[str, Any]) -> Volume:
    if HOST_PATH in source:
        return Volume(volume, keeps=True, at=str(source[HOST_PATH]["path"]), type=source[HOST_PATH].get("type") or "")
    if LOCAL in source:
        return Volume(volume, keeps=True, at=str(source[LOCAL]["path"]), type=LOCAL)
    raise VolumeUnavailable(name, f"loopkube mounts persistent volumes of type {HOST_PATH} and {LOCAL}, and no other")
