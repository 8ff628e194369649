"""What annotations say of a simulated pod."""

from __future__ import annotations

import pytest

from control.api.objects import Object
from control.kubelet.simulated.stage import Stage, seconds, stage_of


def annotated(**said: str) -> Object:
    return {"metadata": {"annotations": {f"loopkube.io/{name.replace('_', '-')}": text for name, text in said.items()}}}


def test_without_a_word_a_pod_runs_at_once_and_for_ever() -> None:
    assert stage_of(annotated(), annotated()) == Stage()


def test_the_pod_s_word_goes_before_the_node_s() -> None:
    stage = stage_of(annotated(ready_after="1s"), annotated(ready_after="9s", stop_after="2m"))
    assert (stage.ready_after_s, stage.stop_after_s) == (1.0, 120.0)


def test_a_job_s_pod_ends_at_once_unless_it_says_otherwise() -> None:
    owner = {"kind": "Job", "name": "j", "uid": "u", "controller": True}
    assert stage_of({"metadata": {"ownerReferences": [owner]}}, {}).exit_after_s == 0.0
    long = annotated(exit_after="1h")
    assert stage_of({"metadata": {**long["metadata"], "ownerReferences": [owner]}}, {}).exit_after_s == 3600.0


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("1.5", 1.5), ("500ms", 0.5), ("1m30s", 90), ("1h0.5m", 3630), (".5s", 0.5)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1 s", "5d", "nan", "inf", "1s2"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"ready": "maybe"}, "annotation loopkube.io/ready: 'maybe' is neither true nor false"),
        ({"exit_code": "256"}, "annotation loopkube.io/exit-code: '256' is not an exit code between 0 and 255"),
        ({"start_after": "x"}, "annotation loopkube.io/start-after: invalid duration 'x'"),
    ],
)
def test_what_cannot_be_read_counts_as_not_said(said: dict[str, str], complaint: str) -> None:
    assert stage_of(annotated(**said), {}) == Stage(complaints=(complaint,))


def test_who_says_what_it_uses_is_measured() -> None:
    assert stage_of(annotated(usage_cpu="100m"), {}).says_usage
    assert not stage_of(annotated(usage_cpu="much"), {}).says_usage
