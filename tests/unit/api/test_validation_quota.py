"""Which quotas and limit ranges are accepted, and what LimitRanges default to."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object
from control.api.rows import RESOURCES
from tests.fakes.validated import complaints, update_complaints

SUPPORTED = {"pods": "1"}
EXIST = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
AT = "spec.scopeSelector.matchExpressions"


def quota(hard: Object | None = None, **spec: Any) -> Object:
    metadata = {"name": "q", "namespace": "default"}
    body = {"hard": hard or SUPPORTED, **spec}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": body}


def chosen(scope: str, operator: str, *values: str) -> Object:
    requirement = {"scopeName": scope, "operator": operator, **({"values": list(values)} if values else {})}
    return quota(scopeSelector={"matchExpressions": [requirement]})


def test_every_name_that_kubernetes_counts_is_accepted() -> None:
    hard = dict.fromkeys(
        ("pods", "requests.cpu", "limits.ephemeral-storage", "services.nodeports", "requests.storage",
         "count/jobs.batch", "requests.example.com/gpu", "hugepages-2Mi",
         "gold.storageclass.storage.k8s.io/requests.storage"), "1",
    )  # fmt: skip
    assert complaints(kinds.RESOURCE_QUOTA, quota(hard)) == []


@pytest.mark.parametrize(
    ("obj", "faults"),
    [
        (quota({"odd": "1"}), ['spec.hard[odd]: Invalid value: "odd": must be a standard resource for quota']),
        (quota({"pods": "-1"}), ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0']),
        (quota({"pods": "1500m"}), ['spec.hard[pods]: Invalid value: "1500m": must be an integer']),
        (quota(scopes=["Odd"]), ['spec.scopes: Invalid value: ["Odd"]: unsupported scope']),
        (
            quota({"services": "1"}, scopes=["Terminating"]),
            ['spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource'],
        ),
        (
            quota({"cpu": "1"}, scopes=["BestEffort"]),
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        ),
        (
            quota(scopes=["BestEffort", "NotBestEffort"]),
            ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
        ),
        (chosen("Odd", "Exists"), [f'{AT}.scopeName: Invalid value: "Odd": unsupported scope']),
        (chosen("BestEffort", "DoesNotExist"), [f'{AT}.operator: Invalid value: "DoesNotExist": {EXIST}']),
        (
            chosen("PriorityClass", "In"),
            [
                f"{AT}.values: Required value: "
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            ],
        ),
        (
            chosen("PriorityClass", "Exists", "x"),
            [
                f'{AT}.values: Invalid value: ["x"]: must be no value when `operator` is \'Exist\' or '
                "'DoesNotExist' for scope selector"
            ],
        ),
        (chosen("PriorityClass", "Has"), [f'{AT}.operator: Invalid value: "Has": not a valid selector operator']),
        (chosen("PriorityClass", "In", "high"), []),
    ],
)  # fmt: skip
def test_quotas(obj: Object, faults: list[str]) -> None:
    assert complaints(kinds.RESOURCE_QUOTA, obj) == faults


def test_scopes_stay_and_limits_may_change() -> None:
    old, new = quota(scopes=["BestEffort"]), quota({"pods": "2"}, scopes=["BestEffort"])
    assert update_complaints(kinds.RESOURCE_QUOTA, new, old) == []
    other = quota(scopes=["NotBestEffort"])
    assert update_complaints(kinds.RESOURCE_QUOTA, other, old) == [
        'spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable'
    ]


def test_a_status_is_judged_too() -> None:
    new = {**quota(), "status": {"hard": {"odd": "1"}, "used": {"pods": "-1"}}}
    assert update_complaints(kinds.RESOURCE_QUOTA, new, quota(), status=True) == [
        'status.hard[odd]: Invalid value: "odd": must be a standard resource for quota',
        'status.used[pods]: Invalid value: "-1": must be greater than or equal to 0',
    ]


def limits(*items: Object) -> Object:
    metadata = {"name": "l", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": list(items)}}


def item(type_: str = "Container", **bounds: Any) -> Object:
    return {"type": type_, **bounds}


L = "spec.limits[0]"


@pytest.mark.parametrize(
    ("items", "faults"),
    [
        ([item("Widget")], [f'{L}.type: Invalid value: "Widget": must be a standard limit type or fully qualified']),
        ([item("Pod"), item("Pod")], ['spec.limits[1].type: Duplicate value: "Pod"']),
        ([item("Pod", default={"cpu": "1"})], [f"{L}.default: Forbidden: may not be specified when `type` is 'Pod'"]),
        (
            [item("PersistentVolumeClaim")],
            [
                f"{L}.limits: Required value: "
                "either minimum or maximum storage value is required, but neither was provided"
            ],
        ),
        ([item("PersistentVolumeClaim", max={"storage": "1Gi"})], []),
        (
            [item("Pod", min={"cpu": "2"}, max={"cpu": "1"})],
            [f'{L}.min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
        ),
        (
            [item(min={"cpu": "2"}, defaultRequest={"cpu": "1"}, default={"cpu": "3"})],
            [f'{L}.defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1'],
        ),
        (
            [item(defaultRequest={"cpu": "3"}, default={"cpu": "2"})],
            [
                f'{L}.defaultRequest[cpu]: Invalid value: "3": '
                "default request value 3 is greater than default limit value 2"
            ],
        ),
        (
            [item(default={"cpu": "2"}, max={"cpu": "1"}, defaultRequest={"cpu": "1"})],
            [f'{L}.default[cpu]: Invalid value: "1": default value 2 is greater than max value 1'],
        ),
        (
            [item(maxLimitRequestRatio={"cpu": "500m"})],
            [f'{L}.maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
        ),
        (
            [item("Pod", min={"cpu": "1"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "3"})],
            [f'{L}.maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
        ),
        (
            [item(default={"hugepages-2Mi": "4Mi"}, defaultRequest={"hugepages-2Mi": "2Mi"})],
            [
                f'{L}.defaultRequest[hugepages-2Mi]: Invalid value: "2Mi": '
                "default value 4Mi must equal to defaultRequest value 2Mi in hugepages-2Mi"
            ],
        ),
        (
            [item("example.com/thing", max={"odd": "1"})],
            [f'{L}.max[odd]: Invalid value: "odd": must be a standard resource type or fully qualified'],
        ),
    ],
)  # fmt: skip
def test_limit_ranges(items: list[Object], faults: list[str]) -> None:
    assert complaints(kinds.LIMIT_RANGE, limits(*items)) == faults


def test_what_a_limit_range_leaves_out() -> None:
    obj = limits(
        item(max={"cpu": "2"}, min={"cpu": "1", "memory": "1Mi"}, default={"memory": "4Mi"}),
        item(max={"cpu": "2"}, defaultRequest={"cpu": "1"}),
        item("Pod", max={"cpu": "4"}),
    )
    RESOURCES[kinds.LIMIT_RANGE].default(obj)
    first, second, third = obj["spec"]["limits"]
    assert first["default"] == {"cpu": "2", "memory": "4Mi"}
    assert first["defaultRequest"] == {"cpu": "2", "memory": "4Mi"}
    assert (second["default"], second["defaultRequest"]) == ({"cpu": "2"}, {"cpu": "1"})
    assert "default" not in third
