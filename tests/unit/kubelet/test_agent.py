"""The agent as a whole: API server and supervisor around it, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from control.api.kinds import CONFIG_MAP, LEASE, NODE, POD
from control.api.objects import condition_of, status_of
from control.kubelet.process import StartError
from control.mirror.client import PatchType
from tests.fakes.node_lab import Lab, first, is_ready, is_running, waits_for
from tests.fakes.pods import container, pod
from tests.fakes.virtual_loop import run_virtually

STRATEGIC: PatchType = "application/strategic-merge-patch+json"


def in_lab(folder: Path, scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def whole() -> None:
        lab = Lab(folder)
        await lab.start()
        try:
            await scenario(lab)
        finally:
            await lab.crash()

    run_virtually(whole())


def test_nodes_register_keep_users_changes_and_stay_alive(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.agent.heartbeats[0].registered.wait()
        await lab.client.patch(
            NODE, "", "loopkube-0", {"metadata": {"labels": {"mine": "x"}}, "spec": {"unschedulable": True}}
        )
        await lab.crash()
        await lab.start()
        await lab.agent.heartbeats[0].registered.wait()
        await lab.elapse(25)
        node = await lab.find(NODE, "loopkube-0", "")
        lease = await lab.find(LEASE, "loopkube-0", "kube-node-lease")
        assert node is not None
        assert lease is not None
        assert (node["metadata"]["labels"]["mine"], node["spec"]["unschedulable"]) == ("x", True)
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "loopkube-0"
        assert (condition_of(node, "Ready") or {})["status"] == "True"
        assert lease["spec"]["renewTime"] == "2026-01-01T00:00:20.000000Z"
        assert lease["metadata"]["ownerReferences"][0]["name"] == "loopkube-0"

    in_lab(tmp_path, scenario)


def test_a_pod_runs_changes_its_image_and_goes(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod())
        before = await lab.until(is_ready)
        change = {"spec": {"containers": [{"name": "c", "image": "loopkube/echo:v2"}]}}
        await lab.client.patch(POD, "default", "p", change, patch_type=STRATEGIC)
        after = await lab.until(lambda p: first(p)["restartCount"] == 1 and is_ready(p))
        assert status_of(after)["podIP"] == status_of(before)["podIP"] == "127.244.0.2"
        assert first(after)["imageID"] != first(before)["imageID"]
        assert first(after)["lastState"]["terminated"]["exitCode"] == 143
        await lab.client.delete(POD, "default", "p")
        assert await lab.gone() < 0.1
        assert lab.host.signals == [("c", SIGTERM), ("c", SIGTERM)]
        await lab.elapse(0.01)
        assert (lab.host.states, lab.agent.runners) == ({}, {})
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        present = 'Container image "loopkube/echo:v{}" already present on machine and can be accessed by the pod'
        seen = await lab.events()
        assert ("Killing", "Container c definition changed, will be restarted") in seen
        assert {("Pulled", present.format(1)), ("Pulled", present.format(2))} <= set(seen)
        assert seen[-1] == ("Killing", "Stopping container c")

    in_lab(tmp_path, scenario)


def test_an_adopted_pod_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod(container(readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 5})))
        before = await lab.until(is_ready)
        await lab.crash()
        await lab.elapse(60)
        await lab.start()
        await lab.elapse(20)
        after = await lab.pod()
        assert after == before, "no flap, no restart, no write"
        assert [state.pid for state in lab.host.named("c")] == [1001]

    in_lab(tmp_path, scenario)


def test_what_happened_while_the_kubelet_was_away_is_accounted(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        for name in ("ended", "deleted"):
            await lab.create(pod(container(name), name=name))
            await lab.until(is_running, name)
        await lab.crash()
        lab.host.exit("ended", 7)
        await lab.client.delete(POD, "default", "deleted", grace_period_s=0)
        await lab.start()
        after = await lab.until(lambda p: first(p)["restartCount"] == 1 and is_running(p), "ended")
        assert first(after)["lastState"]["terminated"]["exitCode"] == 7
        await lab.elapse(0.1)
        assert lab.host.running() == ["ended"], "the process of the pod that is gone was ended"
        assert [state.labels["container"] for state in lab.host.states.values()] == ["ended", "ended"]

    in_lab(tmp_path, scenario)


def test_a_machine_that_went_down_restarts_its_pods(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod())
        await lab.until(is_running)
        await lab.crash()
        lab.host.states.clear()
        await lab.start()
        after = await lab.until(lambda p: first(p)["restartCount"] == 1 and is_running(p))
        assert first(after)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert status_of(after)["podIP"] == "127.244.0.2"

    in_lab(tmp_path, scenario)


def test_crash_loop_back_off_by_the_clock(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod())
        starts = []
        for attempt in range(5):
            await lab.until(lambda p, n=attempt: is_running(p) and first(p)["restartCount"] == n)  # type: ignore[misc]
            starts.append(lab.loop.time())
            lab.host.exit("c", 1)
        gaps = [round(later - earlier, 1) for earlier, later in pairwise(starts)]
        assert gaps == [0.0, 10.0, 20.0, 40.0]
        await lab.until(waits_for("CrashLoopBackOff"))
        assert any(reason == "BackOff" for reason, _ in await lab.events())

    in_lab(tmp_path, scenario)


def test_grace_pre_stop_and_sigkill(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.stubborn.add("c")
        hook = {"preStop": {"exec": {"command": ["drain"]}}}
        await lab.create(pod(container(lifecycle=hook), terminationGracePeriodSeconds=5))
        await lab.until(is_running)
        await lab.client.delete(POD, "default", "p")
        assert 4.9 < await lab.gone() < 5.2
        assert lab.host.commands == [("drain",)]
        assert lab.host.signals == [("c", SIGTERM), ("c", SIGKILL)]

    in_lab(tmp_path, scenario)


def test_a_hook_that_hangs_gets_the_grace_and_the_process_two_seconds_more(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.stubborn.add("c")
        hook = {"preStop": {"exec": {"command": ["hang"]}}}
        await lab.create(pod(container(lifecycle=hook), terminationGracePeriodSeconds=5))
        await lab.until(is_running)
        await lab.client.delete(POD, "default", "p")
        assert 6.9 < await lab.gone() < 7.2

    in_lab(tmp_path, scenario)


def test_a_failed_post_start_hook_kills_the_container(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.answers["warm-up"] = (1, b"cold")
        hook = {"postStart": {"exec": {"command": ["warm-up"]}}}
        await lab.create(pod(container(lifecycle=hook)))
        await lab.until(waits_for("CrashLoopBackOff"))
        seen = await lab.events()
        assert ("FailedPostStartHook", "PostStartHook failed") in seen
        assert ("Killing", "FailedPostStartHook") in seen

    in_lab(tmp_path, scenario)


def test_liveness_and_readiness(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        probes: dict[str, Any] = {
            "readinessProbe": {"exec": {"command": ["ready"]}, "periodSeconds": 1, "failureThreshold": 1},
            "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 1, "failureThreshold": 2},
        }
        await lab.create(pod(container(**probes)))
        await lab.until(is_ready)
        lab.host.answers["ready"] = (1, b"busy")
        await lab.until(lambda p: is_running(p) and not is_ready(p), within_s=1.1)
        lab.host.answers["ready"] = (0, b"")
        await lab.until(is_ready, within_s=1.1)
        lab.host.answers["alive"] = (1, b"dead")
        await lab.until(lambda p: first(p)["restartCount"] == 1, within_s=3)
        seen = await lab.events()
        assert ("Unhealthy", "Readiness probe failed: busy") in seen
        assert ("Unhealthy", "Liveness probe failed: dead") in seen
        assert ("Killing", "Container c failed liveness probe, will be restarted") in seen

    in_lab(tmp_path, scenario)


def test_the_status_is_written_in_the_breath_of_its_cause(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        probe = {"exec": {"command": ["ready"]}, "periodSeconds": 1, "failureThreshold": 1}
        await lab.create(pod(container(readinessProbe=probe)))
        await lab.until(is_ready)
        runner = next(iter(lab.agent.runners.values()))
        at = lab.loop.time()
        runner.on_verdict("c", "readiness", False)
        await lab.until(lambda p: not is_ready(p))
        assert lab.loop.time() - at < 0.02, "no timer lies between verdict and write"

    in_lab(tmp_path, scenario)


def test_a_missing_config_map_holds_the_container_until_it_comes(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        variable = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "a"}}}
        await lab.create(pod(container(env=[variable])))
        waiting = await lab.until(waits_for("CreateContainerConfigError"))
        assert first(waiting)["state"]["waiting"]["message"] == 'configmap "cm" not found'
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"}}
        await lab.client.create(CONFIG_MAP, {**config, "data": {"a": "1"}})
        await lab.until(is_running, within_s=0.1)
        (spec,) = lab.host.specs.values()
        assert spec.env["A"] == "1"

    in_lab(tmp_path, scenario)


def test_an_unknown_image_waits_until_a_row_comes(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod(container(image="example.com/shop:1")))
        await lab.until(waits_for("ErrImagePull"))
        waiting = await lab.until(waits_for("ImagePullBackOff"))
        assert "kube-system/loopkube-images" in first(waiting)["state"]["waiting"]["message"]
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "loopkube-images", "namespace": "kube-system"},
        }
        rows = "- pattern: example.com/shop\n  entrypoint: [/opt/shop]\n"
        await lab.client.create(CONFIG_MAP, {**config, "data": {"rows": rows}})
        await lab.until(is_running, within_s=0.1)
        (spec,) = lab.host.specs.values()
        assert spec.argv == ("/opt/shop",)

    in_lab(tmp_path, scenario)


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        lab.host.refused["/nope"] = StartError(127, 'exec: "/nope": no such file or directory')
        await lab.create(pod(container(command=["/nope"]), restartPolicy="Never"))
        failed = await lab.until(lambda p: status_of(p).get("phase") == "Failed")
        state = first(failed)["state"]["terminated"]
        assert (state["reason"], state["exitCode"]) == ("StartError", 127)

    in_lab(tmp_path, scenario)


def test_a_finished_pod_keeps_its_logs_until_it_is_deleted(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create(pod(restartPolicy="Never"))
        await lab.until(is_running)
        lab.host.exit("c", 0)
        await lab.until(lambda p: status_of(p).get("phase") == "Succeeded")
        assert lab.host.named("c")
        await lab.client.delete(POD, "default", "p")
        await lab.gone(within_s=1)

    in_lab(tmp_path, scenario)
