"""StatefulSets and DaemonSets under the three laws: on old worlds, and with controllers that die between writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD, STATEFUL_SET, Kind
from control.api.objects import Object, is_condition_true, labels_of, name_of, spec_of, status_of, uid_of
from control.controllers.controller import Controller
from control.controllers.daemonset.census import Bounds
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.daemonset.eligibility import target_of
from control.controllers.scheduler import Scheduler
from control.controllers.statefulset.controller import StatefulSetController
from control.controllers.statefulset.identity import replicas_of
from tests.fakes.objects import namespace, node, template
from tests.fakes.simulation import Simulation, is_counted
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import daemon_set, stateful_set

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Change = Callable[[Cluster], object]


def new_cluster(obj: Object, nodes: int = 3) -> Cluster:
    cluster = Cluster()
    cluster.add(namespace())
    for index in range(nodes):
        cluster.add(node(f"n{index}"))
    cluster.add(obj)
    return cluster


def simulated(cluster: Cluster, rng: Random) -> Simulation:
    controllers: list[Controller] = [StatefulSetController(), DaemonSetController(), Scheduler()]
    return Simulation(cluster, controllers, rng.choice)


def faulty(simulation: Simulation, rng: Random) -> None:
    """From now on half of the worlds are old, and every tenth action is not made, for the controller dies before it."""
    simulation.staleness = lambda: rng.choice((0, 0, rng.randint(1, 10), rng.randint(1, 60)))
    simulation.dies = lambda: rng.random() < 0.1


def faultless(simulation: Simulation) -> None:
    simulation.staleness = lambda: 0
    simulation.dies = lambda: False


def rolled(kind: Kind, version: str) -> Change:
    return lambda cluster: cluster.edit(kind, "web", lambda obj: obj["spec"].update(template=template(version)))


def scaled(replicas: int) -> Change:
    return lambda cluster: cluster.edit(STATEFUL_SET, "web", lambda obj: obj["spec"].update(replicas=replicas))


def pod_lost(cluster: Cluster) -> None:
    if cluster.all(POD):
        cluster.delete(POD, cluster.all(POD)[0], grace_s=0)


def pod_evicted(cluster: Cluster) -> None:
    if cluster.all(POD):
        cluster.delete(POD, cluster.all(POD)[-1])


def pod_failed(cluster: Cluster) -> None:
    if cluster.all(POD):
        name = name_of(cluster.all(POD)[-1])
        cluster.edit(POD, name, lambda obj: obj.update(status={"phase": "Failed"}))


def node_added(cluster: Cluster) -> None:
    name = f"n{len(cluster.all(NODE))}"
    cluster.add(node(name))


def node_tainted(cluster: Cluster) -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    cluster.edit(NODE, "n1", lambda obj: obj["spec"].update(taints=[taint]))


COMMON = {"lost": pod_lost, "evicted": pod_evicted, "failed": pod_failed}
STATEFUL: dict[str, Change] = {
    **{f"roll {version}": rolled(STATEFUL_SET, version) for version in ("v1", "v2", "v3")},
    **{f"scale {count}": scaled(count) for count in (0, 2, 5)},
    **COMMON,
}
DAEMONS: dict[str, Change] = {
    **{f"roll {version}": rolled(DAEMON_SET, version) for version in ("v1", "v2", "v3")},
    "node added": node_added,
    "node tainted": node_tainted,
    **COMMON,
}


def played(
    cluster: Cluster, changes: list[Change], rng: Random, watch: Callable[[], None] = lambda: None
) -> Simulation:
    simulation = simulated(cluster, rng)
    simulation.on_step = watch
    faulty(simulation, rng)
    for change in changes:
        simulation.run(rng.randint(0, 60))
        change(cluster)
        watch()
    simulation.run(rng.randint(0, 60))
    faultless(simulation)
    simulation.settle()
    return simulation


def versions(cluster: Cluster) -> Counter[str]:
    return Counter(str(spec_of(pod)["containers"][0]["image"]).partition(":")[2] for pod in cluster.all(POD))


# --- StatefulSets -------------------------------------------------------------------------------------------------

policies = st.sampled_from(("OrderedReady", "Parallel"))


@LAW
@given(st.lists(st.sampled_from(sorted(STATEFUL)), max_size=4), policies, st.integers(0, 2), st.integers(0, 2**32))
def test_a_stateful_set_settles_whatever_happens(names: list[str], policy: str, min_ready_s: int, seed: int) -> None:
    cluster = new_cluster(stateful_set(podManagementPolicy=policy, minReadySeconds=min_ready_s))
    simulation = played(cluster, [STATEFUL[name] for name in names], Random(seed))
    assert simulation.writes_at_rest() == []
    owner = cluster.get(STATEFUL_SET, "web")
    replicas = replicas_of(owner)
    assert [name_of(pod) for pod in cluster.all(POD)] == [f"web-{index}" for index in range(replicas)]
    wanted = spec_of(owner)["template"]["spec"]["containers"][0]["image"].partition(":")[2]
    assert versions(cluster) == ({wanted: replicas} if replicas else {})
    status = status_of(owner)
    assert status["currentRevision"] == status["updateRevision"]
    counts = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
    assert {status.get(field, 0) for field in counts} == {replicas}


@LAW
@given(st.lists(st.sampled_from(sorted(STATEFUL)), max_size=3), st.integers(0, 2**32), st.integers(0, 2**32))
def test_a_stateful_set_ignores_order(names: list[str], one: int, other: int) -> None:
    ends = []
    for seed in (one, other):
        cluster = new_cluster(stateful_set())
        played(cluster, [STATEFUL[name] for name in names], Random(seed))
        status = dict(status_of(cluster.get(STATEFUL_SET, "web")))
        ends.append((versions(cluster), status))
    assert ends[0] == ends[1]


@LAW
@given(st.integers(1, 6), policies, st.sampled_from((None, 1, 2, 3, "50%")), st.integers(0, 3), st.integers(0, 2**32))
def test_a_rolling_update_keeps_pods_and_the_partition(
    replicas: int, policy: str, unavailable: Any, partition: int, seed: int
) -> None:
    """Also on old worlds: never more than maxUnavailable pods are missing, none below the partition is touched, and one
    by one means that only the highest pod that is not new is ever missing."""
    rolling: Object = {"partition": partition}
    if unavailable is not None:
        rolling["maxUnavailable"] = unavailable
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    cluster = new_cluster(stateful_set(replicas=replicas, podManagementPolicy=policy, updateStrategy=strategy))
    rng = Random(seed)
    simulation = simulated(cluster, rng)
    simulation.settle()
    kept = {name_of(pod): uid_of(pod) for pod in cluster.all(POD)[:partition]}
    most = {None: 1, "50%": max(1, replicas // 2)}.get(unavailable, unavailable)

    def bounded() -> None:
        pods = [pod for pod in cluster.all(POD) if is_counted(pod)]
        assert replicas - sum(is_condition_true(pod, "Ready") for pod in pods) <= most
        uids = {name_of(pod): uid_of(pod) for pod in pods}
        assert kept.items() <= uids.items()

    simulation.on_step = bounded
    faulty(simulation, rng)
    for version in ("v2", "v3", "v1"):
        rolled(STATEFUL_SET, version)(cluster)
        simulation.run(rng.randint(0, 80))
    faultless(simulation)
    simulation.settle()
    assert versions(cluster) == {"v1": replicas}


@LAW
@given(st.integers(2, 5), st.integers(0, 2**32))
def test_pods_come_in_order_and_go_in_reverse(replicas: int, seed: int) -> None:
    cluster = new_cluster(stateful_set(replicas=replicas))
    rng = Random(seed)
    simulation = simulated(cluster, rng)

    def in_order() -> None:
        names = [name_of(pod) for pod in cluster.all(POD)]
        assert names == [f"web-{index}" for index in range(len(names))]
        assert all(is_condition_true(pod, "Ready") for pod in cluster.all(POD)[:-1])

    simulation.on_step = in_order
    faulty(simulation, rng)
    simulation.run(60)
    scaled(0)(cluster)
    simulation.run(rng.randint(0, 40))
    faultless(simulation)
    simulation.settle()
    assert cluster.all(POD) == []


# --- DaemonSets ---------------------------------------------------------------------------------------------------

rollings = st.sampled_from((
    {"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": "50%", "maxSurge": 0},
    {"maxUnavailable": 0, "maxSurge": 1}, {"maxUnavailable": 0, "maxSurge": 2},
))  # fmt: skip


def strategy_of(rolling: Object) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": rolling}


@LAW
@given(st.lists(st.sampled_from(sorted(DAEMONS)), max_size=4), rollings, st.integers(0, 2), st.integers(0, 2**32))
def test_a_daemon_set_settles_whatever_happens(names: list[str], rolling: Object, min_ready_s: int, seed: int) -> None:
    cluster = new_cluster(daemon_set(updateStrategy=strategy_of(rolling), minReadySeconds=min_ready_s))

    def one_each() -> None:
        pods = [pod for pod in cluster.all(POD) if is_counted(pod)]
        places = Counter((target_of(pod), labels_of(pod).get("controller-revision-hash")) for pod in pods)
        assert not places or max(places.values()) == 1, "two pods of one template on a node"

    simulation = played(cluster, [DAEMONS[name] for name in dict.fromkeys(names)], Random(seed), one_each)
    assert simulation.writes_at_rest() == []
    owner = cluster.get(DAEMON_SET, "web")
    status = status_of(owner)
    desired = status["desiredNumberScheduled"]
    tainted = sum(bool(spec_of(one).get("taints")) for one in cluster.all(NODE))
    assert desired == len(cluster.all(NODE)) - tainted
    assert status["currentNumberScheduled"] == status["numberReady"] == status["updatedNumberScheduled"] == desired
    there = {target_of(pod) for pod in cluster.all(POD)}
    assert {name_of(one) for one in cluster.all(NODE) if not spec_of(one).get("taints")} <= there
    assert len(cluster.all(CONTROLLER_REVISION)) <= 3


@LAW
@given(st.sampled_from((0, 1)), st.integers(0, 2**32))
def test_a_node_never_has_two_pods_of_a_template(surge: int, seed: int) -> None:
    """Sharper: pods die all the time, and four of five decisions are made on an old world."""
    rng = Random(seed)
    rolling = {"maxUnavailable": 1 - surge, "maxSurge": surge}
    cluster = new_cluster(daemon_set(updateStrategy=strategy_of(rolling)), nodes=2)
    simulation = simulated(cluster, rng)

    def one_each() -> None:
        places = Counter(target_of(pod) for pod in cluster.all(POD) if is_counted(pod))
        assert not places or max(places.values()) == 1

    simulation.on_step = one_each
    simulation.staleness = lambda: rng.choice((0, *(rng.randint(1, 40) for _ in range(4))))
    for _ in range(15):
        simulation.run(rng.randint(0, 8))
        if cluster.all(POD):
            victim = rng.choice(cluster.all(POD))
            cluster.delete(POD, victim, grace_s=rng.choice((0, 30)))
    faultless(simulation)
    simulation.settle()
    assert len(cluster.all(POD)) == 2


@LAW
@given(st.integers(1, 5), rollings, st.integers(0, 2**32))
def test_a_daemon_sets_rollout_keeps_its_bounds(nodes: int, rolling: Object, seed: int) -> None:
    cluster = new_cluster(daemon_set(updateStrategy=strategy_of(rolling)), nodes)
    rng = Random(seed)
    simulation = simulated(cluster, rng)
    simulation.settle()
    bounds = Bounds.of(cluster.get(DAEMON_SET, "web"), nodes)

    def bounded() -> None:
        pods = [pod for pod in cluster.all(POD) if is_counted(pod)]
        served = {target_of(pod) for pod in pods if is_condition_true(pod, "Ready")}
        assert nodes - len(served) <= bounds.unavailable
        assert len(pods) <= nodes + bounds.surge

    simulation.on_step = bounded
    faulty(simulation, rng)
    for version in ("v2", "v3", "v1"):
        rolled(DAEMON_SET, version)(cluster)
        simulation.run(rng.randint(0, 80))
    faultless(simulation)
    simulation.settle()
    assert versions(cluster) == {"v1": nodes}


@LAW
@given(
    st.lists(st.sampled_from(sorted(DAEMONS)), max_size=3, unique=True), st.integers(0, 2**32), st.integers(0, 2**32)
)
def test_a_daemon_set_ignores_order(names: list[str], one: int, other: int) -> None:
    """But for pods that a tainted node has kept, which depends on who was first."""
    ends = []
    for seed in (one, other):
        cluster = new_cluster(daemon_set())
        played(cluster, [DAEMONS[name] for name in names], Random(seed))
        status = dict(status_of(cluster.get(DAEMON_SET, "web")))
        status.pop("numberMisscheduled")
        ends.append(status)
    assert ends[0] == ends[1]
