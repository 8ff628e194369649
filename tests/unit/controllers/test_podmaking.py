"""What is said when the server will not delete: Kubernetes' words, which are not the same for every kind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.api.objects import Key, Object
from control.controllers.action import Delete, Emit
from control.controllers.controller import Controller
from control.controllers.job.controller import JobController
from control.controllers.replicaset import ReplicaSetController
from control.controllers.statefulset.controller import StatefulSetController
from tests.fakes.objects import replica_set
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import job, stateful_set


def failures(controller: Controller, obj: Object, **shrunk: object) -> list[str]:
    """What the controller would say if the deletions failed that a smaller size makes it decide on."""
    cluster = Cluster()
    cluster.add(obj)
    Simulation(cluster, [controller]).settle()
    name = str(obj["metadata"]["name"])
    cluster.edit(controller.kind, name, lambda held: held["spec"].update(shrunk))
    outcome = controller.reconcile(cluster.world, Key("default", name), cluster.now + timedelta(seconds=1))
    deletes = [action for action in outcome.actions if isinstance(action, Delete)]
    assert deletes
    told = [event for each in deletes if each.refused for event in each.refused("no")]
    return [f"{event.type} {event.reason} {event.message}" for event in told if isinstance(event, Emit)]


@pytest.mark.parametrize(
    ("controller", "obj", "shrunk", "words"),
    [
        (ReplicaSetController(), replica_set(replicas=1), {"replicas": 0}, "Error deleting: no"),
        (JobController(), job(parallelism=1), {"parallelism": 0}, "Error deleting: no"),
        (
            StatefulSetController(),
            stateful_set(replicas=1),
            {"replicas": 0},
            "delete Pod web-0 in StatefulSet web failed error: no",
        ),
    ],
    ids=["ReplicaSet", "Job", "StatefulSet"],
)
def test_a_failed_deletion_is_told(controller: Controller, obj: Object, shrunk: dict[str, object], words: str) -> None:
    assert failures(controller, obj, **shrunk) == [f"Warning FailedDelete {words}"]
