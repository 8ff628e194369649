"""Balancing by annotation: on Services, on Ingresses, and what both say together."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.objects import Key
from control.mirror.world import World
from control.publish.balancing import POLICIES, Balancing, balancing_of, weights_of
from control.publish.build import build
from control.publish.endpoints import Pieces
from control.publish.service import build_service
from control.publish.unit import Built, Config
from dataplane.snapshot.model import Backend, Endpoint
from tests.fakes.cluster_objects import endpoint, ingress, ingress_class, path, rule, service, slice_


def annotated(**annotations: str) -> dict[str, str]:
    return {f"loopkube.io/{name.replace('_', '-')}": text for name, text in annotations.items()}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, {}),
        ({"balance": "peak-ewma"}, {"policy": "peak-ewma"}),
        ({"balance": "maglev", "hash_on": "$host$uri"}, {"policy": "maglev", "hash_on": "$host$uri"}),
        ({"slow_start": "30s"}, {"slow_start_s": 30.0}),
        ({"slow_start": " 2.5 "}, {"slow_start_s": 2.5}),
        ({"outlier_ejection": "5"}, {"eject_after": 5}),
        ({"outlier_ejection": "3 10s"}, {"eject_after": 3, "eject_s": 10.0}),
        ({"retry_budget": "20%"}, {"retry_budget": 0.2}),
        ({"retry_budget": "12.5% 3/s"}, {"retry_budget": 0.125, "retries_min_per_s": 3.0}),
    ],
)
def test_what_can_be_asked_for(annotations: dict[str, str], expected: dict[str, Any]) -> None:
    made = service("web", annotations=annotated(**annotations))
    built = Built(made)
    assert balancing_of(made, built) == Balancing(**expected)
    assert built.notes == []


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_of_the_contract_can_be_chosen(policy: str) -> None:
    assert balancing_of(service("web", annotations=annotated(balance=policy))).policy == policy


@pytest.mark.parametrize(
    ("annotations", "why"),
    [
        ({"balance": "best"}, "is none of random, round-robin"),
        ({"balance": "maglev", "hash_on": "$request_id"}, "has no such variable: $request_id"),
        ({"balance": "random", "hash_on": "$uri"}, "random hashes nothing"),
        ({"slow_start": "soon"}, "is no number of seconds"),
        ({"outlier_ejection": "many"}, "is no number of failures"),
        ({"outlier_ejection": "5 0s"}, "is no number of failures"),
        ({"retry_budget": "0.2"}, "is no percentage"),
        ({"weights": "web-*"}, "is no list of PATTERN=WEIGHT"),
        ({"weights": "web-*=0"}, "with weights from 1 to 256"),
        ({"weights": "web-*=257"}, "with weights from 1 to 256"),
    ],
)
def test_what_makes_no_sense_is_said(annotations: dict[str, str], why: str) -> None:
    found = build_service(
        World.of([service("web", annotations=annotated(**annotations))]), Key("a", "web"), Config(), ()
    )
    assert [note.reason for note in found.notes] == ["BadAnnotation"]
    assert why in found.notes[0].message


def test_an_ingress_says_more_and_the_service_the_rest() -> None:
    state = build(
        World.of(
            [
                ingress_class(),
                service("web", annotations=annotated(balance="least-request", slow_start="9")),
                ingress("i", rule("h", path("web")), annotations=annotated(outlier_ejection="4")),
                ingress("j", rule("g", path("web")), annotations=annotated(balance="maglev")),
            ]
        ),
        Config(),
    )
    backends = {item.name: item for item in state.values() if isinstance(item, Backend)}
    found = {name: (item.policy, item.slow_start_s, item.eject_after) for name, item in backends.items()}
    assert found == {
        "a/web:80": ("least-request", 9.0, 0),
        "a/web:80@ingress/i": ("least-request", 9.0, 4),
        "a/web:80@ingress/j": ("maglev", 9.0, 0),
    }


def test_weights_go_by_the_names_of_pods_and_follow_the_annotation() -> None:
    pods = slice_("s", "web", [endpoint("127.244.0.2", "web-v2-x"), endpoint("127.244.0.3", "web-v1-y")])
    pieces = Pieces()

    def weights(text: str) -> dict[str, int]:
        made = service("web", annotations=annotated(weights=text) if text else None)
        found = build_service(World.of([made, pods]), Key("a", "web"), Config(), (), pieces)
        return {item.target: item.weight for item in found.resources.values() if isinstance(item, Endpoint)}

    assert weights("") == {"a/web-v2-x": 1, "a/web-v1-y": 1}
    assert weights("web-v2-*=1, *=9") == {"a/web-v2-x": 1, "a/web-v1-y": 9}
    assert weights("web-v2-*=3") == {"a/web-v2-x": 3, "a/web-v1-y": 1}
    assert weights("") == {"a/web-v2-x": 1, "a/web-v1-y": 1}


def test_weights_are_an_ordered_list() -> None:
    made = service("web", annotations=annotated(weights=" a-*=2 ,b=3, "))
    assert weights_of(made, Built(made)) == (("a-*", 2), ("b", 3))
