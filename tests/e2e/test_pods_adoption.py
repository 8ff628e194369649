"""kill -9 of the node process in the middle of everything: its successor finds the pods and goes on from there."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import FAST, Document, Pods, namespace, pod, processes_with, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
FOREVER = "exec sleep 600"


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "adopted") as pods:
        yield pods


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary"
    path.touch()
    return path


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines()


def kill_node(cluster: Cluster, meanwhile: Callable[[], None] = lambda: None) -> None:
    """kill -9; `meanwhile` happens while the node process is away. Returns when its successor has opened its books."""
    pid = cluster.pid("node")
    os.kill(pid, signal.SIGSTOP)  # from here on it does nothing any more
    try:
        meanwhile()
    finally:
        os.kill(pid, signal.SIGKILL)

    def successor() -> bool:
        process = next(p for p in cluster.status()["processes"] if p["name"] == "node")
        return process["pid"] not in (0, pid) and bool(process["ready"])

    until("the node's successor", successor)


def kill(text: str) -> None:
    for pid in processes_with(text):
        with contextlib.suppress(ProcessLookupError):  # it went with another
            os.kill(pid, signal.SIGKILL)


def identity(pods: Pods, name: str) -> dict[str, object]:
    """What must not change: each container's id, start, restarts; the address; since when it is ready."""
    status = pods.get(name)["status"]
    said = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    containers = [(c["name"], c["containerID"], c["state"], c["restartCount"], c["ready"], c["started"]) for c in said]
    ready = pods.condition(name, "Ready")["lastTransitionTime"]
    return {"containers": containers, "ip": status["podIP"], "start": status["startTime"], "ready": ready}


def test_running_pods_do_not_notice(pods: Pods) -> None:
    probe = {"exec": {"command": ["test", "-e", "up"]}, **FAST}
    side = {**sh(f"touch up; {FOREVER}", startupProbe=probe), "name": "side", "restartPolicy": "Always"}
    init = {**sh("true"), "name": "init"}
    probed = sh(f"touch up; {FOREVER}", readinessProbe=probe, livenessProbe=probe)
    pods.apply(pod("calm", probed, {**sh(FOREVER), "name": "second"}, initContainers=[init, side]))
    pods.until_ready("calm")
    before = identity(pods, "calm")
    events = len(pods.events("calm"))
    kill_node(pods.cluster)
    fresh = pod("fresh", sh(FOREVER))
    pods.apply(fresh)
    pods.until_ready("fresh")  # the successor works: what it wanted to say of "calm" has been said
    assert identity(pods, "calm") == before
    assert len(pods.events("calm")) == events
    assert pods.get("fresh")["status"]["podIP"] != before["ip"]


def test_in_the_middle_of_a_termination(pods: Pods, diary: Path) -> None:
    slow = sh(f"trap 'echo term >> {diary}; sleep 1.5; echo bye >> {diary}; exit 0' TERM; while :; do sleep 0.05; done")
    mark = f"sleep 5{diary.stat().st_ino}"
    deaf = sh(f"trap '' TERM; echo up >> {diary}; {mark}")
    pods.apply(
        pod("leaving", slow, terminationGracePeriodSeconds=20),
        pod("deaf", deaf, terminationGracePeriodSeconds=2),
    )
    pods.until_ready("leaving", "deaf")
    until("the trap", lambda: processes_with(mark) and lines(diary) == ["up"])
    pods.delete("leaving", "deaf", wait=False)
    until("the signal", lambda: "term" in lines(diary))
    kill_node(pods.cluster)
    pods.until_gone("leaving", "deaf")
    assert lines(diary)[-1] == "bye"
    assert processes_with(mark) == []


def test_in_the_middle_of_a_pre_stop_hook(pods: Pods, diary: Path) -> None:
    hook = {"exec": {"command": ["sh", "-c", f"echo hook >> {diary}; sleep 1; echo hooked >> {diary}"]}}
    trap = f"trap 'echo term >> {diary}; exit 0' TERM; while :; do sleep 0.05; done"
    pods.apply(pod("hooked", sh(trap, lifecycle={"preStop": hook}), terminationGracePeriodSeconds=20))
    pods.until_ready("hooked")
    pods.delete("hooked", wait=False)
    until("the hook", lambda: lines(diary) == ["hook"])
    kill_node(pods.cluster)
    pods.until_gone("hooked")
    said = lines(diary)
    assert said[-1] == "term"  # the signal still comes after a whole hook
    assert said.count("term") == 1
    assert said.count("hooked") == said.count("hook") == 2  # a kubelet that does not know whether it ran runs it again


def test_in_the_middle_of_a_crash_loop(pods: Pods, diary: Path) -> None:
    pods.apply(pod("loops", sh(f"echo run >> {diary}; echo attempt; exit 3")))
    pods.until_state("loops", "CrashLoopBackOff")
    assert len(lines(diary)) == 2
    kill_node(pods.cluster)
    said = pods.until_restarts("loops", 2)
    assert said["restartCount"] == 2
    said = pods.until_state("loops", "CrashLoopBackOff")
    assert said["lastState"]["terminated"]["exitCode"] == 3
    assert len(lines(diary)) == said["restartCount"] + 1  # nothing ran uncounted
    assert pods.logs("loops", "--previous") == "attempt\n"


def test_in_the_middle_of_an_init_container(pods: Pods, diary: Path) -> None:
    first = {**sh(f"echo first >> {diary}"), "name": "first"}
    second = {**sh(f"echo begin >> {diary}; sleep 2; echo end >> {diary}"), "name": "second"}
    main = sh(f"echo main >> {diary}; {FOREVER}")
    pods.apply(pod("begins", main, initContainers=[first, second]))
    before = pods.until_state("begins", "running", "second")
    until("its beginning", lambda: "begin" in lines(diary))
    kill_node(pods.cluster)
    pods.until_ready("begins")
    assert lines(diary) == ["first", "begin", "end", "main"]
    after = pods.container("begins", "second")
    assert after["state"]["terminated"]["containerID"] == before["containerID"]
    assert after["restartCount"] == 0


def test_between_two_init_containers(pods: Pods, diary: Path) -> None:
    """The init container ends while the node is away: its exit code counts, and it does not run again."""
    first = {**sh(f"echo begin >> {diary}; until test -e {diary}.go; do sleep 0.02; done; echo end >> {diary}")}
    second = {**sh(f"echo second >> {diary}"), "name": "second"}
    pods.apply(pod("between", sh(FOREVER), initContainers=[{**first, "name": "first"}, second]))
    pods.until_state("between", "running", "first")

    def meanwhile() -> None:
        Path(f"{diary}.go").touch()
        until("the end of the first", lambda: "end" in lines(diary))

    kill_node(pods.cluster, meanwhile)
    pods.until_ready("between")
    assert lines(diary) == ["begin", "end", "second"]


def test_what_happened_meanwhile(pods: Pods, diary: Path) -> None:
    mark = f"4{diary.stat().st_ino}"
    pods.apply(
        pod("deleted", sh(f"exec sleep {mark}1")),
        pod("forced", sh(f"trap '' TERM; sleep {mark}2")),
        pod("crashed", sh(f"sleep {mark}3; exit 4"), restartPolicy="OnFailure"),
        pod("upgraded", {"image": "loopkube/echo:1"}),
        pod("finishes", sh(f"until test -e {diary}.go; do sleep 0.02; done"), restartPolicy="Never"),
    )
    pods.until_ready("deleted", "forced", "crashed", "upgraded", "finishes")

    def meanwhile() -> None:
        pods.delete("deleted", wait=False)
        pods.kubectl("delete", "pod", "forced", "--force", "--grace-period=0", "--wait=false")
        kill(f"sleep {mark}3")
        pods.kubectl("set", "image", "pod/upgraded", "main=loopkube/echo:2")
        Path(f"{diary}.go").touch()
        pods.apply(pod("created", sh(FOREVER)))
        until("the crash", lambda: not processes_with(f"sleep {mark}3"))

    kill_node(pods.cluster, meanwhile)
    pods.until_gone("deleted", "forced")
    until("their processes to end", lambda: not processes_with(f"sleep {mark}1") + processes_with(f"sleep {mark}2"))
    said = pods.until_restarts("crashed", 1)
    assert said["lastState"]["terminated"]["exitCode"] == 137
    assert pods.until_restarts("upgraded", 1)["image"] == "loopkube/echo:2"
    pods.until_phase("finishes", "Succeeded")
    pods.until_ready("created", "crashed", "upgraded")
    assert pods.container("finishes")["restartCount"] == 0


def test_a_deadline_counts_from_the_pods_start(pods: Pods) -> None:
    pods.apply(pod("limited", sh(FOREVER), activeDeadlineSeconds=4))
    pods.until_ready("limited")
    began = time.monotonic()
    time_of_start = pods.get("limited")["status"]["startTime"]
    kill_node(pods.cluster)
    assert pods.until_phase("limited", "Failed")["status"]["reason"] == "DeadlineExceeded"
    assert time.monotonic() - began < 7
    assert pods.get("limited")["status"]["startTime"] == time_of_start


def test_finished_pods_stay_as_they_are(pods: Pods) -> None:
    init = {**sh("true"), "name": "init"}
    pods.apply(pod("done", sh("exit 0"), initContainers=[init], restartPolicy="Never"))
    pods.apply(pod("failed", sh("exit 1"), initContainers=[{**sh("exit 2"), "name": "init"}], restartPolicy="Never"))
    pods.until_phase("done", "Succeeded")
    pods.until_phase("failed", "Failed")
    before = [strip(pods.get(name)) for name in ("done", "failed")]
    kill_node(pods.cluster)
    pods.apply(pod("next", sh(FOREVER)))
    pods.until_ready("next")
    assert [strip(pods.get(name)) for name in ("done", "failed")] == before


def strip(found: Document) -> Document:
    return {"status": found["status"], "version": found["metadata"]["resourceVersion"]}


def test_in_the_middle_of_many_starts(pods: Pods, diary: Path) -> None:
    """Starts whose answers were lost are found again: every pod has exactly one process, the first."""
    names = [f"many-{number}" for number in range(20)]
    pods.apply(*[pod(name, sh(f"echo $HOSTNAME >> {diary}; {FOREVER}")) for name in names])
    until("the first", lambda: lines(diary))
    kill_node(pods.cluster)
    pods.until_ready(*names)
    assert sorted(lines(diary)) == sorted(names)
    assert {pods.container(name)["restartCount"] for name in names} == {0}
    assert len({pods.get(name)["status"]["podIP"] for name in names}) == 20
    pods.delete(*names, grace=0)


def test_what_happens_while_the_api_is_away(pods: Pods, diary: Path) -> None:
    """kill -9 of control: the node acts on, and tells when somebody listens again."""
    go = f"until test -e {diary}.go; do sleep 0.02; done"
    pods.apply(
        pod("ends", sh(f"{go}; exit 6"), restartPolicy="Never"),
        pod("repeats", sh(f"if test -e again; then {FOREVER}; fi; touch again; {go}; exit 7")),
    )
    pods.until_ready("ends", "repeats")
    pid = pods.cluster.pid("control")
    os.kill(pid, signal.SIGSTOP)
    try:
        Path(f"{diary}.go").touch()
        until("the restart", lambda: not processes_with(f"{diary}.go; do"), 20)
    finally:
        os.kill(pid, signal.SIGKILL)
    pods.until_phase("ends", "Failed", 60)
    assert pods.container("ends")["state"]["terminated"]["exitCode"] == 6
    said = pods.until_restarts("repeats", 1)
    assert said["lastState"]["terminated"]["exitCode"] == 7
    pods.until_ready("repeats")


def test_after_down_and_up(make_cluster: Callable[..., Cluster], diary: Path) -> None:
    """A reboot: finished pods stay finished, the others start anew with one more restart."""
    cluster = make_cluster()
    pods = Pods(cluster, "default")
    init = {**sh(f"echo init >> {diary}"), "name": "init"}
    pods.apply(
        pod("done", sh("exit 0"), initContainers=[{**sh("true"), "name": "init"}], restartPolicy="Never"),
        pod("runs", sh(f"echo main >> {diary}; {FOREVER}"), initContainers=[init]),
        pod("once", sh(FOREVER), restartPolicy="Never"),
    )
    pods.until_phase("done", "Succeeded")
    pods.until_ready("runs", "once")
    before = strip(pods.get("done"))
    pods.connection.close()
    cluster.loopkube("down")
    cluster.loopkube("up", "--detach", "--api-port", "0", "--http-port", "0", "--https-port", "0")
    pods = Pods(cluster, "default")
    said = pods.until_restarts("runs", 1)
    pods.until_ready("runs")
    assert said["lastState"]["terminated"]["reason"] in ("Error", "ContainerStatusUnknown")
    assert lines(diary) == ["init", "main", "init", "main"]
    assert pods.until_phase("once", "Failed")["status"]["containerStatuses"][0]["restartCount"] == 0
    assert strip(pods.get("done")) == before
