"""Which directory stands behind a claim, what is linked into a pod, and what is never touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.api.objects import Object
from control.kubelet import mounts
from control.kubelet.claims import LOCAL, ClaimUnavailable, claimed
from control.kubelet.launch import Folders
from control.kubelet.sandbox import volumes_text
from control.kubelet.volumes import Volume, VolumeUnavailable
from control.mirror.world import World
from tests.fakes.pods import container, pod
from tests.fakes.volumes import claim, volume

SPEC: Object = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}


def bound(**fields: Any) -> Object:
    made = {**claim(volumeName="disk"), "status": {"phase": "Bound"}}
    made["metadata"] = {**made["metadata"], "uid": "u1", **fields}
    return made


def disk(uid: str = "u1", **spec: Any) -> Object:
    return volume(**{"claimRef": {"namespace": "default", "name": "data", "uid": uid}, **spec})


def of(*objects: Object, spec: Object = SPEC) -> Volume:
    return claimed(pod(volumes=[spec]), spec, World.of(objects))


def test_a_bound_claim_is_its_volumes_directory() -> None:
    assert of(bound(), disk()) == Volume("v", keeps=True, at="/srv/disk")
    local = disk(local={"path": "/mnt"})
    del local["spec"]["hostPath"]
    assert of(bound(), local) == Volume("v", keeps=True, at="/mnt", type=LOCAL)


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([], 'failed to fetch PVC from API server: persistentvolumeclaims "data" not found'),
        ([claim()], "PVC is not bound"),
        ([bound(deletionTimestamp="2026-01-01T00:00:00Z"), disk()], "PVC is being deleted"),
        ([bound()], 'persistentvolumes "disk" not found'),
        ([bound(), disk("u2")],
         'found PV object "disk" but its pv.Spec.ClaimRef.UID "u2" does not point to claim.UID "u1"'),
        ([bound(), disk(claimRef=None)],
         'found PV object "disk" but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim'),
    ],
)  # fmt: skip
def test_what_keeps_a_pod_waiting(objects: list[Object], why: str) -> None:
    with pytest.raises(ClaimUnavailable) as caught:
        of(*objects)
    assert str(caught.value) == (
        "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process "
        f"volumes=[v]: error processing PVC default/data: {why}"
    )


def test_foreign_volumes_blocks_and_strangers_claims_cannot_be_mounted() -> None:
    foreign = disk(nfs={"server": "s", "path": "/"})
    del foreign["spec"]["hostPath"]
    with pytest.raises(VolumeUnavailable, match="of type hostPath and local, and no other"):
        of(bound(), foreign)
    with pytest.raises(VolumeUnavailable, match="volumeMode Block"):
        of(bound(), disk(volumeMode="Block"))
    scratch = {"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}
    with pytest.raises(VolumeUnavailable, match="pod is not owner"):
        of({**bound(), "metadata": {**bound()["metadata"], "name": "p-v"}}, disk(), spec=scratch)


def folders(tmp_path: Path) -> Folders:
    return Folders(str(tmp_path / "pod"), str(tmp_path / "logs"))


def test_what_a_pod_writes_to_a_claim_outlives_it(tmp_path: Path) -> None:
    place, own = tmp_path / "volumes" / "pvc-1", folders(tmp_path)
    spec = container(volumeMounts=[{"name": "v", "mountPath": "/data", "subPath": "sub"}])
    for text in ("one", "two"):
        mounts.write_volumes([Volume("v", keeps=True, at=str(place), type="DirectoryOrCreate")], own)
        mounts.make_root(spec, own, "")
        with Path(own.root("c"), "data", "file").open("a") as file:
            file.write(text)
        mounts.remove_pod(own)
    assert (place / "sub" / "file").read_text() == "onetwo"


def test_types_of_host_paths(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for type_, place, why in (
        ("Directory", "none", "none is not a directory"),
        ("DirectoryOrCreate", "file", "file is not a directory"),
        ("File", ".", "is not a file"),
        ("Socket", "file", "file is not a socket file"),
        (LOCAL, "none", 'none" does not exist'),
    ):
        with pytest.raises(VolumeUnavailable, match=why):
            mounts.write_volumes([Volume("v", keeps=True, at=str(tmp_path / place), type=type_)], folders(tmp_path))
    for type_, place in (("", "made"), ("FileOrCreate", "touched"), ("File", "file")):
        mounts.write_volumes([Volume("v", keeps=True, at=str(tmp_path / place), type=type_)], folders(tmp_path))
    assert (tmp_path / "made").is_dir()
    assert (tmp_path / "touched").is_file()


def test_a_mount_inside_a_volume_never_removes_what_is_there(tmp_path: Path) -> None:
    place, own = tmp_path / "claim", folders(tmp_path)
    (place / "cache").mkdir(parents=True)
    both = [Volume("v", keeps=True, at=str(place)), Volume("e", keeps=True)]
    mounts.write_volumes(both, own)
    nested = [{"name": "e", "mountPath": "/data/cache"}, {"name": "v", "mountPath": "/data"}]  # the inner one first
    mounts.make_root(container(volumeMounts=nested), own, "")
    mounts.make_root(container(volumeMounts=nested), own, "")
    assert (place / "cache").readlink() == Path(own.volume("e"))
    (place / "cache").unlink()
    (place / "cache").mkdir()
    (place / "cache" / "precious").write_text("x")
    with pytest.raises(mounts.BadPath, match="belongs to a volume"):
        mounts.make_root(container(volumeMounts=nested), own, "")
    assert (place / "cache" / "precious").exists()


def test_what_is_not_enforced_is_said() -> None:
    spec = container(volumeMounts=[{"name": "v", "mountPath": "/data", "readOnly": True}])
    assert volumes_text(spec, Folders("/pod", "")).endswith("; readOnly is not enforced: /data")
