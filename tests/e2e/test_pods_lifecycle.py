"""From the first init container to the last signal: order of starting, hooks, and every way to end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import Document, Pods, config_map, namespace, pod, processes_with, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
KEEP = "example.com/keep"  # a finalizer: the pod's last status can be looked at
VOLUMES = {"volumes": [{"name": "shared", "emptyDir": {}}]}
SHARED = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
SERVER = {
    "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
    "args": ["netexec"],
    "ports": [{"containerPort": 8080}],
}


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "lifecycle") as pods:
        yield pods


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A file that outlives the pods that write into it."""
    path = tmp_path / "diary"
    path.touch()
    return path


def gated(name: str, container: Document) -> tuple[Document, Document]:
    """A container that does not go on before the ConfigMap `name` exists, and the volume that it needs for that."""
    script = f"until test -e gate/go; do sleep 0.05; done; {container['command'][2]}"
    mounts = [*container.get("volumeMounts", ()), {"name": "gate", "mountPath": "/gate"}]
    container = {**container, "command": ["/bin/sh", "-c", script], "volumeMounts": mounts}
    return container, {"name": "gate", "configMap": {"name": name, "optional": True}}


def row(pods: Pods, name: str) -> list[str]:
    """READY, STATUS, RESTARTS as kubectl shows them."""
    return pods.kubectl("get", "pod", name, "--no-headers").split()[1:4]


def kept(document: Document) -> Document:
    document["metadata"]["finalizers"] = [KEEP]
    return document


def let_go(pods: Pods, name: str) -> None:
    pods.kubectl(
        "patch", "pod", name, "--type=json", "-p", json.dumps([{"op": "remove", "path": "/metadata/finalizers"}])
    )
    pods.until_gone(name)


def hooks(**hooks: Any) -> Document:
    return {"lifecycle": hooks}


def run_script(script: str) -> Document:
    return {"exec": {"command": ["/bin/sh", "-c", script]}}


# init containers and sidecars


def test_init_containers_run_in_order(pods: Pods) -> None:
    first, gate = gated("go-order", {**sh("echo first >> shared/order", **SHARED), "name": "first"})
    second = {**sh("echo second >> shared/order", **SHARED), "name": "second"}
    main = sh("cat shared/order; exec sleep 600", **SHARED)
    pods.apply(pod("order", main, initContainers=[first, second], volumes=[gate, *VOLUMES["volumes"]]))
    pods.until_state("order", "running", "first")
    assert row(pods, "order") == ["0/1", "Init:0/2", "0"]
    assert pods.container("order")["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = pods.condition("order", "Initialized")
    assert (initialized["status"], initialized["reason"]) == ("False", "ContainersNotInitialized")
    assert initialized["message"] == "containers with incomplete status: [first second]"
    pods.apply(config_map("go-order", go="on"))
    pods.until_ready("order")
    assert pods.logs("order").splitlines() == ["first", "second"]
    for name in ("first", "second"):
        said = pods.container("order", name)
        assert said["state"]["terminated"]["reason"] == "Completed"
        assert said["ready"] is True
    assert pods.condition("order", "Initialized")["status"] == "True"


def test_a_failing_init_container_fails_a_pod_that_never_restarts(pods: Pods) -> None:
    init = {**sh("exit 4"), "name": "init"}
    pods.apply(pod("init-fails", sh("true"), initContainers=[init], restartPolicy="Never"))
    pods.until_phase("init-fails", "Failed")
    assert row(pods, "init-fails")[1] == "Init:Error"
    assert "waiting" in pods.container("init-fails")["state"]
    assert pods.container("init-fails", "init")["state"]["terminated"]["exitCode"] == 4


def test_a_failing_init_container_is_tried_again(pods: Pods) -> None:
    init = {**sh("test -e again || { touch again; exit 4; }"), "name": "init"}
    endless = {**sh("exit 1"), "name": "init"}
    pods.apply(
        pod("init-again", sh("exec sleep 600"), initContainers=[init]),
        pod("init-endless", sh("exec sleep 600"), initContainers=[endless]),
    )
    pods.until_ready("init-again")
    assert pods.container("init-again", "init")["restartCount"] == 1
    said = pods.until_state("init-endless", "CrashLoopBackOff", "init")
    assert said["restartCount"] == 1
    assert row(pods, "init-endless")[:2] == ["0/1", "Init:CrashLoopBackOff"]
    assert pods.phase("init-endless") == "Pending"


def sidecar(script: str, **fields: Any) -> Document:
    return {**sh(script, **fields), "name": "sidecar", "restartPolicy": "Always"}


def test_a_sidecar_starts_first_and_leaves_last(pods: Pods, diary: Path) -> None:
    trap = "trap 'echo {0} >> {1}; exit 0' TERM; echo {0} up >> {1}; while :; do sleep 0.05; done"
    probe = {"exec": {"command": ["test", "-e", "up"]}, "periodSeconds": 1}
    side = sidecar("sleep 0.3; touch up; " + trap.format("sidecar", diary), startupProbe=probe)
    main = sh(
        f"trap 'sleep 0.3; echo main >> {diary}; exit 0' TERM; echo main up >> {diary}; while :; do sleep 0.05; done"
    )
    pods.apply(pod("side", main, initContainers=[side], terminationGracePeriodSeconds=10))
    pods.until_ready("side")
    assert row(pods, "side") == ["2/2", "Running", "0"]
    pods.delete("side")
    assert diary.read_text().splitlines() == ["sidecar up", "main up", "main", "sidecar"]


def test_a_sidecar_does_not_keep_a_finished_pod(pods: Pods) -> None:
    pods.apply(pod("job", sh("sleep 0.2"), initContainers=[sidecar("exec sleep 600")], restartPolicy="Never"))
    pods.until_phase("job", "Succeeded")
    assert pods.container("job", "sidecar")["state"]["terminated"]["exitCode"] in (137, 143)


def test_a_sidecar_restarts_although_the_pod_never_does(pods: Pods) -> None:
    side = sidecar("test -e again && exec sleep 600; touch again; exit 1")
    pods.apply(pod("side-again", sh("exec sleep 600"), initContainers=[side], restartPolicy="Never"))
    pods.until_restarts("side-again", 1, "sidecar")
    pods.until_ready("side-again")


# hooks


def test_post_start(pods: Pods) -> None:
    good = sh("exec sleep 600", **hooks(postStart=run_script('env > hooked; test -n "$POD_IP"')))
    never = {**SERVER, **hooks(postStart={"httpGet": {"path": "/", "port": 9}})}
    bad = sh("exec sleep 600", **hooks(postStart=run_script("echo oh; exit 9")))
    waits = {"startupProbe": {"tcpSocket": {"port": 8080}}}
    pods.apply(pod("hook", good), pod("hook-bad", bad), pod("hook-http-bad", {**never, **waits}))
    pods.until_ready("hook")
    pods.until_event("hook-bad", "FailedPostStartHook")
    pods.until_event("hook-bad", "Killing", "FailedPostStartHook")
    pods.until_state("hook-bad", "CrashLoopBackOff")
    pods.until_event("hook-http-bad", "FailedPostStartHook")


def test_pre_stop_runs_before_the_signal(pods: Pods, diary: Path) -> None:
    trap = f"trap 'echo term >> {diary}; exit 0' TERM; while :; do sleep 0.05; done"
    stop = run_script(f"echo hook $LOOPKUBE_POD >> {diary}; sleep 0.3; echo hooked >> {diary}")
    pods.apply(pod("pre", sh(trap, **hooks(preStop=stop)), terminationGracePeriodSeconds=10))
    pods.until_ready("pre")
    pods.delete("pre")
    assert diary.read_text().splitlines() == ["hook pre", "hooked", "term"]


def test_pre_stop_by_http_and_by_sleep(pods: Pods, diary: Path) -> None:
    trap = f"trap 'date +%s.%N >> {diary}; exit 0' TERM; while :; do sleep 0.02; done"
    asked = {**SERVER, **hooks(preStop={"httpGet": {"path": "/exit?code=9", "port": 8080}})}
    asked["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    sleeps = sh(trap, **hooks(preStop={"sleep": {"seconds": 1}}))
    pods.apply(
        kept(pod("pre-http", asked, terminationGracePeriodSeconds=20)),
        pod("pre-sleep", sleeps, terminationGracePeriodSeconds=20),
    )
    pods.until_ready("pre-http", "pre-sleep")
    began = time.time()
    pods.delete("pre-http", "pre-sleep", wait=False)
    pods.until_gone("pre-sleep")
    assert 1 <= float(diary.read_text()) - began < 5
    assert pods.until_state("pre-http", "terminated")["state"]["terminated"]["exitCode"] == 9
    assert not pods.events("pre-http", "FailedPreStopHook")
    let_go(pods, "pre-http")


def test_a_failing_pre_stop_is_told_and_the_end_goes_on(pods: Pods) -> None:
    pods.apply(
        pod("pre-bad", sh("exec sleep 600", **hooks(preStop=run_script("exit 2"))), terminationGracePeriodSeconds=20)
    )
    pods.until_ready("pre-bad")
    pods.delete("pre-bad")
    pods.until_event("pre-bad", "FailedPreStopHook")
    pods.until_event("pre-bad", "Killing", "Stopping container main")


def test_a_pre_stop_that_outlasts_the_grace_gets_two_seconds_more(pods: Pods, diary: Path) -> None:
    trap = f"trap 'date +%s.%N >> {diary}' TERM; while :; do sleep 0.02; done"
    pods.apply(kept(pod("pre-long", sh(trap, **hooks(preStop=run_script("sleep 600"))))))
    pods.until_ready("pre-long")
    began = time.time()
    pods.delete("pre-long", wait=False)
    said = pods.until_state("pre-long", "terminated")
    ended = time.time()
    assert said["state"]["terminated"]["exitCode"] == 137
    assert 1 <= float(diary.read_text()) - began < 2.5  # the signal at the end of the grace period
    assert 3 <= ended - began < 6  # SIGKILL two seconds later
    let_go(pods, "pre-long")


# the end


def test_the_whole_group_gets_the_signal_and_then_the_kill(pods: Pods, diary: Path) -> None:
    mark = f"sleep 6{diary.stat().st_ino}"
    deaf = f"trap '' TERM; {mark} & while :; do sleep 0.05; done"
    child = f"(trap 'echo child >> {diary}; exit' TERM; while :; do sleep 0.05; done) & "
    pods.apply(
        kept(pod("deaf", sh(deaf))),
        pod(
            "family",
            sh(f"trap 'wait; echo parent >> {diary}; exit' TERM; {child} wait"),
            terminationGracePeriodSeconds=10,
        ),
    )
    pods.until_ready("deaf", "family")
    until("the child", lambda: processes_with(mark))
    pods.delete("family")
    assert diary.read_text().splitlines() == ["child", "parent"]
    began = time.monotonic()
    pods.delete("deaf", wait=False)
    ended = pods.until_state("deaf", "terminated")["state"]["terminated"]
    assert (ended["exitCode"], ended["signal"], ended["reason"]) == (137, 9, "Error")
    assert 1 <= time.monotonic() - began < 4
    assert pods.phase("deaf") == "Failed"
    assert processes_with(mark) == []
    let_go(pods, "deaf")


def test_what_left_the_group_does_not_survive(pods: Pods, diary: Path) -> None:
    mark = f"sleep 7{diary.stat().st_ino}"
    pods.apply(pod("daemon", sh(f"setsid {mark} & exec sleep 600")))
    until("the daemon", lambda: processes_with(mark))
    pods.delete("daemon")
    until("its end", lambda: processes_with(mark) == [])


def test_force_delete_takes_the_object_at_once(pods: Pods, diary: Path) -> None:
    mark = f"sleep 8{diary.stat().st_ino}"
    pods.apply(pod("forced", sh(f"trap '' TERM; {mark}"), terminationGracePeriodSeconds=60))
    until("the process", lambda: processes_with(mark))
    pods.kubectl("delete", "pod", "forced", "--force", "--grace-period=0", "--wait=false")
    assert pods.get("forced") == {}
    until("the end of the process", lambda: processes_with(mark) == [], 10)


def test_a_second_delete_shortens_the_grace(pods: Pods) -> None:
    pods.apply(pod("hurried", sh("trap '' TERM; while :; do sleep 0.05; done"), terminationGracePeriodSeconds=60))
    pods.until_ready("hurried")
    pods.delete("hurried", wait=False)
    until("the deletion", lambda: pods.get("hurried")["metadata"].get("deletionGracePeriodSeconds") == 60)
    assert row(pods, "hurried")[1] == "Terminating"
    pods.delete("hurried", grace=1, wait=False)
    pods.until_gone("hurried", deadline_s=10)


def test_stop_signal(pods: Pods, diary: Path) -> None:
    trap = f"trap 'echo usr1 >> {diary}; exit 0' USR1; while :; do sleep 0.05; done"
    main = sh(trap, **hooks(stopSignal="SIGUSR1"))
    pods.apply(pod("signalled", main, os={"name": "linux"}, terminationGracePeriodSeconds=10))
    pods.until_ready("signalled")
    pods.delete("signalled")
    assert diary.read_text() == "usr1\n"


def test_active_deadline(pods: Pods) -> None:
    pods.apply(pod("deadline", sh("exec sleep 600"), activeDeadlineSeconds=1))
    status = pods.until_phase("deadline", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    pods.until_event("deadline", "DeadlineExceeded")
    assert row(pods, "deadline")[1] in ("DeadlineExceeded", "Error")


# while it runs


def test_a_new_image_restarts_only_its_container(pods: Pods) -> None:
    other = {**sh("exec sleep 600"), "name": "other"}
    pods.apply(pod("upgraded", {"image": "loopkube/echo:1"}, other, **VOLUMES))
    pods.until_ready("upgraded")
    before, main_before = pods.get("upgraded"), pods.container("upgraded")
    other_before = pods.container("upgraded", "other")
    pods.kubectl("set", "image", "pod/upgraded", "main=loopkube/echo:2")
    said = pods.until_restarts("upgraded", 1)
    pods.until_ready("upgraded")
    said = pods.container("upgraded")
    assert said["image"] == "loopkube/echo:2"
    assert said["imageID"] != main_before["imageID"]
    assert said["lastState"]["terminated"]["containerID"] == main_before["containerID"]
    assert pods.container("upgraded", "other") == other_before
    assert pods.get("upgraded")["status"]["podIP"] == before["status"]["podIP"]
    pods.until_event("upgraded", "Killing", "Container main definition changed, will be restarted")


def test_readiness_gates(pods: Pods) -> None:
    gate = "example.com/ready"
    pods.apply(pod("gated", sh("exec sleep 600"), readinessGates=[{"conditionType": gate}]))
    until("the containers", lambda: pods.condition("gated", "ContainersReady").get("status") == "True")
    ready = pods.condition("gated", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    assert ready["message"] == f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    patch = {"status": {"conditions": [{"type": gate, "status": "True"}]}}
    pods.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(patch))
    pods.until_ready("gated")
    assert pods.condition("gated", gate)["status"] == "True"
