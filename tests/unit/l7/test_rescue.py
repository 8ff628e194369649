"""What failures mean, as a table, and laws over all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.l7.rescue import ANSWERS, Failure, Verdict, passes_over, verdict
from dataplane.metrics.flows import OUTCOMES
from dataplane.snapshot.model import Backend, Retry, RetryCause

NGINX = Backend("b", retry="ingress-nginx", tries_max=3)
FRESH_GET: dict[str, Any] = {
    "spec": NGINX,
    "tries": 1,
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
        ("connect_refused", {"spec": replace(NGINX, retry="kube-proxy")}, "no", 502),
        ("connect_refused", {"spec": Backend("b")}, "no", 502),
        ("connect_refused", {"tries": 3}, "no", 502),
        ("connect_timeout", {"idempotent": False}, "next", 504),
        ("reset_before_head", {}, "next", 502),
        ("reset_before_head", {"idempotent": False}, "no", 502),
        ("reset_before_head", {"replayable": False}, "no", 502),
        ("reset_before_head", {"reused": True}, "same", 502),
        ("reset_before_head", {"reused": True, "spec": Backend("b")}, "same", 502),
        ("reset_before_head", {"reused": True, "idempotent": False}, "no", 502),
        ("reset_in_head", {"reused": True}, "next", 502),
        ("reset_in_body", {"answer_begun": True}, "no", 0),
        ("response_timeout", {}, "next", 504),
        ("response_timeout", {"idempotent": False}, "no", 504),
        ("bad_response", {}, "no", 502),
        ("bad_response", {"spec": replace(NGINX, retry_on=("invalid_header",))}, "next", 502),
        ("connect_refused", {"spec": replace(NGINX, retry_on=("timeout",))}, "no", 502),
        ("connect_refused", {"spec": replace(NGINX, tries_max=0), "tries": 9}, "next", 502),
        ("reset_before_head", {"idempotent": False, "spec": replace(NGINX, retries_any_method=True)}, "next", 502),
        ("connect_refused", {"spec": replace(NGINX, retry_timeout_s=5.0), "took_s": 4.0}, "next", 502),
        ("connect_refused", {"spec": replace(NGINX, retry_timeout_s=5.0), "took_s": 5.0}, "no", 502),
        ("unprocessed", {"reused": True, "idempotent": False, "spec": Backend("b")}, "same", 503),
        ("unprocessed", {"reused": True, "replayable": False}, "no", 503),
        ("unprocessed", {"idempotent": False}, "next", 503),
        ("unprocessed", {"spec": Backend("b")}, "no", 503),
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
        facts: dict[str, Any] = {
            "spec": Backend(
                "b",
                retry=draw(st.sampled_from(get_args(Retry))),
                tries_max=draw(st.integers(1, 4)),
                retry_on=tuple(draw(st.sets(st.sampled_from(get_args(RetryCause))))),
            ),
            "tries": draw(st.integers(1, 4)),
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
        assert verdict.status in (404, 421, 502, 503, 504)
    if verdict.again == "next":
        assert facts["spec"].retry == "ingress-nginx"
        assert facts["tries"] < facts["spec"].tries_max
    if verdict.again != "no" and not failure.startswith("connect"):
        assert facts["idempotent"] or failure == "unprocessed"
        assert facts["replayable"]


def test_every_failure_has_an_answer() -> None:
    assert set(ANSWERS) == set(get_args(Failure))


@pytest.mark.parametrize(
    ("status", "spec", "idempotent", "passed_over"),
    [
        (502, NGINX, True, False),
        (502, replace(NGINX, retry_on=("http_502",)), True, True),
        (502, replace(NGINX, retry_on=("http_502",)), False, False),
        (502, replace(NGINX, retry_on=("http_502",), retries_any_method=True), False, True),
        (500, replace(NGINX, retry_on=("http_502",)), True, False),
        (418, replace(NGINX, retry_on=("http_502",)), True, False),
        (502, replace(NGINX, retry="none", retry_on=("http_502",)), True, False),
    ],
)
def test_an_answer_is_passed_over_if_its_status_is_a_cause(
    status: int, spec: Backend, idempotent: bool, passed_over: bool
) -> None:
    assert passes_over(status, spec, tries=1, idempotent=idempotent, replayable=True) is passed_over
