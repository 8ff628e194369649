"""The arithmetic of autoscaling: cases of Kubernetes' documentation and of its replica calculator's behaviour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Object, format_time
from control.controllers.horizontalpodautoscaler.census import requests_of
from control.controllers.horizontalpodautoscaler.readings import Sample, Unreadable
from control.controllers.horizontalpodautoscaler.replicas import (
    Proposal,
    Tolerances,
    by_share,
    by_usage,
    by_utilization,
    by_value,
)
from control.controllers.horizontalpodautoscaler.tuning import KUBERNETES
from tests.fakes.objects import pod
from tests.fakes.tiny_api import START

NOW = START + timedelta(hours=1)
TENTH = Tolerances(0.1, 0.1)
HOT, COLD, GONE, UNREADY, PENDING = "hot", "cold", "gone", "unready", "pending"


def member(index: int, state: str, request: int = 1000) -> Object:
    """A pod: `hot` just started and ready for less than a window, `cold` not ready, `gone` ends, others as they say."""
    container = {"name": "a", "resources": {"requests": {"cpu": f"{request}m"}}}
    phase = "Pending" if state == PENDING else "Running"
    made = pod(f"p{index}", ip="127.244.0.1", phase=phase, deleting=state == GONE, containers=[container])
    status = "False" if state in (COLD, UNREADY) else "True"
    young = state in (HOT, COLD)
    started = NOW - timedelta(seconds=60) if young else START
    changed = NOW if state == HOT else started
    condition = {"type": "Ready", "status": status, "lastTransitionTime": format_time(changed)}
    made["status"] |= {"conditions": [condition], "startTime": format_time(started)}
    return made


def samples(values: list[int | None]) -> dict[str, Sample]:
    return {f"p{index}": Sample(value, NOW, 60.0) for index, value in enumerate(values) if value is not None}


# (states, milli of each, target percent, current replicas) -> (replicas, percent)
UTILIZATION: list[tuple[str, list[str], list[int | None], int, int, tuple[int, int]]] = [
    ("the documentation's doubling", ["", ""], [200, 200], 10, 2, (4, 20)),
    ("up, all ready", ["", "", ""], [300, 500, 700], 30, 3, (5, 50)),
    ("down, all ready", ["", "", "", "", ""], [100, 300, 500, 250, 250], 50, 5, (3, 28)),
    ("within the tolerance", ["", "", ""], [1010, 1030, 1020], 100, 3, (3, 102)),
    ("hot pods count as nothing on the way up", ["", HOT, HOT], [300, 500, 700], 15, 3, (3, 30)),
    ("pending pods as well", ["", "", PENDING], [500, 700, None], 30, 3, (4, 60)),
    ("pods that end do not count", ["", "", "", GONE], [500, 700, 900, 900], 50, 3, (5, 70)),
    ("missing pods lean against the way up", ["", ""], [400, None], 30, 2, (2, 40)),
    ("and against the way down", ["", "", ""], [100, 100, None], 50, 3, (3, 10)),
    ("a target above 100 % is what a missing pod is taken for", ["", "", ""], [100, 100, None], 150, 3, (2, 10)),
]


@pytest.mark.parametrize("case", UTILIZATION, ids=lambda case: case[0])
def test_by_utilization(case: Any) -> None:
    _, states, values, target, current, expected = case
    members = [member(index, state) for index, state in enumerate(states)]
    found = by_utilization(members, samples(values), "cpu", "", target, current, TENTH, NOW, KUBERNETES)
    assert (found.replicas, found.percent) == expected


def test_a_pod_that_was_ready_once_counts_even_if_it_is_not_now() -> None:
    """Only a pod that has never been ready is left out after the initialization period."""
    lapsed = member(1, UNREADY)
    lapsed["status"]["conditions"][0]["lastTransitionTime"] = format_time(NOW)
    found = by_utilization([member(0, ""), lapsed], samples([500, 700]), "cpu", "", 30, 2, TENTH, NOW, KUBERNETES)
    assert (found.replicas, found.percent) == (4, 60)
    never = by_utilization(
        [member(0, ""), member(1, UNREADY)], samples([500, 700]), "cpu", "", 30, 2, TENTH, NOW, KUBERNETES
    )
    assert (never.replicas, never.percent) == (2, 50)


def test_by_usage() -> None:
    members = [member(index, "") for index in range(3)]
    assert by_usage(members, samples([20, 10, 30]), "", 15, 3, TENTH, NOW, KUBERNETES) == Proposal(4, 20)
    assert by_usage(members, samples([20, None, 30]), "", 10, 3, TENTH, NOW, KUBERNETES).replicas == 5
    assert by_usage(members, samples([1, None, 1]), "", 10, 3, TENTH, NOW, KUBERNETES).replicas == 2


def test_by_value_and_by_share() -> None:
    members = [member(index, "") for index in range(3)]
    assert by_value(members, 20_000, 15_000, 3, TENTH) == Proposal(4, 20_000)
    assert by_value(members, 16_000, 15_000, 3, TENTH).replicas == 3
    assert by_value([], 20_000, 15_000, 0, TENTH).replicas == 2
    assert by_share(8600, 3000, 4, TENTH) == Proposal(3, 2150)
    assert by_share(8600, 2150, 4, TENTH).replicas == 4
    assert by_share(5, 2, 0, TENTH) == Proposal(3, 5)


def test_why_nothing_can_be_said() -> None:
    one = [member(0, "")]
    with pytest.raises(Unreadable, match="no pods returned by selector while calculating replica count"):
        by_usage([], samples([1]), "cpu", 10, 1, TENTH, NOW, KUBERNETES)
    with pytest.raises(Unreadable, match=r"did not receive metrics for targeted pods \(pods might be unready\)"):
        by_usage([member(0, COLD)], samples([1]), "cpu", 10, 1, TENTH, NOW, KUBERNETES)
    with pytest.raises(Unreadable, match="missing request for memory in container a of Pod p0"):
        by_utilization(one, samples([1]), "memory", "", 10, 1, TENTH, NOW, KUBERNETES)
    with pytest.raises(Unreadable, match="container b not found in Pod p0"):
        requests_of(one, "cpu", "b")


def test_requests_of_the_whole_pod_come_first() -> None:
    whole = member(0, "")
    whole["spec"]["resources"] = {"requests": {"cpu": "3"}}
    assert requests_of([whole], "cpu") == {"p0": 3000}
    assert requests_of([whole], "cpu", "a") == {"p0": 1000}
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}
    beside = member(1, "")
    beside["spec"]["initContainers"] = [sidecar, {"name": "init"}]
    assert requests_of([beside], "cpu") == {"p1": 1100}


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=6), st.integers(1, 200), st.data())
def test_more_load_never_asks_for_fewer(values: list[int], target: int, data: st.DataObject) -> None:
    """Monotone while every replica is measured: one pod using more never makes the proposal smaller."""
    members = [member(index, "") for index in range(len(values))]
    chosen = data.draw(st.integers(0, len(values) - 1))
    more = list(values)
    more[chosen] += data.draw(st.integers(0, 5000))

    def proposal(uses: list[int]) -> int:
        used = samples([*uses])
        return by_utilization(members, used, "cpu", "", target, len(uses), TENTH, NOW, KUBERNETES).replicas

    assert proposal(more) >= proposal(values)
