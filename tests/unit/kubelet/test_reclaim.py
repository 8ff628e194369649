"""When a volume's directory goes: decided as values, done on disk, repeated after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from control.api.objects import Object, is_deleting, status_of
from control.api.storage import BIND_COMPLETED, DIRECTORY_FINALIZER, PROVISIONED_BY, PROVISIONER
from control.kubelet.reclaim import Reclaim, reclaim
from tests.fakes.node_lab import Lab, is_running
from tests.fakes.pods import pod
from tests.fakes.virtual_loop import run_virtually
from tests.fakes.volumes import claim, volume

ROOT = "/data/volumes"


def made(phase: str = "Released", policy: str = "Delete", *, deleting: bool = False, path: str = f"{ROOT}/x") -> Object:
    obj = volume(persistentVolumeReclaimPolicy=policy, hostPath={"path": path})
    obj["metadata"] |= {"annotations": {PROVISIONED_BY: PROVISIONER}, "finalizers": [DIRECTORY_FINALIZER]}
    if deleting:
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {**obj, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("obj", "todo"),
    [
        (made(), Reclaim(f"{ROOT}/x", delete=True)),
        (made("Bound"), None),
        (made("Bound", deleting=True), None),
        (made("Available"), None),
        (made("Available", deleting=True), Reclaim(f"{ROOT}/x", delete=False)),
        (made(policy="Retain"), None),
        (made(policy="Retain", deleting=True), Reclaim("", delete=False)),
        (made(path="/etc"), Reclaim("", delete=True)),
        (made(path=f"{ROOT}/x/y"), Reclaim("", delete=True)),
        (made(path=f"{ROOT}/.."), Reclaim("", delete=True)),
        (made(path=ROOT), Reclaim("", delete=True)),
        ({**made(), "metadata": {"name": "disk"}}, None),
    ],
)
def test_what_goes(obj: Object, todo: Reclaim | None) -> None:
    assert reclaim(obj, ROOT) == todo


async def put(lab: Lab, phase: str) -> Object:
    """The lab's volume, in a phase, with a directory that holds something."""
    folder = lab.folder / "volumes" / "x"
    folder.mkdir(parents=True)
    (folder / "file").write_text("data")
    obj = made(path=str(folder))
    await lab.client.create(PERSISTENT_VOLUME, obj)
    return await lab.client.patch(PERSISTENT_VOLUME, "", "disk", {"status": {"phase": phase}}, subresource="status")


def run(folder: Path, scenario: Any) -> None:
    async def whole() -> None:
        lab = Lab(folder)
        await lab.start()
        try:
            await scenario(lab)
        finally:
            await lab.crash()

    run_virtually(whole())


async def settled(lab: Lab) -> None:
    while lab.agent.reclaimer.busy:
        await lab.elapse(0.01)


def test_the_directory_goes_before_the_object(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await put(lab, "Released")
        await lab.elapse(0.1)
        await settled(lab)
        assert not (lab.folder / "volumes" / "x").exists()
        left = await lab.find(PERSISTENT_VOLUME, "disk", "")
        assert left is not None
        assert is_deleting(left)
        assert left["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]  # its controller's to take away

    run(tmp_path, scenario)


def test_a_crash_in_between_is_mended_at_the_next_start(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.crash()
        await put(lab, "Released")
        (lab.folder / "volumes" / "x" / "file").unlink()
        (lab.folder / "volumes" / "x").rmdir()  # as far as the one before had come
        await lab.start()
        await lab.elapse(0.1)
        await settled(lab)
        left = await lab.find(PERSISTENT_VOLUME, "disk", "")
        assert left is None or DIRECTORY_FINALIZER not in left["metadata"]["finalizers"]

    run(tmp_path, scenario)


def test_a_bound_volumes_directory_stays(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await put(lab, "Bound")
        await lab.elapse(5)
        assert (lab.folder / "volumes" / "x" / "file").exists()

    run(tmp_path, scenario)


def test_a_pod_starts_when_its_claim_is_bound(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        wish = {**claim(storage_class=""), "status": {}}
        found = await lab.client.create(PERSISTENT_VOLUME_CLAIM, wish)
        await lab.create(pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]))
        await lab.elapse(1)
        said = [message for reason, message in await lab.events() if reason == "FailedMount"]
        assert said
        assert said[0].endswith("error processing PVC default/data: PVC is not bound")
        ref = {"namespace": "default", "name": "data", "uid": found["metadata"]["uid"]}
        await lab.client.create(PERSISTENT_VOLUME, volume(claimRef=ref, hostPath={"path": str(tmp_path / "disk")}))
        change: Object = {"metadata": {"annotations": {BIND_COMPLETED: "yes"}}, "spec": {"volumeName": "disk"}}
        await lab.client.patch(PERSISTENT_VOLUME_CLAIM, "default", "data", change)
        bound = {"status": {"phase": "Bound"}}
        await lab.client.patch(PERSISTENT_VOLUME_CLAIM, "default", "data", bound, subresource="status")
        running = await lab.until(is_running, within_s=1.0)
        assert status_of(running)["phase"] == "Running"
        assert (tmp_path / "disk").is_dir()

    run(tmp_path, scenario)
