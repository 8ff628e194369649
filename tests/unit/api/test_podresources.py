"""Sums over a pod's containers, exactly."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control.api.podresources import amounts_of, largest, minus, plus, total
from control.api.quantity import parse

AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "example.com/gpu"]), st.integers(0, 9).map(str))


def container(restart: str = "", limits: dict[str, str] | None = None, **requests: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "c", "resources": {"requests": requests, "limits": limits or {}}}
    return {**made, "restartPolicy": restart} if restart else made


def texts(spec: dict[str, Any], side: Any = "requests") -> dict[str, str]:
    return {name: str(amount) for name, amount in total(spec, side).items()}


def test_containers_add_up_and_init_containers_take_turns() -> None:
    spec: dict[str, Any] = {"containers": [container(cpu="0.1", memory="1Mi"), container(cpu="200m")]}
    assert texts(spec) == {"cpu": "300m", "memory": "1Mi"}
    spec["initContainers"] = [container(cpu="1"), container("Always", cpu="50m"), container(cpu="2")]
    assert texts(spec)["cpu"] == "2050m"
    spec["initContainers"] = [container("Always", cpu="50m")]
    assert texts(spec)["cpu"] == "350m"


def test_overhead_comes_on_top_but_makes_no_limit() -> None:
    spec: dict[str, Any] = {
        "containers": [container(cpu="1", limits={"cpu": "2"})],
        "overhead": {"cpu": "10m", "memory": "1Mi"},
    }
    assert texts(spec) == {"cpu": "1010m", "memory": "1Mi"}
    assert texts(spec, "limits") == {"cpu": "2010m"}


def test_what_the_pod_says_for_itself_counts() -> None:
    spec: dict[str, Any] = {"containers": [container(cpu="1")], "resources": {"requests": {"cpu": "3"}}}
    assert texts(spec) == {"cpu": "3"}


def test_parts_are_not_rounded_before_they_are_summed() -> None:
    spec: dict[str, Any] = {"containers": [container(cpu="0.0004"), container(cpu="0.0004")]}
    assert total(spec, "requests")["cpu"].milli == 1


@given(AMOUNTS, AMOUNTS)
def test_what_is_added_can_be_taken_away(a: dict[str, str], b: dict[str, str]) -> None:
    left, right = amounts_of(a), amounts_of(b)
    back = minus(plus(left, right), right)
    assert {name: amount.nano for name, amount in back.items() if amount.nano} == {
        name: amount.nano for name, amount in left.items() if amount.nano
    }
    most = largest(left, right)
    assert all(most[name].nano == max(parse(a.get(name, "0")).nano, parse(b.get(name, "0")).nano) for name in most)
