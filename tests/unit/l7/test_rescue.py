"""What failures mean, as a table, and laws over all of them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.l7.rescue import ANSWERS, Failure, Verdict, verdict
from dataplane.metrics.flows import OUTCOMES
from dataplane.snapshot.model import Retry

FRESH_GET: dict[str, Any] = {
    "policy": "ingress-nginx",
    "tries": 1,
    "tries_max": 3,
    "idempotent": True,
    "replayable": True,
    "answer_begun": False,
    "reused": False,
}


@pytest.mark.parametrize(
    ("failure", "changes", "again", "status"),
    [
        ("connect_refused", {}, "next", 502),
        ("connect_refused", {"idempotent": False}, "next", 502),
        ("connect_refused", {"policy": "kube-proxy"}, "no", 502),
        ("connect_refused", {"policy": "none"}, "no", 502),
        ("connect_refused", {"tries": 3}, "no", 502),
        ("connect_timeout", {"idempotent": False}, "next", 504),
        ("reset_before_head", {}, "next", 502),
        ("reset_before_head", {"idempotent": False}, "no", 502),
        ("reset_before_head", {"replayable": False}, "no", 502),
        ("reset_before_head", {"reused": True}, "same", 502),
        ("reset_before_head", {"reused": True, "policy": "none"}, "same", 502),
        ("reset_before_head", {"reused": True, "idempotent": False}, "no", 502),
        ("reset_in_head", {"reused": True}, "next", 502),
        ("reset_in_body", {"answer_begun": True}, "no", 0),
        ("response_timeout", {}, "next", 504),
        ("response_timeout", {"idempotent": False}, "no", 504),
        ("bad_response", {}, "no", 502),
        ("no_route", {}, "no", 404),
        ("no_endpoint", {}, "no", 503),
        ("pool_full", {}, "no", 503),
        ("pool_timeout", {}, "no", 503),
        ("no_socket", {}, "no", 503),
    ],
)
def test_a_failure_is_answered_or_tried_again(
    failure: Failure, changes: dict[str, Any], again: str, status: int
) -> None:
    found = verdict(failure, **(FRESH_GET | changes))
    assert (found.again, found.status) == (again, status)


def any_verdict() -> st.SearchStrategy[tuple[Failure, dict[str, Any], Verdict]]:
    @st.composite
    def build(draw: st.DrawFn) -> tuple[Failure, dict[str, Any], Verdict]:
        failure: Failure = draw(st.sampled_from(get_args(Failure)))
        facts = {
            "policy": draw(st.sampled_from(get_args(Retry))),
            "tries": draw(st.integers(1, 4)),
            "tries_max": draw(st.integers(1, 4)),
            **{name: draw(st.booleans()) for name in ("idempotent", "replayable", "answer_begun", "reused")},
        }
        return failure, facts, verdict(failure, **facts)

    return build()


@given(any_verdict())
def test_laws_of_every_verdict(found: tuple[Failure, dict[str, Any], Verdict]) -> None:
    failure, facts, verdict = found
    assert verdict.outcome in OUTCOMES
    if facts["answer_begun"]:
        assert (verdict.again, verdict.status) == ("no", 0)
    else:
        assert verdict.status in (404, 502, 503, 504)
    if verdict.again == "next":
        assert facts["policy"] == "ingress-nginx"
        assert facts["tries"] < facts["tries_max"]
    if verdict.again != "no" and not failure.startswith("connect"):
        assert facts["idempotent"]
        assert facts["replayable"]


def test_every_failure_has_an_answer() -> None:
    assert set(ANSWERS) == set(get_args(Failure))
