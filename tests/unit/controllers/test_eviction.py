"""Pods that have to go: off tainted nodes, off nodes that are gone, and when there are too many dead ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.api.kinds import KINDS, NODE, POD
from control.api.objects import Key, Object, condition_of, is_deleting, name_of, spec_of, status_of
from control.controllers.action import Outcome
from control.controllers.podgc import PodGarbageController
from control.controllers.taints import TaintController
from control.mirror.world import World
from tests.fakes.objects import node, pod
from tests.fakes.tiny_api import START, Cluster, Stopped

TAINT = {"key": "k", "effect": "NoExecute"}


def evict(cluster: Cluster) -> Outcome:
    outcome = TaintController().reconcile(cluster.world, Key("", "n0"), cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def tolerating(name: str, *seconds: int | None) -> Object:
    tolerations = [
        {"key": "k", "operator": "Exists"} | ({} if s is None else {"tolerationSeconds": s}) for s in seconds
    ]
    return pod(name, node="n0", ip="127.244.0.1", tolerations=tolerations)


def tainted(*pods: Object) -> Cluster:
    """A node whose taint has got its time."""
    cluster = Cluster()
    cluster.add(node("n0", taints=[TAINT, {"key": "other", "effect": "NoSchedule"}]))
    for each in pods:
        cluster.add(each)
    evict(cluster)
    return cluster


def test_a_taint_gets_a_time_first() -> None:
    cluster = tainted()
    added, other = spec_of(cluster.get(NODE, "n0"))["taints"]
    assert added == {**TAINT, "timeAdded": "2026-01-01T00:00:00Z"}
    assert "timeAdded" not in other


def test_pods_go_when_what_they_tolerate_is_over() -> None:
    cluster = tainted(
        pod("now", node="n0", ip="127.244.0.1"),
        pod("elsewhere", node="n1", ip="127.244.0.2"),
        tolerating("later", 30, 60),
        tolerating("negative", -1),
        tolerating("never", None),
    )
    assert evict(cluster).wake_at == START + timedelta(seconds=30)
    leaving = {name_of(each) for each in cluster.all(POD) if is_deleting(each)}
    assert leaving == {"now", "negative"}
    said = condition_of(cluster.get(POD, "now"), "DisruptionTarget") or {}
    assert (said["status"], said["reason"]) == ("True", "DeletionByTaintManager")
    assert cluster.events[0] == "Normal TaintManagerEviction negative: Marking for deletion Pod default/negative"
    cluster.now += timedelta(seconds=30)
    assert evict(cluster).wake_at is None
    assert is_deleting(cluster.get(POD, "later"))
    assert evict(cluster) == Outcome()


def test_every_taint_must_be_tolerated() -> None:
    cluster = tainted(tolerating("a", None))
    cluster.edit(NODE, "n0", lambda obj: obj["spec"]["taints"].append({"key": "second", "effect": "NoExecute"}))
    evict(cluster)
    evict(cluster)
    assert is_deleting(cluster.get(POD, "a"))


def test_a_taint_that_goes_in_time_evicts_nobody() -> None:
    cluster = tainted(tolerating("a", 30))
    cluster.edit(NODE, "n0", lambda obj: obj["spec"].update(taints=[]))
    cluster.now += timedelta(minutes=5)
    assert evict(cluster) == Outcome()


def collect(cluster: Cluster, name: str, world: World | None = None, terminated_max: int = 2) -> Outcome:
    controller = PodGarbageController(terminated_max=terminated_max)
    outcome = controller.reconcile(world or cluster.world, Key("default", name), cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def test_a_pod_of_a_vanished_node_is_failed_and_removed() -> None:
    cluster = Cluster()
    cluster.add(pod("a", node="gone", ip="127.244.0.1"))
    assert collect(cluster, "a").wake_at == START + timedelta(seconds=40), "its node may be about to register"
    cluster.now += timedelta(seconds=40)
    seen: list[Object] = []
    cluster.listeners.append(lambda kind, old, new: seen.append(new) if new else None)
    collect(cluster, "a")
    assert cluster.all(POD) == []
    assert status_of(seen[0])["phase"] == "Failed"
    assert (condition_of(seen[0], "DisruptionTarget") or {})["reason"] == "DeletionByPodGC"


def test_a_node_that_is_merely_unseen_keeps_its_pods() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    made = cluster.add(pod("a", node="n0", ip="127.244.0.1"))
    cluster.now += timedelta(minutes=5)
    with pytest.raises(Stopped):
        collect(cluster, "a", World.of([made], kinds=KINDS))
    assert collect(cluster, "a", World.of([made], kinds=[POD])) == Outcome()
    assert collect(cluster, "a") == Outcome()
    assert not is_deleting(cluster.get(POD, "a"))


def test_a_pod_that_never_had_a_node_needs_no_kubelet_to_go() -> None:
    cluster = Cluster()
    cluster.add(pod("a", deleting=True))
    collect(cluster, "a")
    assert cluster.all(POD) == []


def test_of_too_many_finished_pods_the_oldest_go() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    for day, name in enumerate("dcba", start=1):  # a is the youngest
        obj = pod(name, node="n0", phase="Running" if name == "b" else "Succeeded")
        obj["metadata"]["creationTimestamp"] = f"2026-01-0{day}T00:00:00Z"
        cluster.add(obj)
    collect(cluster, "a")
    assert [name_of(each) for each in cluster.all(POD)] == ["a", "b", "c"]
    assert collect(cluster, "a") == Outcome()


def test_what_wakes_the_collector() -> None:
    cluster = Cluster()
    cluster.add(node("n0"))
    watches = PodGarbageController().watches
    fine = cluster.add(pod("fine", node="n0", ip="127.244.0.1"))
    assert list(watches[POD](cluster.world, fine)) == []
    assert list(watches[POD](cluster.world, pod("lost", node="n1"))) == [Key("default", "lost")]
    gone = cluster.get(NODE, "n0")
    assert list(watches[NODE](cluster.world, gone)) == []
    cluster.delete(NODE, gone)
    assert list(watches[NODE](cluster.world, gone)) == [Key("default", "fine")]
