"""A Job's failures and indexes: what policies make of a failed pod, and the text of a set of indexes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Object
from control.controllers.job import failures, indexes
from tests.fakes.objects import pod
from tests.fakes.workloads import ended, job

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# --- indexes ------------------------------------------------------------------------------------------------------


@given(st.frozensets(st.integers(0, 40)))
def test_indexes_survive_their_text(found: frozenset[int]) -> None:
    assert indexes.parse(indexes.text_of(found), 41) == found


@pytest.mark.parametrize(("found", "text"), [
    ((), ""), ((3,), "3"), ((1, 2), "1,2"), ((1, 2, 3), "1-3"), ((0, 2, 3, 4, 7, 8), "0,2-4,7,8"),
])  # fmt: skip
def test_indexes_are_written_as_kubernetes_writes_them(found: tuple[int, ...], text: str) -> None:
    assert indexes.text_of(found) == text


def test_indexes_beyond_the_completions_do_not_count() -> None:
    assert indexes.parse("0,2-9", 4) == {0, 2, 3}
    assert indexes.parse("x,1-,-,3", 9) == {3}


# --- failures -----------------------------------------------------------------------------------------------------


def policy(action: str, **rule: Any) -> Object:
    return job(podFailurePolicy={"rules": [{"action": action, **rule}]})


@pytest.mark.parametrize(("operator", "values", "code", "matches"), [
    ("In", [1, 42], 42, True), ("In", [1], 42, False), ("NotIn", [1], 42, True), ("NotIn", [42], 42, False),
    ("NotIn", [1], 0, False),
])  # fmt: skip
def test_exit_codes(operator: str, values: list[int], code: int, matches: bool) -> None:
    owner = policy("FailJob", onExitCodes={"operator": operator, "values": values})
    judgement = failures.judged(owner, ended(pod("p"), "Failed", code))
    assert judgement.action == ("FailJob" if matches else "")
    if matches:
        assert judgement.message == (
            f"Container main for pod default/p failed with exit code {code} matching FailJob rule at index 0"
        )


def test_an_exit_code_may_be_asked_of_one_container() -> None:
    owner = policy("Ignore", onExitCodes={"containerName": "other", "operator": "In", "values": [1]})
    assert failures.judged(owner, ended(pod("p"), "Failed", 1)).counts


def test_conditions() -> None:
    owner = policy("Ignore", onPodConditions=[{"type": "DisruptionTarget", "status": "True"}])
    failed = ended(pod("p"), "Failed", 1)
    assert failures.judged(owner, failed).counts
    failed["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    assert not failures.judged(owner, failed).counts
    owner = policy("FailJob", onPodConditions=[{"type": "DisruptionTarget"}])
    message = "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0"
    assert failures.judged(owner, failed).message == message


def test_the_first_rule_that_matches_decides() -> None:
    rules = [
        {"action": "Count", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [4]}},
    ]
    owner = job(podFailurePolicy={"rules": rules})
    actions = [failures.judged(owner, ended(pod("p"), "Failed", code)).action for code in (3, 4, 5)]
    assert actions == ["Count", "", "FailJob"]


def test_a_deleted_pod_has_failed_unless_only_phases_count() -> None:
    going = pod("p", ip="127.244.0.1", deleting=True)
    assert failures.has_failed(job(podReplacementPolicy="TerminatingOrFailed"), going)
    assert not failures.has_failed(job(podReplacementPolicy="Failed"), going)
    assert not failures.has_failed(job(), {**going, "status": {"phase": "Succeeded"}})


def test_each_failure_in_a_row_doubles_the_delay() -> None:
    delays = [failures.delay(row).total_seconds() for row in (0, 1, 2, 3, 6, 7, 8, 50)]
    assert delays == [0, 10, 20, 40, 320, 600, 600, 600]


def test_a_success_ends_the_row() -> None:
    def at(minute: int, phase: str) -> Object:
        return ended(pod(f"p{minute}"), phase, 1, f"2026-01-01T00:0{minute}:00Z")

    row = [at(1, "Failed"), at(2, "Failed")]
    assert failures.next_try_at(job(), row) == NOW + timedelta(minutes=2, seconds=20)
    assert failures.next_try_at(job(), [*row, at(3, "Succeeded")]) is None
    assert failures.next_try_at(job(), [*row, at(3, "Succeeded"), at(4, "Failed")]) == NOW + timedelta(
        minutes=4, seconds=10
    )


def test_a_pod_ended_with_its_last_container_or_sidecar() -> None:
    def over(name: str, minute: int) -> Object:
        return {"name": name, "state": {"terminated": {"exitCode": 1, "finishedAt": f"2026-01-01T00:0{minute}:00Z"}}}

    obj = pod("p")
    obj["spec"]["initContainers"] = [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]
    obj["status"] = {
        "phase": "Failed",
        "containerStatuses": [over("main", 1)],
        "initContainerStatuses": [over("setup", 9), over("proxy", 3)],
    }
    assert failures.finished_at(obj) == NOW + timedelta(minutes=3)


def test_without_containers_a_pod_ended_when_it_was_last_seen_to_be_unready() -> None:
    obj = pod("p")
    obj["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:05:00Z"}
    obj["status"] = {"phase": "Failed", "conditions": [ready]}
    assert failures.finished_at(obj) == NOW, "a pod that is ready has not ended then"
    obj["metadata"] |= {"deletionTimestamp": "2026-01-01T00:03:00Z", "deletionGracePeriodSeconds": 30}
    assert failures.finished_at(obj) == NOW + timedelta(minutes=2, seconds=30), "the deletion began"
    ready["status"] = "False"
    assert failures.finished_at(obj) == NOW + timedelta(minutes=5)
