"""Quotas over workloads that come, fail, end and go: what is reported is what is used, whoever saw which world when."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api.kinds import JOB, POD, REPLICA_SET, RESOURCE_QUOTA, Kind
from control.api.objects import Object, is_deleting, status_of
from control.controllers.controller import Controller
from control.controllers.job.controller import JobController
from control.controllers.replicaset import ReplicaSetController
from control.controllers.resourcequota import ResourceQuotaController
from tests.fakes.objects import namespace, replica_set
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import job

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HARD = {"pods": "4", "count/pods": "40", "count/jobs.batch": "2", "configmaps": "1"}


def quota() -> Object:
    metadata = {"name": "q", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": dict(HARD)}}


class Play:
    """A set, a Job and a quota that the API enforces, as admission does."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.cluster = Cluster(drops_empty=True)
        self.cluster.refuses = self._refuses
        web = replica_set(replicas=3)
        web["spec"]["template"]["spec"]["nodeName"] = "n0"
        for obj in (namespace(), quota(), web, job(completions=3, parallelism=2, backoffLimit=50, node="n0")):
            self.cluster.add(obj)
        controllers: list[Controller] = [ReplicaSetController(), JobController(), ResourceQuotaController()]
        self.simulation = Simulation(self.cluster, controllers, self.rng.choice, on_step=self._check)
        self.simulation.ends = lambda pod: self._end(pod)

    def _end(self, pod: Object) -> str:
        of_job = pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
        return self.rng.choice(("Succeeded", "Failed")) if of_job else ""

    def running(self) -> int:
        return sum(status_of(pod).get("phase") not in ("Succeeded", "Failed") for pod in self.cluster.all(POD))

    def _refuses(self, kind: Kind, obj: Object) -> str:
        return "exceeded quota: q" if kind == POD and self.running() >= 4 else ""

    def _check(self) -> None:
        assert self.running() <= 4

    def user(self) -> None:
        """Somebody changes something."""
        pods = [pod for pod in self.cluster.all(POD) if not is_deleting(pod)]
        match self.rng.randint(0, 3):
            case 0 if pods:
                self.cluster.delete(POD, self.rng.choice(pods))
            case 1:
                size = self.rng.randint(0, 6)
                self.cluster.edit(REPLICA_SET, "web", lambda obj: obj["spec"].update(replicas=size))
            case 2:
                self.cluster.edit(RESOURCE_QUOTA, "q", lambda obj: obj.update(status={"used": {"pods": "99"}}))
            case 3:
                more = {**HARD, "count/pods": str(self.rng.randint(10, 50))}
                self.cluster.edit(RESOURCE_QUOTA, "q", lambda obj: obj["spec"].update(hard=more))


@LAW
@given(st.integers(0, 2**32))
def test_what_a_quota_reports_is_what_is_used(seed: int) -> None:
    play = Play(seed)
    simulation, rng = play.simulation, play.rng
    simulation.staleness = lambda: rng.choice((0, 0, 0, rng.randint(1, 30)))
    simulation.dies = lambda: rng.random() < 0.05
    for _ in range(4):
        simulation.run(rng.randint(0, 40))
        play.user()
    size = rng.randint(0, 2)  # room enough for everybody in the end
    play.cluster.edit(REPLICA_SET, "web", lambda obj: obj["spec"].update(replicas=size))
    simulation.staleness = lambda: 0
    simulation.dies = lambda: False
    simulation.settle()
    found = play.cluster.get(RESOURCE_QUOTA, "q")
    assert status_of(found) == {
        "hard": found["spec"]["hard"],
        "used": {
            "pods": str(play.running()),
            "count/pods": str(len(play.cluster.all(POD))),
            "count/jobs.batch": str(len(play.cluster.all(JOB))),
            "configmaps": "0",
        },
    }
    assert simulation.writes_at_rest() == []
    conditions = status_of(play.cluster.get(REPLICA_SET, "web")).get("conditions") or []
    assert conditions == [], "a refusal that is over is not told any more"
