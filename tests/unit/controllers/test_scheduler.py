"""Who is scheduled when, and what is said to those who are not."""

from __future__ import annotations

from control.api.kinds import NODE, POD
from control.api.objects import Key, Object, condition_of, is_deleting, spec_of
from control.controllers.action import Bind, Outcome
from control.controllers.scheduler import Scheduler
from tests.fakes.objects import node, pod
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster


def decide(cluster: Cluster, name: str = "a") -> Outcome:
    return Scheduler().reconcile(cluster.world, Key("default", name), cluster.now)


def act(cluster: Cluster, name: str = "a") -> Outcome:
    outcome = decide(cluster, name)
    cluster.perform(outcome.actions)
    return outcome


def test_a_pod_is_bound_and_told() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    cluster.add(pod("a"))
    act(cluster)
    assert spec_of(cluster.get(POD, "a"))["nodeName"] == "n0"
    assert cluster.events == ["Normal Scheduled a: Successfully assigned default/a to n0"]
    assert decide(cluster) == Outcome()


def test_a_pod_that_fits_nowhere_is_told_once_and_tried_again_when_a_node_comes() -> None:
    cluster = Cluster()
    cluster.add(pod("a"))
    cluster.add(node("tainted", taints=[{"key": "k", "effect": "NoSchedule"}]))
    simulation = Simulation(cluster, [Scheduler()], kubelet=False)
    simulation.settle()
    said = condition_of(cluster.get(POD, "a"), "PodScheduled") or {}
    assert (said["status"], said["reason"]) == ("False", "Unschedulable")
    assert said["message"] == "0/1 nodes are available: 1 node(s) had untolerated taint {k: }."
    assert cluster.events == [f"Warning FailedScheduling a: {said['message']}"]
    assert decide(cluster) == Outcome()
    cluster.add(node("free"))
    simulation.settle()
    assert spec_of(cluster.get(POD, "a"))["nodeName"] == "free"


def test_a_place_that_becomes_free_is_taken() -> None:
    cluster = Cluster()
    cluster.add(node("n0", pods="1"))
    cluster.add(pod("old", node="n0", ip="127.244.0.1"))
    cluster.add(pod("new"))
    simulation = Simulation(cluster, [Scheduler()], kubelet=False)
    simulation.settle()
    assert "nodeName" not in spec_of(cluster.get(POD, "new"))
    cluster.edit(POD, "old", lambda obj: obj["status"].update(phase="Succeeded"))
    simulation.settle()
    assert spec_of(cluster.get(POD, "new"))["nodeName"] == "n0"


def test_gates_hold_a_pod_back() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    cluster.add(pod("a", schedulingGates=[{"name": "example.com/wait"}]))
    act(cluster)
    said = condition_of(cluster.get(POD, "a"), "PodScheduled") or {}
    assert (said["reason"], cluster.events) == ("SchedulingGated", [])
    cluster.edit(POD, "a", lambda obj: obj["spec"].pop("schedulingGates"))
    act(cluster)
    assert spec_of(cluster.get(POD, "a"))["nodeName"] == "n0"


def test_pods_of_others_and_pods_at_their_end_are_not_scheduled() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    for name, obj in {
        "theirs": pod("theirs", schedulerName="custom"),
        "leaving": pod("leaving", deleting=True),
        "done": pod("done", phase="Failed"),
    }.items():
        cluster.add(obj)
        assert decide(cluster, name) == Outcome()


def test_finished_pods_hold_no_place_and_terminating_ones_do() -> None:
    cluster = Cluster()
    cluster.add(node("n0", pods="1"))
    cluster.add(pod("done", node="n0", phase="Succeeded"))
    cluster.add(pod("a"))
    assert any(isinstance(action, Bind) for action in decide(cluster).actions)
    cluster.add(pod("leaving", node="n0", deleting=True))
    assert not any(isinstance(action, Bind) for action in decide(cluster).actions)


def test_many_pods_at_once_are_counted_one_after_the_other() -> None:
    cluster = Cluster()
    for i in range(3):
        cluster.add(node(f"n{i}", pods="4"))
    for i in range(13):
        cluster.add(pod(f"p{i:02}"))
    Simulation(cluster, [Scheduler()], kubelet=False).settle()
    placed: list[Object] = [each for each in cluster.all(POD) if spec_of(each).get("nodeName")]
    assert len(placed) == 12
    (left,) = [each for each in cluster.all(POD) if not spec_of(each).get("nodeName")]
    assert (condition_of(left, "PodScheduled") or {})["message"] == "0/3 nodes are available: 3 Too many pods."


def test_what_a_change_wakes() -> None:
    cluster = Cluster()
    told = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}
    waiting = cluster.add({**pod("a"), "status": told})
    cluster.add(pod("c"))  # was not told anything yet: it has its turn without
    watches = Scheduler().watches
    assert list(watches[POD](cluster.world, waiting)) == [Key("default", "a")]
    assert list(watches[NODE](cluster.world, node("n0"))) == [Key("default", "a")]
    running = cluster.add(pod("b", node="n0", ip="127.244.0.1"))
    assert list(watches[POD](cluster.world, running)) == []
    assert not is_deleting(running)
    cluster.delete(POD, running, grace_s=0)
    assert list(watches[POD](cluster.world, running)) == [Key("default", "a")]
