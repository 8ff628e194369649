"""CategorizeEndpoints without topology, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.balance.backend import Endpoint
from dataplane.balance.usable import Phase, phase_of, usable
from tests.fakes.contract import endpoint


@pytest.mark.parametrize(
    ("ready", "serving", "terminating", "phase"),
    [
        (True, True, False, "ready"),
        (True, False, False, "ready"),  # publishNotReadyAddresses
        (True, True, True, "ready"),  # publishNotReadyAddresses, too
        (False, True, True, "serving-terminating"),
        (False, False, True, "terminating"),
        (False, True, False, "not-ready"),
        (False, False, False, "not-ready"),
    ],
)
def test_three_conditions_name_one_phase(ready: bool, serving: bool, terminating: bool, phase: Phase) -> None:
    assert phase_of(ready=ready, serving=serving, terminating=terminating) == phase


CONDITIONS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=6)


@settings(max_examples=80)
@given(CONDITIONS, st.booleans())
def test_ready_ones_else_serving_terminating_ones_else_none(
    conditions: list[tuple[bool, bool, bool]], reads_terminating: bool
) -> None:
    endpoints = [
        Endpoint(endpoint(str(index), ready=ready, serving=serving, terminating=terminating))
        for index, (ready, serving, terminating) in enumerate(conditions)
    ]
    ready = [item for item in endpoints if item.spec.ready]
    fallback = [item for item in endpoints if not item.spec.ready and item.spec.serving and item.spec.terminating]
    expected = ready if ready or not reads_terminating else fallback
    assert list(usable(endpoints, reads_terminating=reads_terminating)) == expected
