"""Decisions on old worlds and after lost answers, as the whole-cluster simulation found them, each by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from control.api.kinds import DAEMON_SET, JOB, POD, STATEFUL_SET, Kind
from control.api.objects import Key, Object, is_deleting, meta, name_of, status_of
from control.apiserver.local import LocalClient
from control.controllers.action import Create, Delete, Patch
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.job.controller import JobController
from control.controllers.perform import Performer
from control.controllers.podgc import PodGarbageController
from control.controllers.scheduler import Scheduler
from control.mirror.mirror import Mirror
from tests.fakes.cluster import cluster as api_server
from tests.fakes.objects import namespace, node, pod, template
from tests.fakes.simulation import Simulation
from tests.fakes.store_client import StoreClient
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import daemon_set, ended, job, stateful_set

# --- lost answers -------------------------------------------------------------------------------------------------


class Deaf(StoreClient):
    """Writes take effect, and their answers are lost; `gets` is how many questions fail before one is answered."""

    def __init__(self, gets: int = 0) -> None:
        super().__init__()
        self.failing_gets = gets
        self.is_deaf = False

    async def create(self, kind: Kind, obj: Object, **more: Any) -> Object:
        done = await super().create(kind, obj, **more)
        return self._lose(done)

    async def delete(self, *args: Any, **more: Any) -> Object:
        return self._lose(await super().delete(*args, **more))

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if self.failing_gets:
            self.failing_gets -= 1
            raise ConnectionError("not yet")
        return await super().get(kind, namespace, name)

    def _lose(self, done: Object) -> Object:
        if self.is_deaf:
            raise ConnectionError("the answer is lost")
        return done


async def mirrored(client: StoreClient) -> Mirror:
    mirror = Mirror(client, [POD])
    mirror.start()
    await mirror.synced.wait()
    return mirror


@pytest.mark.parametrize("gets", [0, 1])
async def test_a_created_pod_is_known_though_the_answer_is_lost(gets: int) -> None:
    """Else the next decision, on a set of another version, would make one more under another name."""
    client = Deaf(gets)
    mirror = await mirrored(client)
    client.is_deaf = True
    client.hold(POD)
    try:
        with pytest.raises(ConnectionError):
            await Performer(client, mirror).perform(Create(POD, pod("p")))
        assert mirror.world.get(POD, "default", "p") is not None
    finally:
        client.release(POD)
        await mirror.close()


async def test_a_deletion_whose_answer_is_lost_is_seen_before_the_next_decision() -> None:
    client = Deaf()
    made = await client.create(POD, {**pod("p"), "metadata": {"name": "p", "namespace": "default"}})
    mirror = await mirrored(client)
    client.is_deaf = True
    client.hold(POD)
    deed = asyncio.ensure_future(Performer(client, mirror).perform(Delete(POD, "default", "p", meta(made)["uid"])))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not deed.done(), "it goes on although the mirror still shows the pod"
    client.release(POD)
    with pytest.raises(ConnectionError):
        await deed
    assert mirror.world.get(POD, "default", "p") is None
    await mirror.close()


# --- Jobs ---------------------------------------------------------------------------------------------------------


def job_with_pods(**spec: Any) -> Cluster:
    cluster = Cluster()
    cluster.add(namespace())
    cluster.add(job(node="n0", **spec))
    Simulation(cluster, [JobController()]).run(12)
    return cluster


def of_job(cluster: Cluster) -> tuple[Any, ...]:
    return JobController().reconcile(cluster.world, Key("default", "work"), cluster.now).actions


def test_a_pod_that_is_taken_away_is_let_go_only_if_it_has_not_ended_meanwhile() -> None:
    """Parallelism was lowered; the pod may have succeeded since, and would be lost to the count."""
    cluster = job_with_pods(completions=3, parallelism=2)
    cluster.edit(JOB, "work", lambda obj: obj["spec"].update(parallelism=1))
    freed = [one for one in of_job(cluster) if isinstance(one, Patch)]
    assert [one.patch["metadata"]["resourceVersion"] for one in freed] == [
        meta(cluster.get(POD, one.name))["resourceVersion"] for one in freed
    ]
    assert len(freed) == 1


def test_a_job_that_is_being_deleted_lets_go_of_every_pod() -> None:
    """Also of a failed one that was to wait for its successor: there will be none, and nothing else frees it."""
    cluster = job_with_pods(completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1)
    names = [name_of(one) for one in cluster.all(POD)]
    cluster.edit(POD, names[0], lambda one: one.update(ended(one, "Failed", 1)))
    cluster.delete(JOB, cluster.get(JOB, "work"), "Foreground")
    assert is_deleting(cluster.get(JOB, "work"))
    assert sorted(one.name for one in of_job(cluster) if isinstance(one, Patch)) == sorted(names)


# --- other controllers --------------------------------------------------------------------------------------------


def test_an_old_daemon_that_goes_for_not_being_ready_must_not_have_become_so() -> None:
    cluster = Cluster()
    cluster.add(namespace())
    cluster.add(node("n0"))
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.add(daemon_set(updateStrategy=rolling))
    simulation = Simulation(cluster, [DaemonSetController(), Scheduler()], healthy=lambda one: False)
    simulation.settle()
    old = cluster.all(POD)[0]
    cluster.edit(DAEMON_SET, "web", lambda obj: obj["spec"].update(template=template("v2")))
    found: list[Delete] = []
    while not found and simulation.step():
        outcome = DaemonSetController().reconcile(cluster.world, Key("default", "web"), cluster.now)
        found = [one for one in outcome.actions if isinstance(one, Delete)]
    assert [(one.name, one.resource_version) for one in found] == [
        (name_of(old), meta(cluster.get(POD, name_of(old)))["resourceVersion"])
    ]


def test_a_pod_without_a_node_that_is_deleted_has_failed() -> None:
    """No kubelet will say so, and a Job with podReplacementPolicy Failed waits for it."""
    cluster = Cluster()
    cluster.add({**pod("p"), "metadata": {**pod("p")["metadata"], "finalizers": ["batch.kubernetes.io/job-tracking"]}})
    cluster.delete(POD, cluster.get(POD, "p"))
    Simulation(cluster, [PodGarbageController()], kubelet=False).settle()
    assert status_of(cluster.get(POD, "p"))["phase"] == "Failed"


async def test_a_stateful_set_at_rest_is_written_no_more() -> None:
    """Kubernetes keeps status.availableReplicas though it is zero, and the controller writes it so."""
    async with api_server() as server:
        client: LocalClient = server.local
        made = await client.create(STATEFUL_SET, stateful_set(replicas=0))
        status = {"replicas": 0, "availableReplicas": 0, "collisionCount": 0}
        done = await client.update(STATEFUL_SET, {**made, "status": status}, subresource="status")
        assert status_of(done) == status
