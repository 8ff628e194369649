"""Jobs, wake by wake: starts, ends and what pods look like; the account's laws are in tests/sim."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.api.kinds import JOB, POD
from control.api.objects import (
    Key,
    Object,
    annotations_of,
    condition_of,
    is_condition_true,
    labels_of,
    meta,
    name_of,
    spec_of,
    status_of,
)
from control.controllers.action import Absent, Create, Delete, Outcome, Patch, Update
from control.controllers.job.controller import JobController
from control.controllers.ttl import TtlController
from control.mirror.world import World
from tests.fakes.objects import START, namespace, owned_by, pod
from tests.fakes.simulation import Simulation
from tests.fakes.tiny_api import Cluster
from tests.fakes.workloads import ended, job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRACKING = "batch.kubernetes.io/job-tracking"


# --- the controller -----------------------------------------------------------------------------------------------


class Stage:
    """A Job whose pods run on a node and end as the test says."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = Cluster()
        self.cluster.add(namespace())
        self.cluster.add(job(node="n0", **spec))
        self.simulation = Simulation(self.cluster, [JobController()])
        self.settle()

    def settle(self) -> None:
        """As far as it goes without letting time pass."""
        simulation = self.simulation
        while simulation.waiting or (simulation.kubelet and any(simulation._kubelet_work())):
            self.simulation.step()

    def end(self, name: str, phase: str, code: int = 0) -> None:
        at = f"{self.cluster.now:%Y-%m-%dT%H:%M:%SZ}"
        self.cluster.edit(POD, name, lambda one: one.update(ended(one, phase, code, at)))
        self.settle()

    def edit(self, **spec: Any) -> None:
        self.cluster.edit(JOB, "work", lambda obj: obj["spec"].update(spec))
        self.settle()

    def reconcile(self) -> Outcome:
        return JobController().reconcile(self.cluster.world, Key("default", "work"), self.cluster.now)

    @property
    def job(self) -> Object:
        return self.cluster.get(JOB, "work")

    @property
    def status(self) -> Object:
        return dict(status_of(self.job))

    @property
    def active(self) -> list[Object]:
        running = [one for one in self.cluster.all(POD) if status_of(one).get("phase") == "Running"]
        return [one for one in running if not meta(one).get("deletionTimestamp")]

    @property
    def names(self) -> list[str]:
        return [name_of(one) for one in self.active]


def test_a_pod_of_an_index_knows_it() -> None:
    stage = Stage(completionMode="Indexed", completions=2, parallelism=2)
    second = stage.active[1]
    assert name_of(second).startswith("work-1-")
    assert meta(second)["generateName"] == "work-1-"
    assert labels_of(second)["batch.kubernetes.io/job-completion-index"] == "1"
    assert annotations_of(second) == {"batch.kubernetes.io/job-completion-index": "1"}
    assert spec_of(second)["hostname"] == "work-1"
    path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}
    assert spec_of(second)["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]
    assert meta(second)["finalizers"] == [TRACKING]


def test_without_completions_the_first_success_is_the_last_start() -> None:
    stage = Stage(completions=None, parallelism=3)
    first, second, third = stage.names
    stage.end(first, "Succeeded")
    assert stage.names == [second, third]
    stage.end(second, "Failed")
    assert stage.names == [third]
    stage.end(third, "Succeeded")
    assert is_condition_true(stage.job, "Complete")
    assert (stage.status["succeeded"], stage.status["failed"]) == (2, 1)


def test_the_end_has_two_conditions_and_a_time() -> None:
    stage = Stage(completions=1, parallelism=1)
    stage.end(stage.names[0], "Succeeded")
    for type_ in ("SuccessCriteriaMet", "Complete"):
        condition = condition_of(stage.job, type_) or {}
        assert (condition["reason"], condition["message"]) == (
            "CompletionsReached", "Reached expected number of succeeded pods"
        )  # fmt: skip
    assert stage.status["completionTime"] == START
    assert stage.status["uncountedTerminatedPods"] == {}
    assert "Normal Completed work: Job completed" in stage.cluster.events


def test_a_failed_job_counts_and_stops_what_runs_before_it_says_so() -> None:
    stage = Stage(completions=2, parallelism=2, backoffLimit=0)
    first, second = stage.names
    stage.simulation.kubelet = False
    stage.end(first, "Failed", 1)
    assert is_condition_true(stage.job, "FailureTarget")
    assert not is_condition_true(stage.job, "Failed"), f"{second} still terminates"
    assert stage.status["terminating"] == 1
    stage.simulation.kubelet = True
    stage.settle()
    assert (condition_of(stage.job, "Failed") or {})["reason"] == "BackoffLimitExceeded"
    assert stage.status["failed"] == 2
    assert "completionTime" not in stage.status
    told = "Warning BackoffLimitExceeded work: Job has reached the specified backoff limit"
    assert told in stage.cluster.events


def test_a_replacement_waits_for_its_delay() -> None:
    stage = Stage(completions=1, parallelism=1)
    stage.end(stage.names[0], "Failed", 1)
    assert stage.names == []
    assert stage.reconcile().wake_at == stage.cluster.now + timedelta(seconds=10)
    stage.simulation.step()
    stage.settle()
    assert len(stage.names) == 1


def test_restarts_in_the_pod_count_where_the_policy_says_on_failure() -> None:
    stage = Stage(completions=1, parallelism=1, backoffLimit=2)
    stage.cluster.edit(JOB, "work", lambda obj: obj["spec"]["template"]["spec"].update(restartPolicy="OnFailure"))
    stage.cluster.edit(POD, stage.names[0], lambda one: one["status"].update(containerStatuses=[{"restartCount": 2}]))
    stage.settle()
    assert (condition_of(stage.job, "Failed") or {})["reason"] == "BackoffLimitExceeded"


def test_a_rule_fails_the_job_and_says_why() -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    stage = Stage(completions=2, parallelism=2, podFailurePolicy={"rules": [rule]})
    stage.end(stage.names[0], "Failed", 42)
    condition = condition_of(stage.job, "Failed") or {}
    assert condition["reason"] == "PodFailurePolicy"
    assert condition["message"].endswith("failed with exit code 42 matching FailJob rule at index 0")


def test_ignored_failures_do_not_count() -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    stage = Stage(completions=1, parallelism=1, backoffLimit=0, podFailurePolicy={"rules": [rule]})
    (name,) = stage.names
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    stage.cluster.edit(POD, name, lambda one: one["status"].update(phase="Failed", conditions=disrupted))
    stage.settle()
    assert "failed" not in stage.status
    assert len(stage.names) == 1
    assert meta(stage.cluster.get(POD, name))["finalizers"] == []


@pytest.mark.parametrize(("rule", "ended_by", "complete"), [
    ({"succeededIndexes": "1"}, "1", True), ({"succeededIndexes": "1"}, "0", False), ({"succeededCount": 1}, "2", True),
    ({"succeededIndexes": "0-1", "succeededCount": 1}, "1", True),
    ({"succeededIndexes": "0-1", "succeededCount": 1}, "2", False),
])  # fmt: skip
def test_success_rules(rule: Object, ended_by: str, complete: bool) -> None:
    stage = Stage(completionMode="Indexed", completions=3, parallelism=3, successPolicy={"rules": [rule]})
    name = next(name for name in stage.names if name.startswith(f"work-{ended_by}-"))
    stage.end(name, "Succeeded")
    condition = condition_of(stage.job, "Complete") or {}
    assert bool(condition) == complete
    if complete:
        assert (condition["reason"], condition["message"]) == ("SuccessPolicy", "Matched rules at index 0")
        assert stage.names == []


def test_too_many_failed_indexes_end_a_job() -> None:
    stage = Stage(
        completionMode="Indexed",
        completions=4,
        parallelism=4,
        backoffLimitPerIndex=0,
        maxFailedIndexes=1,
        backoffLimit=99,
    )
    for index in (0, 1):
        name = next(name for name in stage.names if name.startswith(f"work-{index}-"))
        stage.end(name, "Failed", 1)
    assert stage.status["failedIndexes"] == "0,1"
    assert (condition_of(stage.job, "Failed") or {})["reason"] == "MaxFailedIndexesExceeded"


def test_an_elastic_job_forgets_the_indexes_that_it_loses() -> None:
    stage = Stage(completionMode="Indexed", completions=3, parallelism=3)
    stage.end(stage.names[2], "Succeeded")
    assert stage.status["completedIndexes"] == "2"
    stage.edit(completions=2, parallelism=2)
    assert "completedIndexes" not in stage.status
    assert len(stage.names) == 2
    stage.edit(completions=3, parallelism=3)
    assert len(stage.names) == 3


def test_the_deadline_counts_from_the_resumption() -> None:
    stage = Stage(suspend=True, activeDeadlineSeconds=60)
    assert "startTime" not in stage.status
    assert (condition_of(stage.job, "Suspended") or {})["reason"] == "JobSuspended"
    stage.cluster.now += timedelta(hours=1)
    stage.edit(suspend=False)
    assert (condition_of(stage.job, "Suspended") or {})["status"] == "False"
    assert len(stage.names) == 2
    assert stage.reconcile().wake_at == stage.cluster.now + timedelta(seconds=60)
    stage.simulation.settle()
    assert (condition_of(stage.job, "Failed") or {})["reason"] == "DeadlineExceeded"
    suspensions = [event for event in stage.cluster.events if "Suspended" in event or "Resumed" in event]
    assert suspensions == ["Normal Suspended work: Job suspended", "Normal Resumed work: Job resumed"]


def test_another_controllers_job_is_left_alone() -> None:
    assert Stage(managedBy="example.com/other").status == {}


def test_orphans_are_adopted_with_the_finalizer_and_released_without() -> None:
    stage = Stage(completions=1, parallelism=1)
    (name,) = stage.names
    stage.cluster.edit(POD, name, lambda one: one["metadata"].update(ownerReferences=[], finalizers=[]))
    stage.settle()
    adopted = stage.cluster.get(POD, name)
    assert meta(adopted)["ownerReferences"][0]["uid"] == "uid-of-work"
    assert meta(adopted)["finalizers"] == [TRACKING]
    stage.cluster.edit(POD, name, lambda one: one["metadata"].update(labels={}))
    stage.settle()
    released = stage.cluster.get(POD, name)
    assert (meta(released)["ownerReferences"], meta(released)["finalizers"]) == ([], [])
    assert len(stage.names) == 2, "the released one and its successor"


def test_a_pod_of_a_job_that_is_gone_is_freed_when_the_server_says_so() -> None:
    left = pod("work-abcde", owner=job(), labels={"batch.kubernetes.io/job-name": "work"})
    left["metadata"]["finalizers"] = [TRACKING]
    question, patch = JobController().reconcile(World.of([left]), Key("default", "work"), NOW).actions
    assert question == Absent(JOB, "default", "work", "uid-of-work")
    assert isinstance(patch, Patch)
    assert patch.patch == {"metadata": {"$deleteFromPrimitiveList/finalizers": [TRACKING]}}
    namesake = job(uid="another")
    assert JobController().reconcile(World.of([left, namesake]), Key("default", "work"), NOW).actions[0] == question


def test_creations_stand_between_a_fence_and_an_announcement() -> None:
    cluster = Cluster()
    cluster.add(job())
    (started,) = JobController().reconcile(cluster.world, Key("default", "work"), cluster.now).actions
    cluster.perform([started])
    fence, *creations, announcement = (
        JobController().reconcile(cluster.world, Key("default", "work"), cluster.now).actions
    )
    assert isinstance(fence, Update)
    assert fence.obj == cluster.get(JOB, "work")
    assert sum(isinstance(action, Create) for action in creations) == 2
    assert isinstance(announcement, Update)
    assert announcement.obj["status"]["active"] == 2
    assert "resourceVersion" not in announcement.obj["metadata"]


# --- afterwards ---------------------------------------------------------------------------------------------------


def finished(seconds: int | None) -> Object:
    obj = job() if seconds is None else job(ttlSecondsAfterFinished=seconds)
    obj["metadata"]["resourceVersion"] = "5"
    obj["status"] = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": START}]}
    return obj


def test_a_finished_job_goes_when_its_time_is_over() -> None:
    def at(second: int, obj: Object) -> Outcome:
        return TtlController().reconcile(World.of([obj]), Key("default", "work"), NOW + timedelta(seconds=second))

    assert at(99, finished(100)) == Outcome(wake_at=NOW + timedelta(seconds=100))
    (delete,) = at(100, finished(100)).actions
    assert delete == Delete(JOB, "default", "work", "uid-of-work", "5", "Foreground")
    assert at(100, finished(None)) == Outcome()
    assert at(100, job(ttlSecondsAfterFinished=0)) == Outcome(), "not finished"


def test_the_owner_is_its_controller() -> None:
    (one,) = Stage(completions=1, parallelism=1).active
    assert meta(one)["ownerReferences"] == [owned_by(job())]
