"""Defaults of the autoscaling group (pkg/apis/autoscaling/v2/defaults.go).

An autoscaler that names no metric goes by 80 % CPU. One that says anything about its behaviour gets the rest of it
written out; one that says nothing is left alone, and its controller uses fixed rules. The stabilisation window of
scaling down stays absent: it is the controller's setting.
"""

from __future__ import annotations

from typing import Any

from control.api.autoscaling import METRICS
from control.api.objects import Object, annotations_of, copy_of

CPU_PERCENT = 80
SCALE_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
SCALE_DOWN: dict[str, Any] = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


def default_autoscaler(hpa: Object) -> None:
    spec = hpa.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        for direction, rules in (("scaleUp", SCALE_UP), ("scaleDown", SCALE_DOWN)):
            said = behavior.setdefault(direction, {})
            for field, value in copy_of(rules).items():
                if said.get(field) is None:
                    said[field] = value


def default_autoscaler_v1(hpa: Object) -> None:
    spec = hpa.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if METRICS not in annotations_of(hpa):
        spec.setdefault("targetCPUUtilizationPercentage", CPU_PERCENT)
