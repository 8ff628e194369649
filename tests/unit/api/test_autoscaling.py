"""Autoscalers in two versions, their defaults, columns and faults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api import kinds
from control.api.autoscaling import BEHAVIOR, CONDITIONS, CURRENT_METRICS, METRICS, from_v1, to_v1
from control.api.decode import check
from control.api.objects import Object, copy_of
from control.api.rows import RESOURCES
from control.api.schema import schema_of
from tests.fakes.autoscalers import (
    autoscaler,
    container_resource,
    described,
    external,
    pods,
    resource,
    rules,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
V2, V1 = RESOURCES[kinds.HORIZONTAL_POD_AUTOSCALER], RESOURCES[kinds.HORIZONTAL_POD_AUTOSCALER_V1]
EVERY_METRIC = (
    resource(averageUtilization=50),
    resource("memory", averageValue="100Mi"),
    container_resource("app", averageUtilization=70),
    pods("http_requests_per_second", averageValue="10"),
    described("http_requests_per_second", value="100"),
    described("http_requests_per_second", averageValue="5"),
    external("http_requests_per_second", {"service": "web"}, value="30"),
    external("queue", averageValue="3"),
)


# --- versions -----------------------------------------------------------------------------------------------------


@given(st.permutations(EVERY_METRIC), st.booleans(), st.booleans())
def test_nothing_is_lost_between_the_versions(metrics: list[Object], behaves: bool, has_run: bool) -> None:
    """But the order: the CPU utilization, which v1 has a field for, goes last on the way back."""
    hpa = autoscaler("web", *metrics, behavior={"scaleUp": rules(("Pods", 1, 15))} if behaves else None)
    current = {"averageUtilization": 41, "averageValue": "41m"}
    hpa["status"] = {"currentReplicas": 2, "desiredReplicas": 3}
    if has_run:
        hpa["status"]["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
        hpa["status"]["conditions"] = [{"type": "AbleToScale", "status": "True"}]
    back = from_v1(to_v1(hpa))
    cpu = EVERY_METRIC[0]
    assert back["spec"].pop("metrics") == [each for each in metrics if each != cpu] + [cpu]
    hpa["spec"].pop("metrics")
    assert back == hpa


def test_v1_reads_as_v1() -> None:
    hpa = autoscaler("web", *EVERY_METRIC[:2], behavior={"scaleUp": rules(("Pods", 1, 15))})
    hpa["status"] = {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 41}}}],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    }
    seen = to_v1(hpa)
    assert check(copy_of(seen), schema_of(V1.definition)).unknown == []
    assert seen["apiVersion"] == "autoscaling/v1"
    assert seen["spec"]["targetCPUUtilizationPercentage"] == 50
    assert seen["status"] == {"currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 41}
    annotations = seen["metadata"]["annotations"]
    assert set(annotations) == {METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR}
    memory = {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "100Mi"}}
    assert orjson.loads(annotations[METRICS]) == [memory]


@pytest.mark.parametrize("text", ["{", "3", '"a"', "[3]"])
def test_an_annotation_that_cannot_be_read_is_dropped(text: str) -> None:
    hpa = {"metadata": {"annotations": {METRICS: text, "mine": "kept"}}, "spec": {"targetCPUUtilizationPercentage": 7}}
    back = from_v1(hpa)
    assert back["metadata"]["annotations"] == {"mine": "kept"}
    assert back["spec"]["metrics"][-1] == resource(averageUtilization=7)


# --- defaults -----------------------------------------------------------------------------------------------------


def test_an_autoscaler_without_metrics_goes_by_80_percent_cpu() -> None:
    for row in (V2, V1):
        hpa: Object = {"metadata": {}, "spec": {"maxReplicas": 3}}
        row.default(hpa)
        assert hpa["spec"]["minReplicas"] == 1
        meant = from_v1(hpa) if row is V1 else hpa
        assert meant["spec"]["metrics"] == [resource(averageUtilization=80)]


def test_behaviour_is_filled_in_only_if_something_is_said_about_it() -> None:
    silent, empty = autoscaler(), autoscaler(behavior={"scaleDown": {"policies": [{"type": "Pods"}]}})
    for hpa in (silent, empty):
        V2.default(hpa)
    assert "behavior" not in silent["spec"]
    assert empty["spec"]["behavior"] == {
        "scaleUp": rules(("Pods", 4, 15), ("Percent", 100, 15)),
        "scaleDown": {"policies": [{"type": "Pods"}], "selectPolicy": "Max"},
    }


# --- columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "current", "cell"),
    [
        (EVERY_METRIC[0], {}, "cpu: <unknown>/50%"),
        (EVERY_METRIC[0], {"averageUtilization": 0}, "cpu: 0%/50%"),
        (EVERY_METRIC[1], {"averageValue": "20Mi"}, "memory: 20Mi/100Mi"),
        (EVERY_METRIC[2], {"averageUtilization": 12}, "cpu: 12%/70%"),
        (EVERY_METRIC[3], {"averageValue": "2500m"}, "2500m/10"),
        (EVERY_METRIC[4], {"value": "1"}, "1/100"),
        (EVERY_METRIC[5], {"averageValue": "1"}, "1/5 (avg)"),
        (EVERY_METRIC[6], {}, "<unknown>/30"),
        (EVERY_METRIC[7], {"averageValue": "2"}, "2/3 (avg)"),
    ],
)
def test_a_target_shows_what_is_and_what_should_be(metric: Object, current: Object, cell: str) -> None:
    hpa = autoscaler("web", metric)
    source = next(name for name in metric if name != "type")
    hpa["status"] = {"currentMetrics": [{"type": metric["type"], source: {"current": current}}], "currentReplicas": 2}
    for row, seen in ((V2, hpa), (V1, to_v1(hpa))):
        cells = [column.cell(seen, NOW) for column in row.columns]
        assert cells[:6] == ["web", "Deployment/web", cell, "1", 10, 2]


def test_of_many_targets_two_are_shown() -> None:
    cells = [column.cell(autoscaler("web", *EVERY_METRIC[:4]), NOW) for column in V2.columns]
    assert cells[2] == "cpu: <unknown>/50%, memory: <unknown>/100Mi + 2 more..."


# --- faults -------------------------------------------------------------------------------------------------------


def faults_of(hpa: Object) -> list[str]:
    return [str(fault) for fault in V2.validate(hpa)]


def test_every_metric_is_valid() -> None:
    assert faults_of(autoscaler("web", *EVERY_METRIC)) == []
    assert faults_of(autoscaler("web", *EVERY_METRIC, minimum=0)) == []


SPEC_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"minReplicas": -1}, "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"),
    ({"maxReplicas": 0, "minReplicas": None}, "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
    (
        {"minReplicas": 11},
        "spec.maxReplicas: Invalid value: 10: must be greater than or equal to `minReplicas`",
    ),
    (
        {"minReplicas": 0},
        "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero "
        "replicas",
    ),
    (
        {"scaleTargetRef": {"kind": "a/b", "name": "x"}},
        "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
    ),
    ({"scaleTargetRef": {"kind": "Deployment"}}, "spec.scaleTargetRef.name: Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "fault"), SPEC_FAULTS)
def test_bounds_and_the_target_are_checked(changes: dict[str, Any], fault: str) -> None:
    hpa = autoscaler()
    hpa["spec"].update(changes)
    assert faults_of(hpa) == [fault]


def changed(spec: Object, **changes: Any) -> Object:
    """A metric whose source has other fields."""
    source = next(name for name in spec if name != "type")
    return {"type": spec["type"], source: {**spec[source], **changes}}


AT = "spec.metrics[0]"
METRIC_FAULTS: list[tuple[Object, list[str]]] = [
    (
        {"type": "Pods"},
        [f"{AT}.pods: Required value: must populate information for the given metric source"],
    ),
    (
        {**pods("a", averageValue="1"), "resource": resource(averageUtilization=1)["resource"]},
        [f"{AT}.resource: Forbidden: must populate the given metric source only"],
    ),
    (
        changed(pods("a", averageValue="1"), metric={}),
        [f"{AT}.pods.metric.name: Required value: must specify a metric name"],
    ),
    (
        pods("a", value="1"),
        [f"{AT}.pods.target.averageValue: Required value: must specify a positive target averageValue"],
    ),
    (
        changed(resource(averageUtilization=1), target={"averageUtilization": 0}),
        [
            f"{AT}.resource.target.type: Required value: must specify a metric target type",
            f'{AT}.resource.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
            f"{AT}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ],
    ),
    (
        resource(value="3"),
        [
            f"{AT}.resource.target.averageUtilization: Required value: must set either a target raw value or a target "
            "utilization"
        ],
    ),
    (
        resource(averageUtilization=1, averageValue="1"),
        [
            f"{AT}.resource.target.averageValue: Forbidden: may not set both a target raw value and a target "
            "utilization"
        ],
    ),
    (resource("", averageUtilization=1), [f"{AT}.resource.name: Required value: must specify a resource name"]),
    (
        container_resource("A", "potatoes", averageValue="0"),
        [
            f'{AT}.containerResource.name: Invalid value: "potatoes": must be a standard resource for containers',
            f"{AT}.containerResource.container: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower "
            "case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. "
            "'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            f'{AT}.containerResource.target.averageValue: Invalid value: "0": must be positive',
        ],
    ),
    (
        described("a", averageUtilization=3),
        [f"{AT}.object.target.averageValue: Required value: must set either a target value or averageValue"],
    ),
    (
        external("a/b", value="1", averageValue="1"),
        [
            f"{AT}.external.metric.name: Invalid value: \"a/b\": may not contain '/'",
            f"{AT}.external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "expected"), METRIC_FAULTS)
def test_a_metric_is_judged_by_its_source(metric: Object, expected: list[str]) -> None:
    assert faults_of(autoscaler("web", metric)) == expected


def test_an_unknown_type_is_not_supported() -> None:
    supported = '"ContainerResource", "External", "Object", "Pods", "Resource"'
    assert faults_of(autoscaler("web", {"type": "Moon"})) == [
        f'{AT}.type: Unsupported value: "Moon": supported values: {supported}'
    ]


UP = "spec.behavior.scaleUp"
RULE_FAULTS: list[tuple[Object, str]] = [
    (rules(), f"{UP}.policies: Required value: must specify at least one Policy"),
    (rules(("Pods", 0, 15)), f"{UP}.policies[0].value: Invalid value: 0: must be greater than zero"),
    (rules(("Pods", 1, 0)), f"{UP}.policies[0].periodSeconds: Invalid value: 0: must be greater than zero"),
    (
        rules(("Pods", 1, 1801)),
        f"{UP}.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    ),
    (
        rules(("Moons", 1, 15)),
        f'{UP}.policies[0].type: Unsupported value: "Moons": supported values: "Percent", "Pods"',
    ),
    (
        rules(("Pods", 1, 15), window_s=-1),
        f"{UP}.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
    ),
    (
        rules(("Pods", 1, 15), window_s=3601),
        f"{UP}.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
    ),
    (
        rules(("Pods", 1, 15), select="Moon"),
        f'{UP}.selectPolicy: Unsupported value: "Moon": supported values: "Disabled", "Max", "Min"',
    ),
    (
        rules(("Pods", 1, 15), tolerance="-1m"),
        f'{UP}.tolerance: Invalid value: "-1m": must be greater than or equal to 0',
    ),
]


@pytest.mark.parametrize(("rules", "fault"), RULE_FAULTS)
def test_behaviour_is_checked(rules: Object, fault: str) -> None:
    assert faults_of(autoscaler(behavior={"scaleUp": rules})) == [fault]


def test_v1_is_judged_by_what_it_means() -> None:
    hpa = to_v1(autoscaler())
    hpa["spec"]["targetCPUUtilizationPercentage"] = 0
    assert [str(fault) for fault in V1.validate(hpa)] == [
        f"{AT}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0"
    ]


def test_counts_of_a_status_are_not_negative() -> None:
    hpa = {**autoscaler(), "status": {"currentReplicas": -1, "desiredReplicas": 1}}
    hpa["metadata"]["resourceVersion"] = "1"
    found = [str(fault) for fault in V2.validate_status_update(hpa, hpa)]
    assert found == ["status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"]
