"""What the final status says of containers that never started."""

from __future__ import annotations

from datetime import UTC, datetime

from control.api.objects import Object
from control.kubelet.knobs import FAST
from control.kubelet.plan import plan
from control.kubelet.record import PodRecord
from control.kubelet.status import status
from tests.fakes.pods import NOW, container, deleting, end, pod, record_of, run

INITIALIZING = {"waiting": {"reason": "PodInitializing"}}


def say(obj: Object, record: PodRecord) -> Object:
    return status(obj, record, plan(obj, record, NOW, FAST), "127.245.0.1", datetime.fromtimestamp(NOW, UTC))


def test_a_failed_init_container_leaves_the_others_waiting() -> None:
    obj = pod(initContainers=[container("i"), container("j")], restartPolicy="Never")
    record = record_of(obj)
    run(record, obj, "i")
    end(record, "i", 4)
    obj["status"] = {"phase": "Failed"}
    said = say(obj, record)
    first, second = said["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 4
    assert (second["state"], said["containerStatuses"][0]["state"]) == (INITIALIZING, INITIALIZING)


def test_a_pod_deleted_before_its_first_init_container_owes_that_ones_end() -> None:
    obj = deleting(pod(initContainers=[container("i"), container("j")]))
    said = say(obj, record_of(obj))
    first, second = said["initContainerStatuses"]
    assert first["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert (second["state"], said["containerStatuses"][0]["state"]) == (INITIALIZING, INITIALIZING)


def test_without_init_containers_every_container_owes_an_end() -> None:
    obj = deleting(pod(container("a"), container("b")))
    said = say(obj, record_of(obj))
    assert [one["state"]["terminated"]["exitCode"] for one in said["containerStatuses"]] == [137, 137]
