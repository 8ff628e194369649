"""How many pods an eviction may take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, POD, POD_DISRUPTION_BUDGET
from control.api.objects import Key, Object, condition_of, name_of, status_of
from control.controllers.action import Outcome
from control.controllers.disruption import DisruptionController
from tests.fakes.objects import budget, deployment, owned_by, pod, replica_set
from tests.fakes.tiny_api import START, Cluster, Stopped

KEY = Key("default", "web")


def act(cluster: Cluster) -> Outcome:
    outcome = DisruptionController().reconcile(cluster.world, KEY, cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def guarded(ready: int, not_ready: int = 0, *, replicas: int = 4, **spec: Any) -> Cluster:
    """A budget over the pods of a Deployment of `replicas`, which its ReplicaSet does not know yet."""
    cluster = Cluster()
    top = cluster.add(deployment(replicas=replicas))
    rs = replica_set(replicas=1)
    rs["metadata"]["ownerReferences"] = [owned_by(top)]
    rs = cluster.add(rs)
    for i in range(ready + not_ready):
        cluster.add(pod(f"p{i}", owner=rs, ip=f"127.244.0.{i + 1}", ready=i < ready))
    cluster.add(budget(**spec))
    return cluster


def said(cluster: Cluster) -> tuple[int, int, int, int]:
    status = status_of(cluster.get(POD_DISRUPTION_BUDGET, "web"))
    return tuple(status[f] for f in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"))


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ({"minAvailable": 2}, (3, 2, 3, 1)),
        ({"minAvailable": 5}, (3, 5, 3, 0)),
        ({"minAvailable": "50%"}, (4, 2, 3, 1)),
        ({"minAvailable": "51%"}, (4, 3, 3, 0)),
        ({"maxUnavailable": 1}, (4, 3, 3, 0)),
        ({"maxUnavailable": "30%"}, (4, 2, 3, 1)),
        ({"maxUnavailable": 9}, (4, 0, 3, 3)),
    ],
)
def test_numbers(spec: dict[str, Any], numbers: tuple[int, int, int, int]) -> None:
    cluster = guarded(3, **spec)
    act(cluster)
    assert said(cluster) == numbers
    assert act(cluster) == Outcome()


def test_only_healthy_pods_count() -> None:
    cluster = guarded(2, 2, minAvailable=1)
    cluster.add(pod("leaving", ip="127.244.0.9", ready=True, deleting=True))
    cluster.add(pod("done", ip="127.244.0.8", phase="Succeeded", ready=True))
    act(cluster)
    assert said(cluster) == (5, 1, 2, 1)
    condition = condition_of(cluster.get(POD_DISRUPTION_BUDGET, "web"), "DisruptionAllowed") or {}
    assert (condition["status"], condition["reason"]) == ("True", "SufficientPods")


def test_without_pods_nothing_may_be_disrupted() -> None:
    cluster = guarded(0, minAvailable=0)
    act(cluster)
    assert said(cluster) == (0, 0, 0, 0)


def evicted(cluster: Cluster, name: str) -> None:
    """What the eviction API notes."""
    cluster.edit(
        POD_DISRUPTION_BUDGET, "web", lambda obj: obj["status"].update(disruptedPods={name: "2026-01-01T00:00:00Z"})
    )


def test_an_evicted_pod_is_not_healthy_until_it_is_gone_or_the_note_lapses() -> None:
    cluster = guarded(3, minAvailable=2)
    act(cluster)
    evicted(cluster, "p0")
    assert act(cluster).wake_at == START + timedelta(seconds=121)
    assert said(cluster) == (3, 2, 2, 0)
    cluster.now += timedelta(seconds=121)
    act(cluster)
    assert said(cluster) == (3, 2, 3, 1)
    assert cluster.events == ["Warning NotDeleted p0: Pod was expected by PDB default/web to be deleted but it wasn't"]
    assert "disruptedPods" not in status_of(cluster.get(POD_DISRUPTION_BUDGET, "web"))


def test_a_note_of_a_deleted_pod_goes() -> None:
    cluster = guarded(3, minAvailable=2)
    act(cluster)
    evicted(cluster, "p0")
    cluster.delete(POD, cluster.get(POD, "p0"), grace_s=0)
    act(cluster)
    assert "disruptedPods" not in status_of(cluster.get(POD_DISRUPTION_BUDGET, "web"))


def test_an_eviction_in_between_makes_the_write_fail() -> None:
    cluster = guarded(3, minAvailable=2)
    act(cluster)
    cluster.delete(POD, cluster.get(POD, "p2"), grace_s=0)
    outcome = DisruptionController().reconcile(cluster.world, KEY, cluster.now)
    evicted(cluster, "p0")
    with pytest.raises(Stopped):
        cluster.perform(outcome.actions)


def test_pods_without_a_controller_count_for_nothing_and_are_told_of() -> None:
    cluster = guarded(2, minAvailable="50%")
    act(cluster)
    before = said(cluster)
    cluster.add(pod("bare", ip="127.244.0.9", ready=True))
    act(cluster)
    assert said(cluster) == (before[0], before[1], 3, 1)
    assert cluster.events == [
        "Warning UnmanagedPods web: Pods selected by this PodDisruptionBudget (selector: "
        "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}) were "
        "found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in "
        'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer '
        "value."
    ]
    assert act(cluster) == Outcome()


def test_an_unknown_controller_makes_a_percentage_meaningless() -> None:
    cluster = guarded(1, minAvailable="50%")
    act(cluster)
    stranger: Object = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "uid-w"}}
    cluster.add(pod("odd", owner=stranger, ip="127.244.0.9", ready=True))
    act(cluster)
    found = cluster.get(POD_DISRUPTION_BUDGET, "web")
    condition = condition_of(found, "DisruptionAllowed") or {}
    assert (condition["reason"], condition["message"]) == ("SyncFailed", 'found no controllers for pod "odd"')
    assert status_of(found)["disruptionsAllowed"] == 0
    assert cluster.events == [
        "Warning CalculateExpectedPodCountFailed web: Failed to calculate the number of expected pods: "
        'found no controllers for pod "odd"'
    ]
    assert act(cluster) == Outcome()


def test_a_budget_over_nothing_says_so_once() -> None:
    cluster = guarded(0, minAvailable=1)
    act(cluster)
    assert cluster.events == ["Normal NoPods web: No matching pods found"]
    assert act(cluster) == Outcome()


@pytest.mark.parametrize(("selector", "expected"), [({}, 3), (None, 0), ({"matchLabels": {"app": "x"}}, 0)])
def test_an_empty_selector_is_everybody_and_none_is_nobody(selector: Object | None, expected: int) -> None:
    cluster = guarded(3, minAvailable=1, selector=selector)
    act(cluster)
    assert said(cluster)[0] == expected


def test_what_wakes_a_budget() -> None:
    cluster = guarded(1, minAvailable=1)
    watches = DisruptionController().watches
    assert list(watches[POD](cluster.world, cluster.get(POD, "p0"))) == [KEY]
    assert list(watches[POD](cluster.world, pod("x", labels={"app": "x"}))) == []
    assert list(watches[DEPLOYMENT](cluster.world, cluster.get(DEPLOYMENT, "web"))) == [KEY]
    assert name_of(cluster.get(DEPLOYMENT, "web")) == "web"
