"""Which volume a claim gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.objects import Object, name_of
from control.api.storage import capacity, requested
from control.controllers.volumematch import best, mismatch, reaches
from tests.fakes.objects import node
from tests.fakes.volumes import claim, node_affinity, volume


def free(name: str = "disk", size: str = "1Gi", storage_class: str = "standard", **spec: Any) -> Object:
    return {**volume(name, size, storage_class, **spec), "status": {"phase": "Available"}}


def chosen(wish: Object, *volumes: Object, **how: Any) -> str:
    found = best(wish, volumes, **how)
    return name_of(found) if found else ""


def test_the_smallest_that_is_large_enough() -> None:
    assert chosen(claim(size="2Gi"), free("a", "1Gi"), free("b", "4Gi"), free("c", "3Gi"), free("d", "3Gi")) == "c"


@pytest.mark.parametrize(
    "other",
    [
        free(size="1Mi"),
        free(storage_class="fast"),
        free(volumeMode="Block"),
        free(accessModes=["ReadOnlyMany"]),
        free(claimRef={"namespace": "default", "name": "other"}),
        free(claimRef={"namespace": "default", "name": "data", "uid": "an-earlier-one"}),
        {**free(), "status": {"phase": "Released"}},
        {**free(), "metadata": {"name": "disk", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
def test_what_does_not_suit(other: Object) -> None:
    assert chosen(claim(), other) == ""


def test_labels_select() -> None:
    labelled = free("b")
    labelled["metadata"]["labels"] = {"tier": "gold"}
    assert chosen(claim(selector={"matchLabels": {"tier": "gold"}}), free("a"), labelled) == "b"


def test_what_is_promised_is_taken_first_and_alone_where_the_scheduler_decides() -> None:
    promised = free("z", "9Gi", "other", claimRef={"namespace": "default", "name": "data"})
    assert chosen(claim(), free("a"), promised) == "z"
    assert chosen(claim(), free("a"), promised_only=True) == ""
    assert chosen(claim(), promised, promised_only=True) == "z"
    assert chosen(claim(), promised, in_reach=lambda volume: False) == ""


def test_what_another_claim_of_the_pod_takes_is_taken() -> None:
    assert chosen(claim(), free("a"), free("b"), taken={"a"}) == "b"


def test_reach_is_node_affinity() -> None:
    pinned = free(nodeAffinity=node_affinity("n1"))
    assert (reaches(pinned, node("n1")), reaches(pinned, node("n0")), reaches(free(), node("n0"))) == (
        True,
        False,
        True,
    )


def test_why_a_named_volume_does_not_suit() -> None:
    assert mismatch(claim(), free()) == ""
    assert mismatch(claim(size="2Gi"), free()) == "requested PV is too small"
    assert mismatch(claim(), free(storage_class="fast")) == "storageClassName does not match"
    assert mismatch(claim(), free(volumeMode="Block")) == "incompatible volumeMode"
    assert mismatch(claim(), free(accessModes=["ReadOnlyMany"])) == "incompatible accessMode"


@given(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=6))
def test_no_smaller_one_would_have_done(wish: int, sizes: list[int]) -> None:
    volumes = [free(f"v{index}", f"{size}Gi") for index, size in enumerate(sizes)]
    asked = claim(size=f"{wish}Gi")
    found = best(asked, volumes)
    fitting = [capacity(one) for one in volumes if capacity(one) >= requested(asked)]
    assert (capacity(found) if found else None) == min(fitting, default=None)
