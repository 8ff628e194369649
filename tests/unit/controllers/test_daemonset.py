"""DaemonSets: which nodes, which tolerations, failed pods, rollouts and the status."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from control.api.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from control.api.objects import Key, Object, annotations_of, labels_of, meta, name_of, spec_of, status_of
from control.controllers.action import Absent, Create, Delete
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.daemonset.eligibility import Fit, fit, pinned, target_of, tolerations
from control.controllers.daemonset.moves import FAILED_BEFORE
from control.controllers.scheduler import Scheduler
from tests.fakes.objects import namespace, node, template
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import daemon_set


class Stage:
    def __init__(self, nodes: int = 2, **spec: Any) -> None:
        self.cluster = Cluster()
        self.cluster.add(namespace())
        for index in range(nodes):
            self.cluster.add(node(f"n{index}"))
        self.cluster.add(daemon_set(**spec))
        self.simulation = Simulation(self.cluster, [DaemonSetController(), Scheduler()])
        self.simulation.healthy = lambda pod: "broken" not in spec_of(pod)["containers"][0]["image"]
        self.simulation.settle()

    def edit(self, **spec: Any) -> None:
        self.cluster.edit(DAEMON_SET, "web", lambda obj: obj["spec"].update(spec))
        self.simulation.settle()

    def reconcile(self) -> tuple[Any, ...]:
        return DaemonSetController().reconcile(self.cluster.world, Key("default", "web"), self.cluster.now).actions

    @property
    def status(self) -> Object:
        return dict(status_of(self.cluster.get(DAEMON_SET, "web")))

    @property
    def places(self) -> dict[str, str]:
        """Versions by node."""
        pods = self.cluster.all(POD)
        return {target_of(pod): spec_of(pod)["containers"][0]["image"].partition(":")[2] for pod in pods}


def tainted(effect: str, key: str = "k") -> Object:
    return node("n0", taints=[{"key": key, "effect": effect}])


def with_pod_spec(**spec: Any) -> Object:
    body = template()
    body["spec"].update(spec)
    return body


@pytest.mark.parametrize(("pod_template", "on", "expected"), [
    (with_pod_spec(), node("n0"), Fit(True, True)),
    (with_pod_spec(), tainted("NoSchedule"), Fit(False, True)),
    (with_pod_spec(), tainted("NoExecute"), Fit(False, False)),
    (with_pod_spec(), tainted("PreferNoSchedule"), Fit(True, True)),
    (with_pod_spec(), tainted("NoExecute", "node.kubernetes.io/not-ready"), Fit(True, True)),
    (with_pod_spec(), tainted("NoSchedule", "node.kubernetes.io/unschedulable"), Fit(True, True)),
    (with_pod_spec(), tainted("NoSchedule", "node.kubernetes.io/network-unavailable"), Fit(False, True)),
    (with_pod_spec(hostNetwork=True), tainted("NoSchedule", "node.kubernetes.io/network-unavailable"), Fit(True, True)),
    (with_pod_spec(tolerations=[{"operator": "Exists"}]), tainted("NoExecute"), Fit(True, True)),
    (with_pod_spec(nodeName="n0"), node("n0"), Fit(True, True)),
    (with_pod_spec(nodeName="n1"), node("n0"), Fit(False, False)),
    (with_pod_spec(nodeSelector={"kubernetes.io/hostname": "n0"}), node("n0"), Fit(True, True)),
    (with_pod_spec(nodeSelector={"disk": "fast"}), node("n0"), Fit(False, False)),
    (with_pod_spec(), node("n0", unschedulable=True), Fit(True, True)),
])  # fmt: skip
def test_where_it_runs_and_where_it_may_stay(pod_template: Object, on: Object, expected: Fit) -> None:
    assert fit(pod_template, on) == expected


def test_a_pod_says_its_node_and_what_it_lives_through() -> None:
    stage = Stage(1)
    (pod,) = stage.cluster.all(POD)
    keys = [(one["key"].removeprefix("node.kubernetes.io/"), one["effect"]) for one in spec_of(pod)["tolerations"]]
    assert keys == [
        ("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule"),
    ]  # fmt: skip
    assert target_of({"spec": {key: value for key, value in spec_of(pod).items() if key != "nodeName"}}) == "n0"
    (revision,) = stage.cluster.all(CONTROLLER_REVISION)
    assert labels_of(pod)["controller-revision-hash"] == labels_of(revision)["controller-revision-hash"]
    twice = {"spec": {"tolerations": tolerations(template())}}
    assert tolerations(twice) == tolerations(template())


def test_the_node_takes_the_place_of_required_terms_and_preferences_stay() -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
    preferred = [{"weight": 1, "preference": {}}]
    spec = {"affinity": {"podAffinity": {}, "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }}}  # fmt: skip
    affinity = pinned(spec, "n3")["affinity"]
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}]
    assert affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert affinity["podAffinity"] == {}
    assert spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == required


def test_it_follows_nodes_and_their_labels() -> None:
    stage = Stage(2)
    stage.cluster.add(node("n2"))
    stage.simulation.settle()
    assert set(stage.places) == {"n0", "n1", "n2"}
    stage.edit(template=with_pod_spec(nodeSelector={"colour": "blue"}))
    assert stage.places == {}
    stage.cluster.edit(NODE, "n1", lambda one: one["metadata"]["labels"].update(colour="blue"))
    stage.simulation.settle()
    assert set(stage.places) == {"n1"}
    assert stage.status["desiredNumberScheduled"] == stage.status["numberAvailable"] == 1


def taint_with(one: Object, taint: Object) -> None:
    one["spec"].update(taints=[taint])


def test_a_taint_makes_a_pod_misscheduled_and_no_execute_takes_it_away() -> None:
    stage = Stage(2)
    for effect, left in (("NoSchedule", {"n0", "n1"}), ("NoExecute", {"n1"})):
        taint = {"key": "k", "effect": effect}
        stage.cluster.edit(NODE, "n0", partial(taint_with, taint=taint))
        stage.simulation.settle()
        assert set(stage.places) == left
        assert stage.status["numberMisscheduled"] == len(left) - 1
        assert stage.status["desiredNumberScheduled"] == 1


def test_a_pod_that_was_made_for_a_lost_node_goes() -> None:
    stage = Stage(1)
    stage.simulation.controllers = [DaemonSetController()]  # nobody schedules
    stage.cluster.add(node("n1"))
    stage.simulation.settle()
    assert set(stage.places) == {"n0", "n1"}
    stage.cluster._remove(NODE, stage.cluster.get(NODE, "n1", ""))
    stage.simulation.settle()
    assert set(stage.places) == {"n0"}


def test_failures_in_a_row_are_replaced_later_and_later() -> None:
    stage = Stage(1)
    waits = []
    for _ in range(4):
        (pod,) = stage.cluster.all(POD)
        before = stage.cluster.now
        stage.cluster.edit(POD, name_of(pod), lambda one: one.update(status={"phase": "Failed"}))
        stage.simulation.settle()
        assert name_of(stage.cluster.all(POD)[0]) != name_of(pod)
        waits.append((stage.cluster.now - before).seconds)
    assert waits == [0, 1, 2, 4]
    (pod,) = stage.cluster.all(POD)
    assert annotations_of(pod)[FAILED_BEFORE] == "4"
    assert any("FailedDaemonPod web: Found failed daemon pod default/" in event for event in stage.cluster.events)
    stage.cluster.now += timedelta(minutes=31)
    stage.cluster.edit(POD, name_of(pod), lambda one: one.update(status={"phase": "Failed"}))
    stage.simulation.settle()
    assert annotations_of(stage.cluster.all(POD)[0])[FAILED_BEFORE] == "1", "a pod that held for long starts anew"


def test_a_pod_is_made_when_the_server_knows_of_none_in_the_other_slots() -> None:
    stage = Stage(1)
    (pod,) = stage.cluster.all(POD)
    stage.cluster._remove(POD, pod)
    fence, *questions, create, _ = stage.reconcile()
    assert name_of(fence.obj) == "web"
    assert isinstance(create, Create)
    assert all(isinstance(question, Absent) for question in questions)
    names = {name_of(create.obj), *(question.name for question in questions)}
    assert len(names) == 3
    assert name_of(pod) in names


@pytest.mark.parametrize(("rolling", "at_once"), [
    ({"maxUnavailable": 1}, 1), ({"maxUnavailable": "30%"}, 2), ({"maxUnavailable": "100%"}, 4),
])  # fmt: skip
def test_max_unavailable_says_how_many_go_at_once(rolling: Object, at_once: int) -> None:
    stage = Stage(4, updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    stage.cluster.edit(DAEMON_SET, "web", lambda obj: obj["spec"].update(template=template("v2")))
    while not any(isinstance(action, Delete) for action in stage.reconcile()):
        stage.simulation.step()
    assert sum(isinstance(action, Delete) for action in stage.reconcile()) == at_once


def test_a_surge_makes_the_new_pod_before_the_old_one_goes() -> None:
    stage = Stage(3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, len(stage.cluster.all(POD)))
        assert stage.status["numberReady"] == 3

    stage.simulation.on_step = count
    stage.edit(template=template("v2"))
    assert set(stage.places.values()) == {"v2"}
    assert most >= 4


def test_a_rollback_restarts_no_good_pod() -> None:
    stage = Stage(3)
    before = {name_of(pod) for pod in stage.cluster.all(POD)}
    stage.edit(template=template("broken"))
    assert sorted(stage.places.values()) == ["broken", "v1", "v1"]
    kept = before & {name_of(pod) for pod in stage.cluster.all(POD)}
    stage.edit(template=template("v1"))
    assert set(stage.places.values()) == {"v1"}
    assert len(kept) == 2
    assert kept <= {name_of(pod) for pod in stage.cluster.all(POD)}
    numbers = sorted(one["revision"] for one in stage.cluster.all(CONTROLLER_REVISION))
    assert numbers == [2, 3]


def test_on_delete_leaves_it_to_the_user() -> None:
    stage = Stage(2, updateStrategy={"type": "OnDelete"})
    stage.edit(template=template("v2"))
    assert stage.places == {"n0": "v1", "n1": "v1"}
    assert "updatedNumberScheduled" not in stage.status
    stage.cluster.delete(POD, stage.cluster.all(POD)[0])
    stage.simulation.settle()
    assert sorted(stage.places.values()) == ["v1", "v2"]


def test_min_ready_seconds_hold_back_the_next_node() -> None:
    stage = Stage(2, minReadySeconds=20)
    start = stage.cluster.now
    stage.edit(template=template("v2"))
    assert stage.cluster.now - start == timedelta(seconds=40)
    assert stage.status["numberAvailable"] == 2


def test_old_revisions_go_beyond_the_limit() -> None:
    stage = Stage(1, revisionHistoryLimit=0)
    stage.edit(template=template("v2"))
    assert [one["revision"] for one in stage.cluster.all(CONTROLLER_REVISION)] == [2]


def test_every_count_is_one_of_nodes() -> None:
    stage = Stage(nodes=3)
    assert {name: count for name, count in stage.status.items() if count} == {
        "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 3, "numberAvailable": 3,
        "updatedNumberScheduled": 3, "observedGeneration": 1,
    }  # fmt: skip
    stage.edit(template=template("broken"))
    assert {name: count for name, count in stage.status.items() if count} == {
        "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2, "numberAvailable": 2,
        "numberUnavailable": 1, "updatedNumberScheduled": 1, "observedGeneration": 2,
    }  # fmt: skip


def test_a_taken_revision_makes_another_hash() -> None:
    first = Stage(nodes=1)
    (made,) = first.cluster.all(CONTROLLER_REVISION)
    stranger: Object = {
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {}, "revision": 1,
        "metadata": {"name": name_of(made), "namespace": "default"},
    }  # fmt: skip
    cluster = Cluster()
    cluster.add(stranger)
    cluster.add(daemon_set())
    Simulation(cluster, [DaemonSetController()]).settle()
    assert status_of(cluster.get(DAEMON_SET, "web"))["collisionCount"] == 1
    assert len({name_of(one) for one in cluster.all(CONTROLLER_REVISION)}) == 2


def test_a_pod_that_was_deleted_is_made_again() -> None:
    stage = Stage(nodes=2)
    first = stage.cluster.all(POD)[0]
    stage.cluster.delete(POD, first)
    stage.simulation.settle()
    assert stage.places == {"n0": "v1", "n1": "v1"}
    assert meta(first)["uid"] not in {meta(pod)["uid"] for pod in stage.cluster.all(POD)}
