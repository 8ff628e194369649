"""The page of the controllers' numbers."""

from __future__ import annotations

from control.apiserver.numbers import CONTENT_TYPE, exposition
from tests.fakes.cluster import cluster

TALLY = {"reconciles": 7, "failures": 1, "conflicts": 2, "queue_added": 9, "queue_length": 3, "actions": {"Create": 4}}


def test_each_controller_has_a_line_in_each_family() -> None:
    text = exposition(lambda: {"b": TALLY, "a": {**TALLY, "reconciles": 5}}).decode()
    assert 'loopkube_reconciles_total{controller="a"} 5\nloopkube_reconciles_total{controller="b"} 7\n' in text
    for line in ("loopkube_reconcile_failures_total{controller=\"b\"} 1", 'workqueue_depth{name="b"} 3',
                 'workqueue_adds_total{name="b"} 9', 'loopkube_reconcile_conflicts_total{controller="b"} 2',
                 "# TYPE workqueue_depth gauge"):  # fmt: skip
        assert line + "\n" in text


async def test_the_server_shows_it() -> None:
    async with cluster() as api:
        reply = await api.get("/metrics")
        assert (reply.status, reply.answer.content_type) == (200, CONTENT_TYPE)
        assert "/metrics" in (await api.get("/")).body["paths"]
