"""Autoscaling end to end: what burns CPU or is asked much is measured and scaled up and down, and kubectl shows it.

What Kubernetes tests as "[sig-autoscaling] [Feature:HPA] Horizontal pod autoscaling (scale resource: CPU) Deployment",
from 1 pod to 3 and back.
"""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.clients import get
from tests.e2e.conftest import Cluster, echo_app, until
from tests.e2e.loads import running

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


def requests_wanted(each: int) -> list[dict[str, Any]]:
    """So many requests per second for each pod, in three ways: as the Ingress, the Service and the pod have them."""
    target = {"type": "AverageValue", "averageValue": str(each)}
    metric = {"name": "http_requests_per_second"}
    entrance = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "hits"}
    series = {"name": "service_http_requests_per_second", "selector": {"matchLabels": {"service": "hits"}}}
    return [
        {"type": "Object", "object": {"describedObject": entrance, "metric": metric, "target": target}},
        {"type": "External", "external": {"metric": series, "target": target}},
        {"type": "Pods", "pods": {"metric": metric, "target": target}},
    ]


def test_a_deployment_is_scaled_by_its_requests_through_an_ingress(cluster: Cluster) -> None:
    cluster.apply(*echo_app("hits", replicas=1))
    address, port = cluster.http.removeprefix("http://").split(":")
    until("the Ingress", lambda: get(address, int(port), host="hits.local").status == 200)
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hits"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": requests_wanted(20),
        "behavior": {"scaleUp": at_once, "scaleDown": at_once},
    }
    metadata = {"name": "hits"}
    cluster.apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )

    def seen() -> dict[str, int]:
        """Milli-requests per second and pod, by each way of asking, once all three are known."""
        found = cluster.get("hpa", "hits")["status"].get("currentMetrics") or []
        answers = {each["type"]: next(part for key, part in each.items() if key != "type") for each in found}
        if set(answers) != {"Object", "External", "Pods"}:
            return {}
        return {type_: milli(answer["current"]["averageValue"]) for type_, answer in answers.items()}

    with running(address, int(port), "hits.local", rate=100):
        until("three replicas", lambda: cluster.get("deployment", "hits")["status"].get("readyReplicas") == 3)
        share = until("a third each", lambda: found if (found := seen()) and max(found.values()) < 45_000 else {})
    assert min(share.values()) > 20_000, "100 requests a second by 3 pods, seen alike by all three"
    until("one replica", lambda: cluster.get("deployment", "hits")["spec"]["replicas"] == 1)
    told = cluster.kubectl("describe", "hpa", "hits").stdout
    assert "New size: 3; reason: " in told
    assert "http_requests_per_second" in told.partition("New size: 3; reason: ")[2].partition("\n")[0]
    cluster.kubectl("delete", "hpa,deployment,service,ingress", "hits")


def milli(quantity: str) -> int:
    return int(quantity.removesuffix("m")) if quantity.endswith("m") else int(quantity) * 1000
