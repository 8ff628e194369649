"""Simulated nodes and pods, over the real API server on a virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from control.api.kinds import LEASE, NODE, POD
from control.api.objects import Object, condition_of, is_condition_true, status_of
from control.kubelet.nodes import LEASE_NAMESPACE
from control.kubelet.server import NoLogs
from tests.fakes.node_lab import Lab, first, is_ready, is_running, waits_for
from tests.fakes.pods import container, pod
from tests.fakes.virtual_loop import run_virtually


def node(*, status: Object | None = None, annotations: dict[str, str] | None = None) -> Object:
    metadata = {"name": "fake", "labels": {"loopkube.io/simulated": "true"}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, **({"status": status} if status else {})}


def on_fake(*containers: Object, annotations: dict[str, str] | None = None, name: str = "p", **spec: Any) -> Object:
    made = pod(*containers, name=name, nodeName="fake", **spec)
    return {**made, "metadata": {**made["metadata"], "annotations": annotations or {}}}


def in_lab(tmp_path: Path, scenario: Callable[[Lab], Awaitable[None]], made: Object | None = None) -> None:
    async def main() -> None:
        lab = Lab(tmp_path)
        await lab.start()
        try:
            await lab.client.create(NODE, made or node())
            await scenario(lab)
        finally:
            await lab.crash()

    run_virtually(main())


async def alive(lab: Lab, name: str = "fake") -> Object:
    """The node once it is Ready."""
    for _ in range(1000):
        found = await lab.find(NODE, name, "")
        if found is not None and is_condition_true(found, "Ready") and await lab.find(LEASE, name, LEASE_NAMESPACE):
            return found
        await lab.elapse(0.01)
    raise AssertionError("the node does not come to life")


def test_a_node_with_the_label_comes_to_life_and_stays_alive(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        found = await alive(lab)
        assert status_of(found)["allocatable"] == {"cpu": "1k", "memory": "1Ti", "pods": "1M"}
        assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "fake"
        lease = await lab.find(LEASE, "fake", LEASE_NAMESPACE)
        assert lease is not None
        assert lease["spec"]["leaseDurationSeconds"] == 40
        await lab.elapse(25)
        again = await lab.find(LEASE, "fake", LEASE_NAMESPACE)
        assert again is not None
        assert again["spec"]["renewTime"] > lease["spec"]["renewTime"]
        await lab.elapse(300)
        later = await lab.find(NODE, "fake", "")
        was, now = condition_of(found, "Ready"), condition_of(later or {}, "Ready")
        assert was is not None
        assert now is not None
        assert was["lastHeartbeatTime"] < now["lastHeartbeatTime"]
        assert was["lastTransitionTime"] == now["lastTransitionTime"]

    in_lab(tmp_path, scenario)


def test_what_the_user_says_of_capacity_is_kept(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        found = await alive(lab)
        assert status_of(found)["capacity"] == status_of(found)["allocatable"] == {"cpu": "4", "pods": "3"}

    in_lab(tmp_path, scenario, node(status={"capacity": {"cpu": "4", "pods": "3"}}))


def test_kwok_s_annotation_will_do(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)

    made = {"apiVersion": "v1", "kind": "Node"}
    in_lab(tmp_path, scenario, {**made, "metadata": {"name": "fake", "annotations": {"kwok.x-k8s.io/node": "fake"}}})


def test_a_pod_is_running_and_ready_with_one_write(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        before = lab.agent.simulated.writes
        probed = container(
            readinessProbe={"httpGet": {"path": "/", "port": 80}}, startupProbe={"exec": {"command": ["x"]}}
        )
        await lab.create(on_fake(probed))
        ready = await lab.until(is_ready)
        assert status_of(ready)["phase"] == "Running"
        assert status_of(ready)["podIP"].startswith("127.12")
        await lab.elapse(60)
        assert lab.agent.simulated.writes == before + 1
        assert lab.host.running() == []

    in_lab(tmp_path, scenario)


def test_delays_and_readiness_by_annotations_of_pod_and_node(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        began = lab.loop.time()
        await lab.create(on_fake(annotations={"loopkube.io/ready-after": "3s"}))
        waiting = await lab.until(waits_for("ContainerCreating"))
        assert status_of(waiting)["phase"] == "Pending"
        running = await lab.until(is_running)
        assert 2.0 <= lab.loop.time() - began < 2.2
        assert not is_ready(running)
        await lab.until(is_ready)
        assert 5.0 <= lab.loop.time() - began < 5.2
        await lab.client.patch(POD, "default", "p", {"metadata": {"annotations": {"loopkube.io/ready": "false"}}})
        await lab.until(lambda found: not is_ready(found), within_s=0.1)
        await lab.client.patch(POD, "default", "p", {"metadata": {"annotations": {"loopkube.io/ready": "true"}}})
        await lab.until(is_ready, within_s=0.1)

    in_lab(tmp_path, scenario, node(annotations={"loopkube.io/start-after": "2", "loopkube.io/ready-after": "1m"}))


def test_a_deleted_pod_stops_as_late_as_it_says_and_its_grace_allows(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        for said, grace_s, expected_s, code in (("0s", 30, 0, 143), ("5s", 30, 5, 143), ("1h", 10, 10, 137)):
            await lab.create(on_fake(annotations={"loopkube.io/stop-after": said}))
            await lab.until(is_ready)
            await lab.client.patch(POD, "default", "p", {"metadata": {"finalizers": ["example.com/wait"]}})
            began = lab.loop.time()
            await lab.client.delete(POD, "default", "p", grace_period_s=grace_s)
            over = await lab.until(lambda found: "terminated" in first(found)["state"])
            assert expected_s <= lab.loop.time() - began < expected_s + 0.2
            assert first(over)["state"]["terminated"]["exitCode"] == code
            await lab.client.patch(POD, "default", "p", {"metadata": {"finalizers": None}})
            await lab.gone(within_s=0.2)

    in_lab(tmp_path, scenario)


def test_a_deleted_pod_that_has_not_started_never_will(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake(annotations={"loopkube.io/start-after": "1h"}))
        await lab.until(waits_for("ContainerCreating"))
        await lab.client.delete(POD, "default", "p")
        await lab.gone(within_s=0.2)

    in_lab(tmp_path, scenario)


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("3", "Failed")])
def test_a_pod_that_is_to_end_ends(tmp_path: Path, code: str, phase: str) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        said = {"loopkube.io/exit-after": "4s", "loopkube.io/exit-code": code}
        began = lab.loop.time()
        await lab.create(on_fake(annotations=said, restartPolicy="Never"))
        over = await lab.until(lambda found: status_of(found).get("phase") == phase)
        assert 4 <= lab.loop.time() - began < 4.2
        assert first(over)["state"]["terminated"]["exitCode"] == int(code)

    in_lab(tmp_path, scenario)


def test_a_job_s_pod_completes_at_once(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
        made = on_fake(restartPolicy="Never")
        await lab.create({**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}})
        await lab.until(lambda found: status_of(found).get("phase") == "Succeeded", within_s=0.2)

    in_lab(tmp_path, scenario)


def test_a_crash_loop_backs_off(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake(annotations={"loopkube.io/exit-after": "1s", "loopkube.io/exit-code": "1"}))
        await lab.until(waits_for("CrashLoopBackOff"))
        looped = await lab.until(lambda found: first(found)["restartCount"] == 2)
        assert first(looped)["lastState"]["terminated"]["exitCode"] == 1

    in_lab(tmp_path, scenario)


def test_init_containers_come_first_and_are_done_at_once(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake(initContainers=[container("i"), container("s", restartPolicy="Always")]))
        ready = await lab.until(is_ready, within_s=0.2)
        states = {said["name"]: list(said["state"]) for said in status_of(ready)["initContainerStatuses"]}
        assert states == {"i": ["terminated"], "s": ["running"]}

    in_lab(tmp_path, scenario)


def test_a_new_process_finds_its_pods_as_they_were(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake())
        before = await lab.until(is_ready)
        await lab.crash()
        await lab.start()
        await lab.elapse(5)
        assert await lab.pod() == before
        await lab.create(on_fake(name="q"))
        other = await lab.until(is_ready, "q")
        assert status_of(other)["podIP"] != status_of(before)["podIP"]

    in_lab(tmp_path, scenario)


def test_an_annotation_that_makes_no_sense_is_complained_about(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake(annotations={"loopkube.io/ready-after": "soon"}))
        await lab.until(is_ready)
        await lab.agent.simulated.recorder.settled()
        assert (
            "InvalidSimulation",
            "annotation loopkube.io/ready-after: invalid duration 'soon'",
        ) in await lab.events()

    in_lab(tmp_path, scenario)


def test_a_node_that_loses_its_label_is_left_alone(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake())
        await lab.until(is_ready)
        await lab.client.patch(NODE, "", "fake", {"metadata": {"labels": {"loopkube.io/simulated": None}}})
        await lab.elapse(1)
        assert lab.agent.simulated.actors == {}

    in_lab(tmp_path, scenario)


def test_its_logs_are_answered_clearly_and_its_usage_is_what_it_says(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await alive(lab)
        await lab.create(on_fake(annotations={"loopkube.io/usage-cpu": "250m", "loopkube.io/usage-memory": "64Mi"}))
        await lab.until(is_ready)
        with pytest.raises(NoLogs, match='pod "p" is simulated'):
            lab.agent.find_pod("default", "p")
        await lab.elapse(100)
        (found,) = [each for each in lab.agent.summaries() if each["node"]["nodeName"] == "fake"]
        assert found["pods"][0]["memory"]["workingSetBytes"] == 64 * 1024 * 1024
        assert found["pods"][0]["cpu"]["usageCoreNanoSeconds"] == pytest.approx(25e9, rel=0.02)

    in_lab(tmp_path, scenario)
