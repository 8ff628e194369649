"""A disruption that was announced and never came is taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.api.kinds import POD
from control.api.objects import Key, Object, condition_of, format_time
from control.controllers.action import SETTLED, Outcome
from control.controllers.staledisruption import TIMEOUT, StaleDisruptionController
from tests.fakes.objects import pod
from tests.fakes.tiny_api import START, Cluster


def announced(reason: str = "EvictionByEvictionAPI", status: str = "True", **more: object) -> Object:
    obj = pod("a", ip="127.244.0.1", ready=True)
    target = {"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": format_time(START)}
    obj["status"]["conditions"].append(target)
    obj["metadata"].update(more)
    return obj


def act(cluster: Cluster) -> Outcome:
    outcome = StaleDisruptionController().reconcile(cluster.world, Key("default", "a"), cluster.now)
    cluster.perform(outcome.actions)
    return outcome


def test_it_waits_two_minutes_and_takes_it_back() -> None:
    cluster = Cluster()
    cluster.add(announced())
    assert act(cluster) == Outcome((), START + TIMEOUT)
    cluster.now = START + TIMEOUT
    act(cluster)
    condition = condition_of(cluster.get(POD, "a"), "DisruptionTarget") or {}
    assert (condition["status"], condition["lastTransitionTime"]) == ("False", format_time(START + TIMEOUT))
    assert not condition.get("reason")
    assert (condition_of(cluster.get(POD, "a"), "Ready") or {})["status"] == "True"
    assert act(cluster) == SETTLED


@pytest.mark.parametrize(
    "obj",
    [
        announced("TerminationByKubelet"),
        announced(status="False"),
        announced(deletionTimestamp=format_time(START), deletionGracePeriodSeconds=30),
        {**announced(), "status": {**announced()["status"], "phase": "Failed"}},
        pod("a"),
    ],
)
def test_others_are_nobodys_business(obj: Object) -> None:
    cluster = Cluster()
    cluster.add(obj)
    cluster.now = START + timedelta(hours=1)
    assert act(cluster) == SETTLED
    assert list(StaleDisruptionController().watches[POD](cluster.world, obj)) == []
