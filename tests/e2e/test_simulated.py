"""Simulated nodes as a user has them: made by `up` and by kubectl, with every kind of workload, drained, crashed."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Object = dict[str, Any]
LABEL = "loopkube.io/simulated"
PLACED = {
    "nodeSelector": {LABEL: "true"},
    "tolerations": [{"key": LABEL, "operator": "Exists"}],
    "containers": [{"name": "c", "image": "example.com/never-pulled", "ports": [{"containerPort": 8080}]}],
}


def workload(api: str, kind: str, name: str, **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": PLACED}
    selector = {"selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**selector, "template": template, **spec},
    }


def job(name: str, completions: int) -> Object:
    made = workload("batch/v1", "Job", name, completions=completions, parallelism=completions)
    del made["spec"]["selector"]
    made["spec"]["template"] = {"spec": {**PLACED, "restartPolicy": "Never"}}
    return made


def nodes_of(cluster: Cluster, app: str) -> list[str]:
    """Where the ready pods of a workload are."""
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    ready = [p for p in pods if "deletionTimestamp" not in p["metadata"] and is_ready(p)]
    return sorted(p["spec"]["nodeName"] for p in ready)


def is_ready(obj: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in obj.get("status", {}).get("conditions", ()))


def test_every_workload_runs_on_simulated_nodes(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster("--simulated-nodes", "2")
    mine = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine", "labels": {LABEL: "true"}}}
    cluster.apply(
        mine,
        workload("apps/v1", "DaemonSet", "each"),
        workload("apps/v1", "StatefulSet", "named", replicas=3, serviceName="named"),
        workload("apps/v1", "Deployment", "many", replicas=30),
        job("work", 5),
    )
    nodes = ["mine", "simulated-0", "simulated-1"]
    until("nodes are alive", lambda: all(is_ready(cluster.get("node", name)) for name in nodes))
    until("a pod of the DaemonSet on each", lambda: nodes_of(cluster, "each") == nodes)
    cluster.kubectl("rollout", "status", "statefulset/named", "deployment/many", "--timeout=30s")
    cluster.kubectl("wait", "--for=condition=complete", "job/work", "--timeout=30s")

    cluster.kubectl("expose", "deployment", "many", "--port=80", "--target-port=8080")
    until("all endpoints are ready", lambda: len(ready_endpoints(cluster, "many")) == 30)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ready_endpoints(cluster, "many")[0], 8080), timeout=5)
    told = cluster.kubectl("logs", "named-0", check=False).stderr
    assert 'pod "named-0" is simulated: it has no process and writes no logs' in told

    before = {p["metadata"]["name"]: p["status"] for p in cluster.get("pods", "-l", "app=many")["items"]}
    os.kill(cluster.pid("node"), signal.SIGKILL)
    cluster.kubectl("drain", "simulated-0", "--ignore-daemonsets", "--timeout=60s")
    until(
        "thirty elsewhere",
        lambda: len(nodes_of(cluster, "many")) == 30 and "simulated-0" not in nodes_of(cluster, "many"),
    )
    after = {p["metadata"]["name"]: p["status"] for p in cluster.get("pods", "-l", "app=many")["items"]}
    assert all(after[name] == status for name, status in before.items() if name in after), "the crash shows in no pod"


def ready_endpoints(cluster: Cluster, service: str) -> list[str]:
    slices = cluster.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
    found = [each for one in slices for each in one["endpoints"] if each["conditions"]["ready"]]
    return [address for each in found for address in each["addresses"]]
