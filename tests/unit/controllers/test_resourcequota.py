"""What a quota's status says is used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import (
    CONFIG_MAP,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    Kind,
)
from control.api.objects import Key, Object, format_time, status_of
from control.controllers.action import SETTLED, Outcome
from control.controllers.resourcequota import ResourceQuotaController
from control.mirror.world import World
from tests.fakes.objects import pod, replica_set
from tests.fakes.objects import service as a_service
from tests.fakes.tiny_api import START, Cluster

KEY = Key("default", "q")


def quota(hard: Object, **spec: Any) -> Object:
    metadata = {"name": "q", "namespace": "default", "uid": "uid-q"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}}


def thing(kind: Kind, name: str) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def act(cluster: Cluster) -> Outcome:
    outcome = ResourceQuotaController().reconcile(cluster.world, KEY, cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def used(cluster: Cluster) -> Object:
    act(cluster)
    found: Object = status_of(cluster.get(RESOURCE_QUOTA, "q"))["used"]
    return found


def test_a_new_quota_gets_its_status_at_once() -> None:
    """Conformance: should create a ResourceQuota and ensure its status is promptly calculated."""
    cluster = Cluster()
    cluster.add(quota({"pods": "5", "count/widgets.example.com": "3"}))
    act(cluster)
    status = status_of(cluster.get(RESOURCE_QUOTA, "q"))
    assert status == {"hard": {"pods": "5", "count/widgets.example.com": "3"}, "used": {"pods": "0"}}
    assert act(cluster) == Outcome()


@pytest.mark.parametrize(
    ("obj", "hard", "before", "after"),
    [
        (thing(CONFIG_MAP, "a"), "configmaps", "0", "1"),
        (thing(SECRET, "a"), "secrets", "0", "1"),
        (thing(REPLICATION_CONTROLLER, "a"), "replicationcontrollers", "0", "1"),
        (replica_set("a"), "count/replicasets.apps", "0", "1"),
        (a_service("a", type="LoadBalancer"), "services.loadbalancers", "0", "1"),
        (quota({}), "resourcequotas", "1", "1"),
        (pod("a"), "pods", "0", "1"),
    ],
)  # fmt: skip
def test_it_follows_the_life_of_what_it_counts(obj: Object, hard: str, before: str, after: str) -> None:
    """Conformance: should create a ResourceQuota and capture the life of a configMap, pod, replica set, ..."""
    cluster = Cluster()
    cluster.add(quota({hard: "3"}))
    assert used(cluster) == {hard: before}
    if obj["kind"] == "ResourceQuota":
        return
    made = cluster.add(obj)
    kind = next(kind for kind, _ in cluster.world if kind.kind == obj["kind"])
    assert used(cluster) == {hard: after}
    cluster.delete(kind, made, grace_s=0)
    assert used(cluster) == {hard: before}


def test_it_is_woken_by_what_it_counts_and_nothing_else() -> None:
    watches = ResourceQuotaController().watches
    world = World.of([quota({"pods": "1", "count/replicasets.apps": "1"})])
    assert list(watches[POD](world, pod("a"))) == [KEY]
    assert list(watches[REPLICA_SET](world, replica_set())) == [KEY]
    assert list(watches[CONFIG_MAP](world, thing(CONFIG_MAP, "a"))) == []
    assert list(watches[RESOURCE_QUOTA](world, quota({"pods": "1"}))) == [KEY]
    elsewhere = pod("a")
    elsewhere["metadata"]["namespace"] = "other"
    assert list(watches[POD](world, elsewhere)) == []


def test_it_is_woken_when_what_is_used_changes() -> None:
    """A pod comes, gets an address, gets a deadline, ends, and goes; a Service changes its type."""
    watches = ResourceQuotaController().watches
    world = World.of([quota({"pods": "1", "services.nodeports": "1"})])

    def wakes(kind: Kind, obj: Object) -> bool:
        world.put(kind, obj)
        return list(watches[kind](world, obj)) == [KEY]

    ending = pod("a", ip="127.244.0.1", ready=True, activeDeadlineSeconds=9)
    assert [wakes(POD, each) for each in (pod("a"), pod("a", ip="127.244.0.1"), ending)] == [True, False, True]
    over = {**ending, "status": {"phase": "Failed"}}
    assert [wakes(POD, each) for each in (over, over)] == [True, False]
    world.remove(POD, Key("default", "a"))
    assert list(watches[POD](world, over)) == [KEY]
    plain, ported = a_service("s"), a_service("s", type="NodePort")
    for each in (plain, ported):
        each["metadata"]["uid"] = "uid-s"
    assert [wakes(SERVICE, each) for each in (plain, ported, ported)] == [True, True, False]


def test_its_own_scopes_and_namespace_count() -> None:
    cluster = Cluster()
    cluster.add(quota({"pods": "3"}, scopes=["Terminating"]))
    cluster.add(pod("a"))
    ending = pod("b")
    ending["spec"]["activeDeadlineSeconds"] = 9
    cluster.add(ending)
    elsewhere = pod("c")
    elsewhere["metadata"]["namespace"] = "other"
    elsewhere["spec"]["activeDeadlineSeconds"] = 9
    cluster.add(elsewhere)
    assert used(cluster) == {"pods": "1"}


def test_amounts_are_summed_in_their_own_spelling() -> None:
    cluster = Cluster()
    cluster.add(quota({"requests.memory": "3Gi", "requests.cpu": "2"}))
    for name in "ab":
        each = pod(name)
        each["spec"]["containers"] = [{"name": "c", "resources": {"requests": {"memory": "512Mi", "cpu": "700m"}}}]
        cluster.add(each)
    assert used(cluster) == {"requests.memory": "1Gi", "requests.cpu": "1400m"}


def test_what_hangs_in_its_deletion_wakes_it_when_it_stops_to_count() -> None:
    cluster = Cluster()
    cluster.add(quota({"pods": "3"}))
    each = pod("a", node="n")
    each["metadata"] |= {"deletionTimestamp": format_time(START), "deletionGracePeriodSeconds": 30}
    cluster.add(each)
    outcome = act(cluster)
    assert outcome.wake_at == START + timedelta(seconds=30)
    cluster.now = outcome.wake_at
    assert used(cluster) == {"pods": "0"}
    assert act(cluster).wake_at is None


def test_a_changed_limit_is_in_force_and_a_foreign_status_is_corrected() -> None:
    """Conformance: should be able to update and delete ResourceQuota; should apply changes to a status."""
    cluster = Cluster()
    cluster.add(quota({"pods": "3"}))
    act(cluster)
    cluster.edit(RESOURCE_QUOTA, "q", lambda obj: obj["spec"]["hard"].update(pods="4"))
    act(cluster)
    assert status_of(cluster.get(RESOURCE_QUOTA, "q"))["hard"] == {"pods": "4"}
    cluster.edit(RESOURCE_QUOTA, "q", lambda obj: obj["status"].update(used={"pods": "9"}))
    assert used(cluster) == {"pods": "0"}
    cluster.delete(RESOURCE_QUOTA, cluster.get(RESOURCE_QUOTA, "q"))
    assert act(cluster) == SETTLED


def test_kinds_that_have_not_been_listed_are_not_reported_as_unused() -> None:
    world = World.of([quota({"pods": "1"})], kinds=[RESOURCE_QUOTA])
    assert ResourceQuotaController().reconcile(world, KEY, START) == SETTLED
    world.learn(POD)
    assert ResourceQuotaController().reconcile(world, KEY, START) != SETTLED
