"""Keeping a number of pods: what is created, adopted, released, deleted and said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import NAMESPACE, POD, REPLICA_SET, REPLICATION_CONTROLLER
from control.api.objects import Key, Object, controller_of, is_deleting, meta, name_of, status_of
from control.controllers.action import Create, Delete, Outcome, Patch, Update
from control.controllers.naming import ALPHABET
from control.controllers.replicaset import ReplicaSetController, replication_controller
from tests.fakes.objects import namespace, pod, replica_set, template
from tests.fakes.tiny_api import START, Cluster, Stopped

KEY = Key("default", "web")


def decide(cluster: Cluster) -> Outcome:
    return ReplicaSetController().reconcile(cluster.world, KEY, cluster.now)


def act(cluster: Cluster) -> Outcome:
    outcome = decide(cluster)
    cluster.perform(outcome.actions)
    return outcome


def with_pods(replicas: int, *pods: Object, **spec: Any) -> Cluster:
    """A set and pods that it controls."""
    cluster = Cluster()
    owner = cluster.add(replica_set(replicas=replicas, **spec))
    for each in pods:
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": meta(owner)["uid"]}
        each["metadata"]["ownerReferences"] = [{**reference, "controller": True}]
        cluster.add(each)
    return cluster


def test_it_creates_what_is_missing() -> None:
    cluster = with_pods(3)
    act(cluster)
    pods = cluster.all(POD)
    assert len(pods) == 3
    for each in pods:
        prefix, _, suffix = name_of(each).rpartition("-")
        assert prefix == "web"
        assert len(suffix) == 5
        assert set(suffix) <= set(ALPHABET)
        assert meta(each)["generateName"] == "web-"
        assert meta(each)["labels"] == {"app": "web"}
        reference = controller_of(each)
        assert reference is not None
        assert (reference["kind"], reference["blockOwnerDeletion"]) == ("ReplicaSet", True)
    assert [event.partition(": ")[0] for event in cluster.events] == ["Normal SuccessfulCreate web"] * 3


def test_a_repeat_on_the_same_world_makes_up_the_same_names_and_a_later_one_does_not() -> None:
    cluster = with_pods(2)
    first, again = decide(cluster), decide(cluster)
    assert first == again
    cluster.perform(first.actions)
    names = {name_of(each) for each in cluster.all(POD)}
    for each in cluster.all(POD):
        cluster.delete(POD, each, grace_s=0)
    act(cluster)
    assert names.isdisjoint(name_of(each) for each in cluster.all(POD))


def test_a_round_that_was_cut_off_is_completed_with_the_same_names() -> None:
    cluster = with_pods(3)
    outcome = decide(cluster)
    cluster.perform(outcome.actions[:3])  # the fence, one pod, its event
    act(cluster)
    wanted = {name_of(action.obj) for action in outcome.actions if isinstance(action, Create)}
    assert {name_of(each) for each in cluster.all(POD)} == wanted


def test_a_decision_on_an_older_set_creates_nothing() -> None:
    cluster = with_pods(3)
    outcome = decide(cluster)
    cluster.edit(REPLICA_SET, "web", lambda obj: obj["spec"].update(replicas=0))
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert cluster.all(POD) == []


def test_it_counts_only_active_pods() -> None:
    cluster = with_pods(
        2,
        pod("a", ip="127.244.0.1", ready=True, node="n"),
        pod("b", ip="127.244.0.2", phase="Failed"),
        pod("c", ip="127.244.0.3", phase="Succeeded"),
        pod("d", ip="127.244.0.4", node="n", deleting=True),
    )
    outcome = decide(cluster)
    assert len([action for action in outcome.actions if isinstance(action, Create)]) == 1


def test_it_deletes_the_cheapest_and_says_so() -> None:
    cluster = with_pods(1, pod("a", ip="127.244.0.1", ready=True, node="n"), pod("b", node="n"), pod("c"))
    act(cluster)
    assert [name_of(each) for each in cluster.all(POD) if not is_deleting(each)] == ["a"]
    assert cluster.events == [f"Normal SuccessfulDelete web: Deleted pod: {name}" for name in "cb"]
    assert status_of(cluster.get(REPLICA_SET, "web"))["replicas"] == 1


def test_it_adopts_orphans_and_releases_strangers() -> None:
    cluster = with_pods(1, pod("strange", labels={"app": "other"}))
    cluster.add(pod("orphan", ip="127.244.0.1"))
    cluster.add(pod("finished", ip="127.244.0.2", phase="Succeeded"))
    cluster.add(pod("leaving", node="n", deleting=True))
    act(cluster)
    owners = {name_of(each): (controller_of(each) or {}).get("name") for each in cluster.all(POD)}
    assert owners == {"strange": None, "orphan": "web", "finished": None, "leaving": None}


def test_it_leaves_the_pods_of_others() -> None:
    cluster = with_pods(0)
    other = cluster.add(replica_set("other", 1))
    cluster.add(pod("theirs", owner=other))
    act(cluster)
    assert (controller_of(cluster.get(POD, "theirs")) or {})["name"] == "other"


def test_an_adoption_stands_behind_a_fence() -> None:
    """An owner that began to be deleted meanwhile must not adopt."""
    cluster = with_pods(1)
    cluster.add(pod("orphan"))
    outcome = decide(cluster)
    cluster.edit(REPLICA_SET, "web", lambda obj: obj["metadata"].update(deletionTimestamp="now", finalizers=["x"]))
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)
    assert controller_of(cluster.get(POD, "orphan")) is None


def test_a_set_that_is_being_deleted_only_counts() -> None:
    cluster = with_pods(3, pod("a", ip="127.244.0.1"))
    cluster.add(pod("orphan"))
    cluster.edit(REPLICA_SET, "web", lambda obj: obj["metadata"].update(deletionTimestamp="now", finalizers=["x"]))
    outcome = decide(cluster)
    assert [type(action) for action in outcome.actions] == [Update]


def test_nothing_is_created_in_a_namespace_that_ends() -> None:
    cluster = with_pods(3)
    cluster.add(namespace())
    cluster.delete(NAMESPACE, cluster.get(NAMESPACE, "default"))
    assert not any(isinstance(action, Create) for action in decide(cluster).actions)


def test_the_status_counts_and_wakes_for_min_ready_seconds() -> None:
    cluster = with_pods(
        3,
        pod("a", ip="127.244.0.1", ready=True),
        pod("b", ip="127.244.0.2", ready=True, ready_since="2026-01-01T00:00:20Z"),
        pod("c", ip="127.244.0.3", labels={"app": "web", "extra": "x"}),
        minReadySeconds=30,
    )
    cluster.now = START + timedelta(seconds=31)
    outcome = act(cluster)
    assert outcome.wake_at == START + timedelta(seconds=50)
    assert status_of(cluster.get(REPLICA_SET, "web")) == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
    }
    cluster.now = START + timedelta(seconds=50)
    act(cluster)
    assert status_of(cluster.get(REPLICA_SET, "web"))["availableReplicas"] == 2
    assert decide(cluster) == Outcome()


def test_a_replication_controller_has_a_plain_selector_and_no_terminating_replicas() -> None:
    cluster = Cluster()
    owner = replica_set(replicas=1)
    owner.update(apiVersion="v1", kind="ReplicationController")
    owner["spec"]["selector"] = {"app": "web"}
    cluster.add(owner)
    controller = replication_controller()
    cluster.perform(controller.reconcile(cluster.world, KEY, cluster.now).actions)
    (made,) = cluster.all(POD)
    assert (controller_of(made) or {})["apiVersion"] == "v1"
    cluster.edit(POD, name_of(made), lambda obj: obj["spec"].update(nodeName="n"))
    cluster.delete(POD, cluster.all(POD)[0])
    cluster.perform(controller.reconcile(cluster.world, KEY, cluster.now).actions)
    assert "terminatingReplicas" not in status_of(cluster.get(REPLICATION_CONTROLLER, "web"))


def test_pods_wake_their_controller_and_orphans_all_that_might_adopt() -> None:
    cluster = with_pods(1, pod("mine"))
    controller = ReplicaSetController()
    wakes = controller.watches[POD]
    assert list(wakes(cluster.world, cluster.get(POD, "mine"))) == [KEY]
    assert list(wakes(cluster.world, pod("orphan"))) == [KEY]
    assert list(wakes(cluster.world, pod("other", labels={"app": "x"}))) == []


def test_patches_name_the_pod_by_uid() -> None:
    cluster = with_pods(0)
    cluster.add(pod("orphan"))
    (patch,) = [action for action in decide(cluster).actions if isinstance(action, Patch)]
    assert patch.uid == "uid-of-orphan"
    deletes = [action for action in decide(cluster).actions if isinstance(action, Delete)]
    assert [delete.uid for delete in deletes] == ["uid-of-orphan"]


def test_a_changed_template_is_for_new_pods_only() -> None:
    cluster = with_pods(1)
    act(cluster)
    (before,) = cluster.all(POD)
    changed = template("v2")
    cluster.edit(REPLICA_SET, "web", lambda obj: obj["spec"].update(replicas=2, template=changed))
    act(cluster)
    images = {name_of(each): each["spec"]["containers"][0]["image"] for each in cluster.all(POD)}
    assert images.pop(name_of(before)) == before["spec"]["containers"][0]["image"]
    assert list(images.values()) == [changed["spec"]["containers"][0]["image"]]


def test_terminating_pods_are_counted_apart() -> None:
    cluster = with_pods(
        1,
        pod("a", ip="127.244.0.1", ready=True, node="n"),
        pod("b", ip="127.244.0.2", node="n", deleting=True),
        pod("c", phase="Failed", node="n", deleting=True),
    )
    act(cluster)
    status = status_of(cluster.get(REPLICA_SET, "web"))
    assert (status["replicas"], status["readyReplicas"], status["terminatingReplicas"]) == (1, 1, 1)


def test_a_replication_controller_adopts_and_releases_by_its_map() -> None:
    cluster = Cluster()
    owner = replica_set(replicas=1)
    owner |= {"apiVersion": "v1", "kind": "ReplicationController"}
    owner["spec"]["selector"] = {"app": "web"}
    made = cluster.add(owner)
    cluster.add(pod("orphan"))
    controller = replication_controller()
    cluster.perform(controller.reconcile(cluster.world, KEY, cluster.now).actions)
    assert (controller_of(cluster.get(POD, "orphan")) or {})["uid"] == meta(made)["uid"]
    cluster.edit(POD, "orphan", lambda obj: obj["metadata"].update(labels={"app": "other"}))
    cluster.perform(controller.reconcile(cluster.world, KEY, cluster.now).actions)
    assert controller_of(cluster.get(POD, "orphan")) is None
    cluster.perform(controller.reconcile(cluster.world, KEY, cluster.now).actions)
    assert len([each for each in cluster.all(POD) if controller_of(each)]) == 1, "it is replaced"
