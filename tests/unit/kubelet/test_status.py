"""What a pod's status says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from control.api.objects import Object
from control.kubelet.knobs import FAST
from control.kubelet.plan import plan
from control.kubelet.record import PodRecord, Waiting
from control.kubelet.status import changes, status
from tests.fakes.pods import NOW, container, deleting, end, pod, record_of, run

AT = datetime.fromtimestamp(NOW, UTC)


def say(obj: Object, record: PodRecord) -> Object:
    return status(obj, record, plan(obj, record, NOW, FAST), "127.245.0.1", AT)


def conditions(said: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in said["conditions"]}


def test_a_pod_that_is_being_created() -> None:
    obj = pod()
    record = record_of(obj)
    record.sandbox = "preparing"
    said = say(obj, record)
    assert said["phase"] == "Pending"
    assert said["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(said) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", ""),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", ""),
    }


def test_a_running_pod() -> None:
    obj = pod()
    record = record_of(obj)
    run(record, obj)
    said = say(obj, record)
    assert (said["phase"], said["podIP"], said["podIPs"]) == ("Running", "127.244.0.2", [{"ip": "127.244.0.2"}])
    assert (said["hostIP"], said["startTime"], said["qosClass"]) == (
        "127.245.0.1",
        "2026-01-01T00:00:00Z",
        "BestEffort",
    )
    shown = said["containerStatuses"][0]
    assert shown["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    assert (shown["ready"], shown["started"], shown["restartCount"], shown["lastState"]) == (True, True, 0, {})
    assert shown["containerID"].startswith("loopkube://")
    assert len(shown["containerID"]) == len("loopkube://") + 64
    assert conditions(said)["Ready"] == ("True", "")


def test_probes_decide_about_started_and_ready() -> None:
    obj = pod(container(startupProbe={"exec": {}}, readinessProbe={"exec": {}}))
    record = record_of(obj)
    run(record, obj)
    held = record.containers["c"]
    for verdicts, expected in (
        ((None, True), (False, False)),
        ((True, None), (True, False)),
        ((True, True), (True, True)),
    ):
        held.probe_started, held.probe_ready = verdicts
        shown = say(obj, record)["containerStatuses"][0]
        assert (shown["started"], shown["ready"]) == expected


def test_a_crash_loop_shows_why_it_waits_and_what_happened() -> None:
    obj = pod()
    record = record_of(obj)
    run(record, obj)
    end(record, "c", 1)
    shown = say(obj, record)["containerStatuses"][0]
    assert shown["state"]["terminated"]["reason"] == "Error"
    record.containers["c"].crash.delay_s, record.containers["c"].crash.updated_at = 10, NOW
    said = say(obj, record)
    shown = said["containerStatuses"][0]
    assert shown["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert shown["lastState"]["terminated"]["exitCode"] == 1
    assert said["phase"] == "Running", "its containers are in the process of restarting"


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason"),
    [
        ("Never", 0, "Succeeded", "PodCompleted"),
        ("Never", 1, "Failed", "PodFailed"),
        ("OnFailure", 0, "Succeeded", "PodCompleted"),
        ("OnFailure", 1, "Running", "ContainersNotReady"),
        ("Always", 0, "Running", "ContainersNotReady"),
    ],
)
def test_phases_of_a_pod_whose_container_ended(policy: str, code: int, phase: str, reason: str) -> None:
    obj = pod(restartPolicy=policy)
    record = record_of(obj)
    run(record, obj)
    end(record, "c", code)
    said = say(obj, record)
    assert (said["phase"], conditions(said)["Ready"]) == (phase, ("False", reason))


def test_init_containers_hold_the_pod_in_pending() -> None:
    obj = pod(container(), initContainers=[container("i")])
    record = record_of(obj)
    run(record, obj, "i")
    said = say(obj, record)
    assert said["phase"] == "Pending"
    assert said["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(said)["Initialized"] == ("False", "ContainersNotInitialized")
    assert said["conditions"][1]["message"] == "containers with incomplete status: [i]"
    end(record, "i", 0)
    said = say(obj, record)
    assert said["initContainerStatuses"][0]["ready"]
    assert conditions(said)["Initialized"] == ("True", "")


def test_a_deleted_pod_that_never_ran_fails_with_its_containers_lost() -> None:
    obj = deleting(pod())
    said = say(obj, record_of(obj))
    assert said["phase"] == "Failed"
    assert said["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_a_final_phase_is_never_left() -> None:
    obj = {**pod(restartPolicy="Never"), "status": {"phase": "Succeeded"}}
    assert say(obj, record_of(obj))["phase"] == "Succeeded"


def test_a_verdict_from_outside_is_told() -> None:
    obj = pod(activeDeadlineSeconds=1)
    record = record_of(obj)
    record.verdict = Waiting("DeadlineExceeded", "too long")
    said = say(obj, record)
    assert (said["phase"], said["reason"], said["message"]) == ("Failed", "DeadlineExceeded", "too long")


def test_readiness_gates_hold_ready_back_but_not_containers_ready() -> None:
    obj = pod(readinessGates=[{"conditionType": "x/a"}, {"conditionType": "x/b"}])
    record = record_of(obj)
    run(record, obj)
    obj["status"] = {"conditions": [{"type": "x/b", "status": "False"}]}
    said = say(obj, record)
    assert conditions(said)["ContainersReady"] == ("True", "")
    ready = next(c for c in said["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert ready["message"] == (
        'corresponding condition of pod readiness gate "x/a" does not exist., '
        'the status of pod readiness gate "x/b" is not "True", but False'
    )
    obj["status"] = {"conditions": [{"type": "x/a", "status": "True"}, {"type": "x/b", "status": "True"}]}
    assert conditions(say(obj, record))["Ready"] == ("True", "")


def test_nothing_is_written_twice_and_transition_times_last() -> None:
    obj = pod()
    record = record_of(obj)
    run(record, obj)
    obj["status"] = say(obj, record)
    assert changes(obj, say(obj, record)) is None
    later = datetime.fromtimestamp(NOW + 60, UTC)
    assert changes(obj, status(obj, record, plan(obj, record, NOW, FAST), "127.245.0.1", later)) is None


def test_a_condition_takes_back_what_it_no_longer_says() -> None:
    obj = pod(container(readinessProbe={"exec": {}}))
    record = record_of(obj)
    run(record, obj)
    obj["status"] = say(obj, record)
    record.containers["c"].probe_ready = True
    patch: Any = changes(obj, say(obj, record))
    assert set(patch) == {"conditions", "containerStatuses"}
    assert {c["type"] for c in patch["conditions"]} == {"Ready", "ContainersReady"}
    assert all(c["status"] == "True" and c["reason"] is None and c["message"] is None for c in patch["conditions"])
