"""Validation of workloads: controllers of pods, jobs, disruption budgets."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object, copy_of
from tests.fakes.manifests import container, cron_job, deployment, job, metadata, pod_spec, template, workload
from tests.fakes.validated import complaints, update_complaints

SELECTOR = {"matchLabels": {"app": "web"}}
MISMATCH = 'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        ({"selector": None}, ["spec.selector: Required value"]),
        ({"selector": {}}, ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
        ({"selector": {"matchLabels": {"app": "db"}}}, [MISMATCH]),
        ({"minReadySeconds": 600}, ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than "
                                    "minReadySeconds"]),
        ({"strategy": {"type": "Yolo"}},
         ['spec.strategy.type: Unsupported value: "Yolo": supported values: "Recreate", "RollingUpdate"']),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}},
         ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
         ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0']),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
         ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        ({"strategy": {"rollingUpdate": {"maxSurge": -1}}},
         ["spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0"]),
        ({"template": template(pod_spec(restartPolicy="Never"))},
         ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']),
        ({"template": template(pod_spec(activeDeadlineSeconds=1))},
         ["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"]),
        ({"template": template(pod_spec(containers=[container(image="")]))},
         ["spec.template.spec.containers[0].image: Required value"]),
    ],
)  # fmt: skip
def test_deployments(spec: Object, faults: list[str]) -> None:
    obj = deployment(**spec)
    if obj["spec"]["selector"] is None:
        del obj["spec"]["selector"]
    assert complaints(kinds.DEPLOYMENT, obj) == faults


def test_a_percentage_is_a_number() -> None:
    (fault,) = complaints(kinds.DEPLOYMENT, deployment(strategy={"rollingUpdate": {"maxSurge": "many"}}))
    assert fault.startswith(
        'spec.strategy.rollingUpdate.maxSurge: Invalid value: "many": a valid percent string must be'
    )


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.DAEMON_SET], ids=str)
def test_selectors_never_change(kind: Kind) -> None:
    old = workload(kind.kind)
    new = copy_of(old)
    new["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    (fault,) = update_complaints(kind, new, old)
    assert fault.startswith("spec.selector: Invalid value: {")
    assert fault.endswith(": field is immutable")


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"podManagementPolicy": "Chaos"},
         ['spec.podManagementPolicy: Unsupported value: "Chaos": supported values: "OrderedReady", "Parallel"']),
        ({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}},
         ["spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'"]),
        ({"updateStrategy": {"rollingUpdate": {"partition": -1}}},
         ["spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0"]),
        ({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
         ["spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"]),
        ({"ordinals": {"start": -1}}, ["spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)  # fmt: skip
def test_stateful_sets(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.STATEFUL_SET, workload("StatefulSet", **spec)) == faults


def test_stateful_sets_keep_their_identity() -> None:
    old = workload("StatefulSet")
    assert update_complaints(kinds.STATEFUL_SET, workload("StatefulSet", replicas=9), old) == []
    (fault,) = update_complaints(kinds.STATEFUL_SET, workload("StatefulSet", serviceName="s"), old)
    assert fault.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals'")


@pytest.mark.parametrize(
    ("rolling", "fault"),
    [
        ({"maxUnavailable": 0}, "spec.updateStrategy.rollingUpdate: Required value: cannot be 0 when "
                                "maxUnavailable is 0"),
        ({"maxSurge": 1}, "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when "
                          "maxUnavailable is non-zero"),
    ],
)  # fmt: skip
def test_daemon_sets(rolling: Object, fault: str) -> None:
    obj = workload("DaemonSet", updateStrategy={"rollingUpdate": rolling})
    assert complaints(kinds.DAEMON_SET, obj) == [fault]


def test_replication_controllers() -> None:
    obj = workload("ReplicationController", "v1", selector={"app": "db"})
    assert complaints(kinds.REPLICATION_CONTROLLER, obj) == [MISMATCH]
    assert complaints(kinds.REPLICATION_CONTROLLER, {"metadata": metadata()}) == [
        "spec.selector: Required value",
        "spec.template: Required value",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "faults"),
    [
        (kinds.DEPLOYMENT, {"replicas": -1}, ["status.replicas: Invalid value: -1: must be greater than or "
                                              "equal to 0"]),
        (kinds.DEPLOYMENT, {"replicas": 1, "updatedReplicas": 2},
         ["status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas"]),
        (kinds.REPLICA_SET, {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
         ["status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"]),
        (kinds.DEPLOYMENT, {"replicas": 1, "unavailableReplicas": 3}, []),
    ],
)  # fmt: skip
def test_status_counts(kind: Kind, status: Object, faults: list[str]) -> None:
    old = workload(kind.kind)
    assert update_complaints(kind, {**old, "status": status}, old, status=True) == faults


# --- jobs ---------------------------------------------------------------------------------------------------------


def labelled_job(**spec: Any) -> Object:
    """A Job as it is after the server gave it its selector."""
    obj = job(selector=SELECTOR, **spec)
    obj["spec"]["template"].setdefault("metadata", {})["labels"] = {"app": "web"}
    return obj


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        ({"parallelism": -1}, ["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"]),
        ({"completionMode": "Indexed", "parallelism": 1},
         ["spec.completions: Required value: when completion mode is Indexed"]),
        ({"completionMode": "Indexed", "completions": 1, "parallelism": 100001},
         ["spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is "
          "Indexed"]),
        ({"backoffLimitPerIndex": 1}, ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed "
                                       "completion mode"]),
        ({"template": {"spec": pod_spec()}},
         ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        ({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
         ['spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is '
          "required"]),
    ],
)  # fmt: skip
def test_jobs(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.JOB, labelled_job(**spec)) == faults


def test_a_job_is_decided_at_its_birth() -> None:
    old = labelled_job()
    assert (
        update_complaints(kinds.JOB, labelled_job(parallelism=0, completions=1), {**labelled_job(completions=1)}) == []
    )
    (fault,) = update_complaints(kinds.JOB, labelled_job(completions=2, parallelism=1), old)
    assert fault == "spec.completions: Invalid value: 2: field is immutable"
    other = labelled_job()
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "x:1"
    (fault,) = update_complaints(kinds.JOB, other, old)
    assert fault.startswith("spec.template: Invalid value: {")


def test_a_suspended_job_may_still_be_placed() -> None:
    old = labelled_job(suspend=True)
    new = copy_of(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert update_complaints(kinds.JOB, new, old) == []
    started = {**old, "status": {"startTime": "2026-01-01T00:00:00Z"}}
    assert len(update_complaints(kinds.JOB, new, started)) == 1


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"schedule": ""}, ["spec.schedule: Required value"]),
        ({"schedule": "TZ=UTC * * * * *"}, ['spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or '
                                            'CRON_TZ '
                                            "in schedule, use timeZone field instead"]),
        ({"schedule": "* *"},
         ['spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: [* *]']),
        ({"timeZone": "Nowhere/Land"},
         ['spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land']),
        ({"timeZone": ""}, ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        ({"timeZone": "Local"}, ['spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as '
                                 "defined in https://www.iana.org/time-zones"]),
        ({"timeZone": "Etc/UTC"}, []),
        ({"concurrencyPolicy": "Panic"}, ['spec.concurrencyPolicy: Unsupported value: "Panic": supported values: '
                                          '"Allow", "Forbid", "Replace"']),
        ({"failedJobsHistoryLimit": -1},
         ["spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)  # fmt: skip
def test_cron_jobs(fields: Object, faults: list[str]) -> None:
    assert complaints(kinds.CRON_JOB, cron_job(**fields)) == faults


def test_a_cron_job_leaves_room_for_the_names_of_its_jobs() -> None:
    obj = cron_job()
    obj["metadata"]["name"] = "a" * 53
    (fault,) = complaints(kinds.CRON_JOB, obj)
    assert fault.endswith("must be no more than 52 characters")


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"minAvailable": 1}, []),
        ({"maxUnavailable": "50%"}, []),
        ({"minAvailable": -1}, ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"]),
        ({"minAvailable": "200%"}, ['spec.minAvailable: Invalid value: "200%": must not be greater than 100%']),
        ({"minAvailable": 1, "maxUnavailable": 1},
         ['spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and maxUnavailable cannot be both '
          "set"]),
        ({"unhealthyPodEvictionPolicy": "Never"}, ['spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": '
                                                   'supported values: "AlwaysAllow", "IfHealthyBudget"']),
    ],
)  # fmt: skip
def test_disruption_budgets(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.POD_DISRUPTION_BUDGET, {"metadata": metadata(), "spec": spec}) == faults
