"""Validation of a Job's policies: failed indexes, failure and success rules, names of its pods."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object
from tests.fakes.manifests import job, pod_spec, template
from tests.fakes.validated import complaints, update_complaints

SELECTOR = {"matchLabels": {"app": "web"}}
INDEXED = {"completionMode": "Indexed", "completions": 4, "parallelism": 2}


def labelled_job(**spec: Any) -> Object:
    return job(selector=SELECTOR, template=template(pod_spec(restartPolicy="Never")), **spec)


def failure_rule(action: str, operator: str = "In", values: tuple[int, ...] = (1,)) -> Object:
    return {"rules": [{"action": action, "onExitCodes": {"operator": operator, "values": list(values)}}]}


def success(**rule: Any) -> Object:
    return {**INDEXED, "successPolicy": {"rules": [rule]}}


RULE = "spec.successPolicy.rules[0]"


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4}, []),
        ({**INDEXED, "maxFailedIndexes": 1},
         ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"]),
        ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 5},
         ["spec.maxFailedIndexes: Invalid value: 5: must be less than or equal to completions"]),
        ({**INDEXED, "backoffLimitPerIndex": 1, "podFailurePolicy": failure_rule("FailIndex")}, []),
        ({"podFailurePolicy": failure_rule("FailIndex")},
         ['spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be '
          'set']),
        ({"podFailurePolicy": failure_rule("FailJob", values=(0, 1))},
         ["spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"]),
        ({"podFailurePolicy": failure_rule("FailJob", "NotIn", (0, 1))}, []),
        ({"podFailurePolicy": failure_rule("FailJob"), "podReplacementPolicy": "TerminatingOrFailed"},
         ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"']),
        (success(succeededIndexes="0,2-3", succeededCount=3), []),
        (success(succeededCount=1), []),
        (success(), [f"{RULE}: Required value: at least one of succeededCount or succeededIndexes must be specified"]),
        (success(succeededCount=5),
         [f"{RULE}.succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of specified "
          "completions)"]),
        (success(succeededIndexes="0-1", succeededCount=3),
         [f"{RULE}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the "
          "specified succeededIndexes field)"]),
        ({**INDEXED, "successPolicy": {"rules": []}},
         ["spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is "
          "specified"]),
    ],
)  # fmt: skip
def test_policies(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.JOB, labelled_job(**spec)) == faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("4", 'too large index: "4"'),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("0-1-2", 'the fragment "0-1-2" violates the requirement that an index interval can have at most two parts'),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("2-1", "non-increasing order, previous: 2, current: 1"),
    ],
)
def test_indexes_that_cannot_be_read(text: str, fault: str) -> None:
    quoted = text.replace('"', '\\"')
    assert complaints(kinds.JOB, labelled_job(**success(succeededIndexes=text))) == [
        f'{RULE}.succeededIndexes: Invalid value: "{quoted}": error parsing succeededIndexes: {fault}'
    ]


def test_a_success_policy_is_for_indexes() -> None:
    (fault,) = complaints(kinds.JOB, labelled_job(successPolicy={"rules": [{"succeededCount": 1}]}))
    assert fault.endswith("requires indexed completion mode")


def test_the_last_pods_hostname_must_fit() -> None:
    obj = labelled_job(**{**INDEXED, "completions": 1000})
    obj["metadata"]["name"] = "a" * 60
    assert any("will not able to create pod with invalid DNS label" in fault for fault in complaints(kinds.JOB, obj))
    obj["metadata"]["name"] = "a" * 59
    assert complaints(kinds.JOB, obj) == []


HUGE = {"completionMode": "Indexed", "completions": 100_001, "backoffLimitPerIndex": 1}
POLICY = "spec.podFailurePolicy.rules"


def rules(*each: Object) -> Object:
    return {"podFailurePolicy": {"rules": list(each)}}


def exits(*values: int) -> Object:
    return {"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(values)}}


def pods(status: str, type_: str = "DisruptionTarget") -> Object:
    return {"action": "Ignore", "onPodConditions": [{"type": type_, "status": status}]}


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({**HUGE, "maxFailedIndexes": 10_000, "parallelism": 10_000}, []),
        ({**HUGE, "parallelism": 1},
         ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"]),
        ({**HUGE, "maxFailedIndexes": 10_001, "parallelism": 10_001},
         [f"spec.{field}: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 "
          "and used with backoff limit per index" for field in ("parallelism", "maxFailedIndexes")]),
        ({"completionMode": "Indexed", "completions": 200_000, "backoffLimitPerIndex": 1, "maxFailedIndexes": 100_001,
          "parallelism": 1},
         ["spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
          "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 10000 when completions are "
          "above 100000 and used with backoff limit per index"]),
        ({"managedBy": "example.com/" + "a" * 60}, ["spec.managedBy: Too long: may not be more than 63 bytes"]),
        (rules(*[pods("True")] * 21), [f"{POLICY}: Too many: 21: must have at most 20 items"]),
        (rules(exits(*range(1, 257))), [f"{POLICY}[0].onExitCodes.values: Too many: 256: must have at most 255 items"]),
        (rules(exits(2, 1)), [f"{POLICY}[0].onExitCodes.values: Invalid value: [2,1]: must be ordered"]),
        (rules(exits(1, 1)), [f"{POLICY}[0].onExitCodes.values[1]: Duplicate value: 1"]),
        (rules(pods("Perhaps")),
         [f'{POLICY}[0].onPodConditions[0].status: Unsupported value: "Perhaps": supported values: "False", "True", '
          '"Unknown"']),
        (rules({"onPodConditions": [{"type": "A", "status": "True"}]}),
         [f'{POLICY}[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]']),
        (rules({**exits(1), **pods("True")}),
         [f"{POLICY}[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"]),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}] * 21}},
         ["spec.successPolicy.rules: Too many: 21: must have at most 20 items"]),
    ],
)  # fmt: skip
def test_bounds(spec: Object, faults: list[str]) -> None:
    assert complaints(kinds.JOB, labelled_job(**spec)) == faults


def status(spec: Object | None = None, conditions: tuple[str, ...] = (), **fields: Any) -> Object:
    """A Job with a status; `conditions` are those that hold."""
    held = [{"type": type_, "status": "True"} for type_ in conditions]
    return {**labelled_job(**(spec or {})), "status": {**fields, "conditions": held}}


START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
COMPLETE = ("SuccessCriteriaMet", "Complete")
FAILED = ("FailureTarget", "Failed")
DONE = {"startTime": START, "completionTime": END}


@pytest.mark.parametrize(
    ("new", "faults"),
    [
        (status(None, COMPLETE, **DONE, succeeded=1), []),
        (status(None, FAILED, startTime=START, failed=1), []),
        (status(None, ("Complete",), **DONE),
         ["status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true "
          "condition"]),
        (status(None, ("Failed",), startTime=START),
         ["status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true "
          "condition"]),
        (status(None, COMPLETE, startTime=START),
         ["status.completionTime: Required value: completionTime is required for Complete jobs"]),
        (status(None, COMPLETE, completionTime=START, startTime=END),
         [f'status.completionTime: Invalid value: "{START}": completionTime cannot be set before startTime']),
        (status(completionTime=END),
         [f'status.completionTime: Invalid value: "{END}": cannot set completionTime when there is no Complete=True '
          "condition"]),
        (status(None, FAILED), ["status.startTime: Required value: startTime is required for finished job"]),
        (status(None, FAILED, startTime=START, active=1, terminating=1),
         ["status.active: Invalid value: 1: active>0 is invalid for finished job",
          "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"]),
        (status(None, FAILED, startTime=START, uncountedTerminatedPods={"failed": ["a"]}),
         ['status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: uncountedTerminatedPods needs to be empty '
          "for finished job"]),
        (status(uncountedTerminatedPods={"succeeded": ["a", ""], "failed": ["a"]}),
         ['status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
          'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"']),
        (status(active=1, ready=2), ["status.ready: Invalid value: 2: cannot set more ready pods than active"]),
        (status(completedIndexes="0"),
         ['status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed '
          "completion mode"]),
        (status(INDEXED, completedIndexes="9"),
         ['status.completedIndexes: Invalid value: "9": error parsing completedIndexes: too large index: "9"']),
        (status(INDEXED, failedIndexes=""),
         ['status.failedIndexes: Invalid value: "": cannot set non-null failedIndexes when backoffLimitPerIndex is '
          "null"]),
        (status({**INDEXED, "backoffLimitPerIndex": 1}, failedIndexes="1-3", completedIndexes="0,2"),
         ['status.failedIndexes: Invalid value: "1-3": failedIndexes and completedIndexes overlap at index: 2']),
    ],
)  # fmt: skip
def test_statuses(new: Object, faults: list[str]) -> None:
    old = {**new, "status": {}}
    assert update_complaints(kinds.JOB, new, old, status=True) == faults
    if not new["status"]["conditions"]:
        assert update_complaints(kinds.JOB, new, new, status=True) == [], "what is there already is not held against it"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (status(None, FAILED, startTime=START), status(None, ("FailureTarget",), startTime=START),
         "status.conditions: Invalid value: cannot disable the terminal Failed=True condition"),
        (status(None, ("SuccessCriteriaMet",)), status(),
         "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"),
        (status(failed=2), status(failed=1), "status.failed: Invalid value: 1: cannot decrease the failed counter"),
        (status(succeeded=2), status(), "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter"),
        (status(None, COMPLETE, **DONE), status(None, COMPLETE, startTime=START, completionTime="2026-01-02T00:00:00Z"),
         'status.completionTime: Invalid value: "2026-01-02T00:00:00Z": completionTime cannot be mutated'),
        (status(startTime=START), status(startTime=END),
         "status.startTime: Required value: startTime cannot be removed for unsuspended job"),
    ],
)  # fmt: skip
def test_what_a_status_may_not_take_back(old: Object, new: Object, fault: str) -> None:
    assert update_complaints(kinds.JOB, new, old, status=True) == [fault]


def test_a_resumed_job_starts_its_time_anew() -> None:
    old, new = status(None, ("Suspended",), startTime=START), status(startTime=END)
    assert update_complaints(kinds.JOB, new, old, status=True) == []
