"""Which volumes' directories are to go, and which are only to be let go.

A directory of the provisioner `loopkube.io/directory` goes when its volume is Released with the policy Delete (its
claim is gone, and the claim was kept until no pod used it), or is being deleted under that policy without being bound.
With the policy Retain a volume that is being deleted leaves its directory to people. Only what lies immediately in the
cluster's own folder of volumes is ever removed, whatever a volume's object says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from control.api.objects import Object, annotations_of, is_deleting, meta, spec_of, status_of
from control.api.storage import DIRECTORY_FINALIZER, PROVISIONED_BY, PROVISIONER


@dataclass(frozen=True, slots=True)
class Reclaim:
    """`directory` is removed first ("" none); then the volume's finalizer, and where `delete` says so its object."""

    directory: str
    delete: bool


def reclaim(volume: Object, volumes_dir: str) -> Reclaim | None:
    """What to do about a volume; None where it is nobody's or still somebody's."""
    if annotations_of(volume).get(PROVISIONED_BY) != PROVISIONER or status_of(volume).get("phase") == "Bound":
        return None
    held = DIRECTORY_FINALIZER in (meta(volume).get("finalizers") or ())
    if spec_of(volume).get("persistentVolumeReclaimPolicy") != "Delete":
        return Reclaim("", delete=False) if is_deleting(volume) and held else None
    if is_deleting(volume):
        return Reclaim(_own(volume, volumes_dir), delete=False) if held else None
    return Reclaim(_own(volume, volumes_dir), delete=True) if status_of(volume).get("phase") == "Released" else None


def _own(volume: Object, volumes_dir: str) -> str:
    path = str((spec_of(volume).get("hostPath") or {}).get("path") or "")
    place = PurePosixPath(path)
    return path if str(place.parent) == volumes_dir and place.name not in ("", "..") else ""
