"""The three laws of house rule 5 over every controller: they settle, ignore order, and are safe on a stale world.

One cluster with everything that the controllers have to do with is played by all of them, in orders that hypothesis
chooses, with users who change things in the middle, while reconciles may see worlds that are many changes old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
)
from control.api.objects import (
    Object,
    controller_of,
    is_controlled_by,
    is_deleting,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from control.controllers.action import Delete
from control.controllers.deployment.rollout import Bounds
from control.controllers.table import all_controllers
from control.mirror.world import World
from tests.fakes.objects import budget, deployment, namespace, node, pod, replica_set, service, template
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import Cluster

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Change = Callable[[Cluster], None]


def roll(version: str) -> Change:
    return lambda cluster: _edit(cluster, lambda obj: obj["spec"].update(template=template(version)))


def kill_a_pod(cluster: Cluster) -> None:
    pods = cluster.all(POD)
    if pods:
        cluster.delete(POD, pods[0], grace_s=0)


def evict_a_pod(cluster: Cluster) -> None:
    pods = cluster.all(POD)
    if pods:
        cluster.delete(POD, pods[-1])


def cordon(cluster: Cluster) -> None:
    cluster.edit(NODE, "n0", lambda obj: obj["spec"].update(unschedulable=True))


def taint(cluster: Cluster) -> None:
    cluster.edit(NODE, "n1", lambda obj: obj["spec"].update(taints=[{"key": "k", "effect": "NoExecute"}]))


def relabel_a_pod(cluster: Cluster) -> None:
    pods = cluster.all(POD)
    if pods:
        cluster.edit(POD, name_of(pods[0]), lambda obj: obj["metadata"].update(labels={"app": "quarantine"}))


def _edit(cluster: Cluster, change: Callable[[Object], None]) -> None:
    cluster.edit(DEPLOYMENT, "web", change)


CHANGES: dict[str, Change] = {
    "roll to v2": roll("v2"),
    "roll to v3": roll("v3"),
    "roll back to v1": roll("v1"),
    "kill a pod": kill_a_pod,
    "evict a pod": evict_a_pod,
    "cordon": cordon,
    "taint": taint,
    "relabel a pod": relabel_a_pod,
}


def new_cluster(replicas: int = 3, strategy: str = "RollingUpdate", min_ready_s: int = 0) -> Cluster:
    cluster = Cluster()
    cluster.add(namespace())
    for name in ("n0", "n1", "n2"):
        cluster.add(node(name))
    kind: dict[str, Any] = {"strategy": {"type": "Recreate"}} if strategy == "Recreate" else {}
    cluster.add(deployment(replicas=replicas, minReadySeconds=min_ready_s, **kind))
    cluster.add(service())
    cluster.add(service("headless", clusterIP="None", publishNotReadyAddresses=True))
    cluster.add(budget(minAvailable="50%"))
    return cluster


def played(
    cluster: Cluster, changes: list[str], rng: Random, *, staleness: int = 0, on_step: Callable[[], None] = lambda: None
) -> Simulation:
    """The cluster after the changes, each made at some moment of what went before, and everything settled."""
    simulation = Simulation(cluster, all_controllers(ca_pem="PEM"), rng.choice, on_step=on_step)
    if staleness:
        simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, staleness)))
    for change in changes:
        simulation.run(rng.randint(0, 60))
        CHANGES[change](cluster)
    simulation.run(rng.randint(0, 100))
    simulation.staleness = lambda: 0
    simulation.settle()
    return simulation


scenarios = st.lists(st.sampled_from(sorted(CHANGES)), max_size=4)


@LAW
@given(scenarios, st.integers(0, 5), st.sampled_from(("RollingUpdate", "Recreate")), st.integers(0, 2**32))
def test_they_settle_and_then_write_nothing(changes: list[str], replicas: int, strategy: str, seed: int) -> None:
    cluster = new_cluster(replicas, strategy)
    simulation = played(cluster, changes, Random(seed))
    assert simulation.writes_at_rest() == []
    active = [obj for obj in cluster.all(POD) if is_counted(obj) and controller_of(obj)]
    assert len(active) == replicas
    assert status_of(cluster.get(DEPLOYMENT, "web")).get("availableReplicas", 0) == replicas


@LAW
@given(scenarios, st.integers(0, 2**32), st.integers(0, 2**32))
def test_they_ignore_order(changes: list[str], one: int, other: int) -> None:
    changes = [change for change in changes if "pod" not in change]  # those pick a pod by its name, which order makes
    ends = [_essence(played(new_cluster(), changes, Random(seed)).cluster) for seed in (one, other)]
    assert ends[0] == ends[1]


def _essence(cluster: Cluster) -> dict[str, Any]:
    """The state without what chance may choose: names, UIDs, times, addresses, nodes and how many steps a rollout took.

    Of Deployments and ReplicaSets only what is live: whether a template passed by unnoticed depends on the order.
    """
    live = [rs for rs in cluster.all(REPLICA_SET) if status_of(rs).get("replicas")]
    status = dict(status_of(cluster.get(DEPLOYMENT, "web")))
    status.pop("conditions")
    return {
        "deployment": status,
        "sets": [{**status_of(rs), "observedGeneration": 0} for rs in live],
        "images": Counter(spec_of(obj)["containers"][0]["image"] for obj in cluster.all(POD)),
        "endpoints": {name_of(obj): len(obj["endpoints"]) for obj in _named(cluster.all(ENDPOINT_SLICE))},
        "addresses": {name_of(obj): len(obj["subsets"][0]["addresses"]) for obj in cluster.all(ENDPOINTS)},
        "budget": {**status_of(cluster.get(POD_DISRUPTION_BUDGET, "web")), "conditions": None},
    }


def _named(slices: list[Object]) -> list[Object]:
    """Slices under their Services' names."""
    label = "kubernetes.io/service-name"
    return [{**obj, "metadata": {"name": obj["metadata"]["labels"][label]}} for obj in slices]


@LAW
@given(scenarios, st.integers(1, 5), st.integers(0, 2**32))
def test_they_are_safe_on_a_stale_world(changes: list[str], replicas: int, seed: int) -> None:
    cluster = new_cluster(replicas)
    bounds = Bounds.of(cluster.get(DEPLOYMENT, "web"))

    def bounded() -> None:
        sizes = [spec_of(rs)["replicas"] for rs in cluster.all(REPLICA_SET)]
        assert sum(sizes) <= bounds.maximum
        pods = [obj for obj in cluster.all(POD) if is_counted(obj) and controller_of(obj)]
        assert len(pods) <= bounds.maximum

    changes = [change for change in changes if change != "relabel a pod"]  # adds a pod that nobody controls
    simulation = played(cluster, changes, Random(seed), staleness=40, on_step=bounded)
    assert simulation.writes_at_rest() == []
    assert len([obj for obj in cluster.all(POD) if is_counted(obj)]) == replicas


@LAW
@given(scenarios, st.integers(0, 2**32))
def test_nothing_is_deleted_that_should_live(changes: list[str], seed: int) -> None:
    """On any stale world: what stands beside the Deployment is not touched, and no controlled pod dies for nothing."""
    cluster = new_cluster()
    stranger = cluster.add(pod("stranger", labels={"app": "other"}, node="n2", ip="127.244.9.9", ready=True))
    cluster.add(replica_set("other", 0, selector={"matchLabels": {"app": "unrelated"}}))
    changes = [change for change in changes if change not in ("kill a pod", "evict a pod", "relabel a pod", "taint")]
    before: list[dict[str, Object]] = [{}]

    def justified() -> None:
        sets = {uid_of(rs): rs for rs in cluster.all(REPLICA_SET)}
        counts = Counter((controller_of(obj) or {}).get("uid") for obj in cluster.all(POD) if is_counted(obj))
        for uid, rs in before[0].items():
            if uid in sets and counts[uid] < len(rs["pods"]):
                assert counts[uid] >= spec_of(sets[uid])["replicas"], "a pod of a set that is not too large"
        before[0] = {
            uid: {"pods": [obj for obj in cluster.all(POD) if is_counted(obj) and is_controlled_by(obj, rs)]}
            for uid, rs in sets.items()
        }

    played(cluster, changes, Random(seed), staleness=40, on_step=justified)
    assert not is_deleting(cluster.get(POD, "stranger"))
    assert uid_of(cluster.get(POD, "stranger")) == uid_of(stranger)
    assert cluster.get(REPLICA_SET, "other")


@LAW
@given(
    st.integers(1, 7),
    st.one_of(st.integers(0, 3), st.sampled_from(("0%", "25%", "50%", "100%"))),
    st.one_of(st.integers(0, 3), st.sampled_from(("0%", "25%", "50%", "100%"))),
    st.integers(0, 2),
    st.integers(0, 2**32),
)
def test_a_rollout_keeps_both_its_bounds(
    replicas: int, surge: int | str, unavailable: int | str, min_ready_s: int, seed: int
) -> None:
    cluster = new_cluster(replicas, min_ready_s=min_ready_s)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    _edit(cluster, lambda obj: obj["spec"].update(strategy=rolling))
    rng = Random(seed)
    simulation = Simulation(cluster, all_controllers(ca_pem="PEM"), rng.choice)
    simulation.settle()
    bounds = Bounds.of(cluster.get(DEPLOYMENT, "web"))

    def kept() -> None:
        pods = [obj for obj in cluster.all(POD) if is_counted(obj)]
        available = [obj for obj in pods if status_of(obj).get("conditions")]
        assert len(pods) <= bounds.maximum
        assert len(available) >= bounds.minimum
        assert sum(spec_of(rs)["replicas"] for rs in cluster.all(REPLICA_SET)) <= bounds.maximum

    simulation.on_step = kept
    for version in ("v2", "v3", "v1"):
        roll(version)(cluster)
        simulation.run(rng.randint(0, 80))
    simulation.settle()
    assert status_of(cluster.get(DEPLOYMENT, "web"))["updatedReplicas"] == replicas


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
@pytest.mark.parametrize("seed", range(4))
def test_deleting_a_deployment_settles(propagation: str, seed: int) -> None:
    cluster = new_cluster()
    rng = Random(seed)
    simulation = played(cluster, [], rng)
    simulation.staleness = lambda: rng.choice((0, rng.randint(1, 40)))
    cluster.delete(DEPLOYMENT, cluster.get(DEPLOYMENT, "web"), propagation)
    simulation.run(60)
    simulation.staleness = lambda: 0
    simulation.settle()
    assert simulation.writes_at_rest() == []
    assert cluster.all(DEPLOYMENT) == []
    orphaned = propagation == "Orphan"
    assert len(cluster.all(REPLICA_SET)) == orphaned
    assert len(cluster.all(POD)) == 3 * orphaned


@pytest.mark.parametrize("seed", range(4))
def test_deleting_a_namespace_leaves_nothing_of_it(seed: int) -> None:
    cluster = new_cluster()
    simulation = played(cluster, [], Random(seed))
    cluster.delete(NAMESPACE, cluster.get(NAMESPACE, "default"))
    simulation.settle()
    left = [kind for kind, _ in cluster.objects if kind != NODE]
    assert left == []


def test_a_world_of_another_time_cannot_delete_a_service_or_its_slices() -> None:
    """Deletes carry what was seen: the Service of the same name that came later is another one."""
    cluster = new_cluster()
    simulation = played(cluster, [], Random(7))
    old = cluster.past[-1]
    cluster.delete(SERVICE, cluster.get(SERVICE, "web"))
    simulation.settle()
    cluster.add(service())
    simulation.settle()
    slices = {uid_of(obj) for obj in cluster.all(ENDPOINT_SLICE)}
    world = World.of(old.values())
    for controller in simulation.controllers:
        keys = {
            key
            for (kind, _), obj in old.items()
            if kind in controller.watches
            for key in controller.watches[kind](world, obj)
        }
        for key in keys:
            outcome = controller.reconcile(world, key, cluster.now)
            assert not [action for action in outcome.actions if isinstance(action, Delete)]
    assert {uid_of(obj) for obj in cluster.all(ENDPOINT_SLICE)} == slices
