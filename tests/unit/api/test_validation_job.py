"""Validation of a Job's policies: failed indexes, failure and success rules, names of its pods."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object
from tests.fakes.manifests import job, pod_spec, template
from tests.fakes.validated import complaints

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
