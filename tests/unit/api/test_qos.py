"""QoS classes."""

from __future__ import annotations

import pytest

from control.api.objects import Object
from control.api.qos import qos_class
from tests.fakes.manifests import container, pod_spec

FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "class_"),
    [
        ({}, "BestEffort"),
        ({"requests": {"ephemeral-storage": "1Gi"}}, "BestEffort"),
        ({"limits": {"cpu": "0"}}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": FULL}, "Guaranteed"),
        ({"limits": FULL, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, "Guaranteed"),
        ({"limits": FULL, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_one_container(resources: Object, class_: str) -> None:
    assert qos_class(pod_spec(containers=[container(resources=resources)])) == class_


def test_every_container_counts() -> None:
    sure, free = container(resources={"limits": FULL}), container("free")
    assert qos_class(pod_spec(containers=[sure, free])) == "Burstable"
    assert qos_class(pod_spec(containers=[sure], initContainers=[free])) == "Burstable"
    assert qos_class(pod_spec(containers=[free], resources={"limits": FULL})) == "Guaranteed"
