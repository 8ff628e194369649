"""Counting, attributing and telling: from samples, flows and pod events to the report."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lab.attribute import attribute, by_phase
from bench.lab.experiment import Step, conclude
from bench.lab.page import page
from bench.lab.report import text
from bench.lab.samples import Sample, outcome_of_error, who_answered
from bench.lab.scenario import warnings
from bench.lab.stats import between, count, percentile
from bench.lab.timeline import Timeline


def sample(due_at: float, outcome: str = "ok", status: int = 200, **more: Any) -> Sample:
    return Sample(due_at, more.pop("latency_s", 0.01), more.pop("regime", "new"), outcome, status, **more)  # type: ignore[arg-type]


def flow(at: float, status: int = 502, phase: tuple[str, str] = ("ready", "not-ready"), **more: Any) -> dict[str, Any]:
    return {
        "at": at, "status": status, "target": "demo/a", "phase_at_pick": phase[0], "phase_at_end": phase[1],
        "outcome": "reset", **more,
    }  # fmt: skip


def pod(name: str, *, ready: bool, deleting: bool = False, phase: str = "Running", restarts: int = 0) -> dict[str, Any]:
    return {
        "metadata": {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {})},
        "spec": {"containers": [{"image": "loopkube/echo:v1"}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_has_its_share_at_or_below_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


def test_a_count_adds_up() -> None:
    samples = [sample(0, pod="a", version="v1"), sample(1, pod="b", version="v2"), sample(2, "refused", 0)]
    found = count(samples)
    assert (found.sent, found.answered, found.lost) == (3, 2, 1)
    assert found.losses == {"refused": 1}
    assert found.by_version == {"v1": 1, "v2": 1}
    assert [s.due_at for s in between(samples, 1, 2)] == [1]


def test_failures_have_the_names_that_a_client_would_give_them() -> None:
    assert outcome_of_error(ConnectionRefusedError()) == "refused"
    assert outcome_of_error(ConnectionResetError()) == "reset"
    assert outcome_of_error(None) == "reset"
    assert outcome_of_error(TimeoutError()) == "timeout"
    assert outcome_of_error(ValueError("x")) == "bad"
    assert who_answered(b'{"x":1,"pod":"p-1","version":"v2"}') == ("p-1", "v2")


def test_a_loss_is_given_to_the_nearest_flow_of_its_status_and_to_no_other_twice() -> None:
    lost = [sample(10.0, "5xx", 502), sample(10.001, "5xx", 502), sample(10.0, "5xx", 503), sample(90.0, "reset", 0)]
    flows = [flow(10.012), flow(10.009), flow(10.01, 503, ("ready", "ready")), flow(10.0, 200, outcome="ok")]
    losses = attribute(lost, flows)
    assert by_phase(losses) == {"ready -> not-ready": 2, "ready": 1, "unattributed": 1}
    assert [loss.target for loss in losses] == ["demo/a", "demo/a", "demo/a", ""]


def test_losses_faster_than_the_clients_notice_are_all_attributed() -> None:
    flows = [flow(number * 0.005, target=f"demo/{number}") for number in range(200)]
    lost = [sample(number * 0.005, "5xx", 502, latency_s=0.007) for number in range(200)]
    assert [loss.target for loss in attribute(lost, flows)] == [f"demo/{number}" for number in range(200)]


def test_a_flow_that_nobody_missed_is_left_out() -> None:
    assert attribute([sample(10.0, "5xx", 502)], [flow(9.0), flow(10.01, target="demo/b")])[0].target == "demo/b"


def test_a_life_is_made_of_phases() -> None:
    timeline = Timeline()
    for now, kind, obj in [
        (1.0, "ADDED", pod("a", ready=False, phase="Pending")),
        (2.0, "MODIFIED", pod("a", ready=False)),
        (3.0, "MODIFIED", pod("a", ready=True)),
        (3.5, "MODIFIED", pod("a", ready=True)),
        (4.0, "MODIFIED", pod("a", ready=False, restarts=1)),
        (5.0, "MODIFIED", pod("a", ready=True, deleting=True)),
        (6.0, "DELETED", pod("a", ready=False, deleting=True)),
        (7.0, "BOOKMARK", {}),
    ]:
        timeline.observe({"type": kind, "object": obj}, now)
    life = timeline.lives["a"]
    expected = ["pending", "starting", "ready", "not-ready", "terminating", "gone"]
    assert [phase for _, phase in life.phases] == expected
    assert life.restarts == [4.0]
    assert (life.phase_at(0.5), life.phase_at(3.7), life.phase_at(9)) == (None, "ready", "gone")


@pytest.fixture
def lives() -> Timeline:
    timeline = Timeline()
    timeline.observe({"type": "ADDED", "object": pod("echo-<1>", ready=True)}, 0.0)
    timeline.observe({"type": "MODIFIED", "object": pod("echo-<1>", ready=True, restarts=1)}, 7.0)
    return timeline


def test_the_report_says_where_what_was_lost(lives: Timeline) -> None:
    samples = [sample(at / 10, pod="echo-<1>", version="v1") for at in range(100)] + [sample(7.0, "5xx", 502)]
    steps = [Step("rolling update", 0, 5, "3 pods replaced"), Step("kill -9", 5, 10, "killed")]
    result = conclude("demo", 10, steps, samples, [flow(7.01)], list(lives.lives.values()), 0.002)
    assert result.step("rolling update").count.lost == 0
    assert result.step("kill -9").lost_by_phase == {"ready -> not-ready": 1}
    said = text(result)
    assert "kill -9                      1  1 5xx                   1 new                 1 ready -> not-ready" in said
    assert "of 1 demo/a" in said
    assert "Served by version v1: 100" in said
    shown = page(result)
    assert "echo-&lt;1&gt;" in shown
    assert "echo-<1>" not in shown
    assert "$" not in shown
    assert result.as_json()["losses"][0]["phase"] == "ready -> not-ready"


def test_a_run_without_losses_says_so(lives: Timeline) -> None:
    result = conclude("demo", 1, [Step("baseline", 0, 2)], [sample(1)], [], list(lives.lives.values()), 0)
    assert "No request was lost." in text(result)


def test_warning_events_become_notes() -> None:
    events = [
        {"type": "Warning", "reason": "Unhealthy", "message": "Readiness probe failed: 503\nmore", "count": 3},
        {"type": "Warning", "reason": "Unhealthy", "message": "Readiness probe failed: 503"},
        {"type": "Normal", "reason": "Started", "message": "Container started"},
    ]
    assert warnings({"items": events}) == ["4 × Unhealthy: Readiness probe failed: 503"]
