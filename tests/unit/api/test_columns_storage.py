"""What `kubectl get pv,pvc,sc` shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.rows import RESOURCES
from tests.fakes.volumes import claim, storage_class, volume

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def row(kind: Kind, obj: Object, *, wide: bool = False) -> list[Any]:
    obj["metadata"]["creationTimestamp"] = "2026-01-01T11:57:00Z"
    return [column.cell(obj, NOW) for column in RESOURCES[kind].columns if wide or not column.priority]


def test_a_claim_shows_what_it_got() -> None:
    pending = claim()
    assert row(kinds.PERSISTENT_VOLUME_CLAIM, pending) == ["data", "Pending", "", "", "", "standard", "<unset>", "3m"]
    bound = claim(volumeName="pvc-1")
    bound["status"] = {
        "phase": "Bound",
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
    }
    assert row(kinds.PERSISTENT_VOLUME_CLAIM, bound, wide=True) == [
        "data", "Bound", "pvc-1", "2Gi", "RWO,RWX", "standard", "<unset>", "3m", "Filesystem",
    ]  # fmt: skip
    bound["metadata"]["deletionTimestamp"] = "2026-01-01T11:59:00Z"
    assert row(kinds.PERSISTENT_VOLUME_CLAIM, bound)[1] == "Terminating"


def test_a_volume_shows_whose_it_is() -> None:
    disk = volume(claimRef={"namespace": "a", "name": "data"}, accessModes=["ReadWriteOncePod"])
    disk["status"] = {"phase": "Failed", "reason": "Broken"}
    assert row(kinds.PERSISTENT_VOLUME, disk) == [
        "disk", "1Gi", "RWOP", "Retain", "Failed", "a/data", "", "<unset>", "Broken", "3m",
    ]  # fmt: skip


def test_the_default_class_says_so() -> None:
    expected = ["standard (default)", "loopkube.io/directory", "Delete", "WaitForFirstConsumer", True, "3m"]
    assert row(kinds.STORAGE_CLASS, storage_class()) == expected
    assert row(kinds.STORAGE_CLASS, storage_class("slow", default=False))[0] == "slow"
