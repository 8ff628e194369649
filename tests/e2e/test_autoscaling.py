"""Autoscaling end to end: processes that burn CPU are measured and scaled up and down, and kubectl shows it.

What Kubernetes tests as "[sig-autoscaling] [Feature:HPA] Horizontal pod autoscaling (scale resource: CPU) Deployment",
from 1 pod to 3 and back.
"""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import Cluster, until

BURN = (
    "import time\nwhile True:\n  end = time.process_time() + 0.02\n  while time.process_time() < end: pass\n"
    "  time.sleep(0.15)"
)


def burner() -> dict[str, Any]:
    """Uses a tenth of a core or so, and asks for a fiftieth."""
    container = {
        "name": "burn",
        "image": "any",
        "command": ["python3", "-c", BURN],
        "resources": {"requests": {"cpu": "20m"}},
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "burn"},
        "spec": {
            "selector": {"matchLabels": {"app": "burn"}},
            "template": {"metadata": {"labels": {"app": "burn"}}, "spec": pod},
        },
    }


def test_a_deployment_is_scaled_by_its_cpu_up_and_down(cluster: Cluster) -> None:
    cluster.apply(burner())
    cluster.kubectl("autoscale", "deployment", "burn", "--cpu-percent=50", "--min=1", "--max=3")
    until("three replicas", lambda: cluster.get("deployment", "burn")["status"].get("readyReplicas") == 3)
    told = cluster.kubectl("describe", "hpa", "burn").stdout
    reason = "cpu resource utilization (percentage of request) above target"
    assert f"New size: 3; reason: {reason}" in told
    assert "the HPA was able to successfully calculate a replica count from cpu resource utilization" in told

    def top() -> list[list[str]]:
        shown = cluster.kubectl("top", "pods", "--containers", "--no-headers", check=False).stdout
        return [line.split() for line in shown.splitlines()]

    rows = until("all pods measured", lambda: found if len(found := top()) == 3 else [])
    assert all(row[1] == "burn" and int(row[2].removesuffix("m")) > 20 and row[3] != "0Mi" for row in rows)
    assert len(cluster.kubectl("top", "nodes", "--no-headers").stdout.splitlines()) == 2
    assert "burn   Deployment/burn   cpu: " in cluster.kubectl("get", "hpa").stdout
    assert (
        cluster.get("horizontalpodautoscalers.v1.autoscaling", "burn")["spec"]["targetCPUUtilizationPercentage"] == 50
    )

    target = {"type": "Utilization", "averageUtilization": 10_000}
    down = {"stabilizationWindowSeconds": 0}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    patch = {"spec": {"metrics": metrics, "behavior": {"scaleDown": down}}}
    cluster.kubectl("patch", "hpa", "burn", "--type=merge", "-p", json.dumps(patch))
    until("one replica", lambda: cluster.get("deployment", "burn")["spec"]["replicas"] == 1)
    assert "New size: 1; reason: All metrics below target" in cluster.kubectl("describe", "hpa", "burn").stdout
    cluster.kubectl("delete", "hpa,deployment", "burn")
