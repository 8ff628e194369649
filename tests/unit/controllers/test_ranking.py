"""The order in which pods are given up: each rule decides where those before it are equal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.api.objects import Object, name_of
from control.controllers.ranking import DELETION_COST, deletion_cost, to_delete
from tests.fakes.objects import pod
from tests.fakes.tiny_api import START

NOW = START + timedelta(hours=1)


def running(name: str, **more: object) -> Object:
    return pod(name, ip="127.244.0.1", ready=True, node="n0", **more)  # type: ignore[arg-type]


def costing(name: str, cost: str) -> Object:
    obj = running(name)
    obj["metadata"]["annotations"] = {DELETION_COST: cost}
    return obj


def restarted(name: str, count: int) -> Object:
    obj = running(name)
    obj["status"]["containerStatuses"] = [{"restartCount": count}]
    return obj


def created(name: str, at: str) -> Object:
    obj = running(name)
    obj["metadata"]["creationTimestamp"] = at
    return obj


@pytest.mark.parametrize(
    ("victim", "survivor"),
    [
        (pod("b"), pod("a", node="n0")),  # unassigned
        (pod("b", node="n0"), pod("a", node="n0", phase="Unknown")),
        (pod("b", node="n0", phase="Unknown"), pod("a", node="n0", phase="Running")),
        (pod("b", node="n0", ip="127.244.0.1"), running("a")),  # not ready
        (costing("b", "-5"), running("a")),
        (costing("b", "1"), costing("a", "2")),
        (running("b", ready_since="2026-01-01T00:50:00Z"), running("a")),
        (restarted("b", 3), restarted("a", 1)),
        (created("b", "2026-01-01T00:50:00Z"), running("a")),
        (running("a"), running("b")),  # by UID
    ],
)
def test_the_smaller_loss_goes_first(victim: Object, survivor: Object) -> None:
    for pods in ([victim, survivor], [survivor, victim]):
        assert to_delete(pods, 1, pods, NOW) == [victim]


def test_of_doubled_up_pods_one_goes_first() -> None:
    lonely, doubled = running("a"), running("b")
    lonely["spec"]["nodeName"] = "n1"
    related = [lonely, doubled, running("sibling")]
    assert [name_of(each) for each in to_delete([lonely, doubled], 1, related, NOW)] == ["b"]


def test_pods_of_a_similar_age_are_equal() -> None:
    """Ages of 3,599 and 3,000 seconds lie between the same powers of two: the UID decides, not the youth."""
    young = created("b", "2026-01-01T00:10:00Z")
    assert to_delete([created("a", "2026-01-01T00:00:01Z"), young], 1, [], NOW) != [young]


@pytest.mark.parametrize(("text", "cost"), [("7", 7), ("-7", -7), ("x", 0), ("2147483648", 0), ("", 0)])
def test_a_cost_is_a_32_bit_integer(text: str, cost: int) -> None:
    assert deletion_cost(costing("a", text)) == cost
