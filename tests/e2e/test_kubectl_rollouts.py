"""Rollouts, scaling, draining and cascades with kubectl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from control.api.objects import Object
from tests.e2e.conftest import Cluster, echo_app, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def app(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A rolled out Deployment of its own; its name."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:30].strip("-")
    documents = echo_app(name, replicas=2)
    documents[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2
    cluster.apply(*documents)
    cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    yield name
    cluster.kubectl("delete", "deployment,service,ingress", name, "--ignore-not-found")


def images(cluster: Cluster, app: str) -> set[str]:
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    return {pod["spec"]["containers"][0]["image"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}


def test_scale(cluster: Cluster, app: str) -> None:
    cluster.kubectl("scale", "deployment", app, "--replicas=4")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    assert cluster.get("deployment", app)["status"]["readyReplicas"] == 4
    cluster.kubectl("scale", "deployment", app, "--replicas=1", "--current-replicas=4")
    until("one pod", lambda: len(cluster.get("pods", "-l", f"app={app}")["items"]) == 1)


def test_set_image_history_and_undo(cluster: Cluster, app: str) -> None:
    cluster.kubectl("set", "image", f"deployment/{app}", "echo=loopkube/echo:v2")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    assert images(cluster, app) == {"loopkube/echo:v2"}
    cluster.kubectl("annotate", f"deployment/{app}", "kubernetes.io/change-cause=better")

    def history() -> list[list[str]]:
        return [line.split() for line in cluster.kubectl("rollout", "history", f"deployment/{app}").stdout.splitlines()]

    until("the cause of the change", lambda: ["2", "better"] in history())
    assert ["1", "<none>"] in history()
    assert "loopkube/echo:v1" in cluster.kubectl("rollout", "history", f"deployment/{app}", "--revision=1").stdout
    cluster.kubectl("rollout", "undo", f"deployment/{app}")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    assert images(cluster, app) == {"loopkube/echo:v1"}
    assert cluster.get("deployment", app)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_pause_and_resume(cluster: Cluster, app: str) -> None:
    cluster.kubectl("rollout", "pause", f"deployment/{app}")
    cluster.kubectl("set", "image", f"deployment/{app}", "echo=loopkube/echo:v2")
    generation = cluster.get("deployment", app)["metadata"]["generation"]
    until("the controller has seen it",
          lambda: cluster.get("deployment", app)["status"]["observedGeneration"] >= generation)  # fmt: skip
    assert images(cluster, app) == {"loopkube/echo:v1"}
    cluster.kubectl("rollout", "resume", f"deployment/{app}")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    assert images(cluster, app) == {"loopkube/echo:v2"}


def test_restart_replaces_every_pod(cluster: Cluster, app: str) -> None:
    def uids() -> set[str]:
        return {pod["metadata"]["uid"] for pod in cluster.get("pods", "-l", f"app={app}")["items"]}

    before = uids()
    cluster.kubectl("rollout", "restart", f"deployment/{app}")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    until("the old pods' end", lambda: not (uids() & before))
    assert len(uids()) == 2


def test_a_failing_rollout_stops_and_says_why(cluster: Cluster, app: str) -> None:
    patch = {"spec": {"progressDeadlineSeconds": 3}}
    cluster.kubectl("patch", "deployment", app, "-p", json.dumps(patch))
    cluster.kubectl("set", "image", f"deployment/{app}", "echo=nobody/knows:this")
    status = cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s", check=False)
    assert "exceeded its progress deadline" in status.stderr
    assert cluster.get("deployment", app)["status"]["availableReplicas"] == 2

    def pulling() -> list[str]:
        pods = cluster.kubectl("get", "pods", "-l", f"app={app}").stdout
        return [line for line in pods.splitlines() if "ImagePull" in line]

    waiting = until("the pull's back-off", pulling)
    assert len(waiting) == 1


@pytest.mark.parametrize(("cascade", "left"), [("background", 0), ("foreground", 0), ("orphan", 2)])
def test_cascades(cluster: Cluster, app: str, cascade: str, left: int) -> None:
    cluster.kubectl("delete", "deployment", app, f"--cascade={cascade}", "--timeout=60s")
    if cascade == "orphan":
        pods = cluster.get("pods", "-l", f"app={app}")["items"]
        assert len(pods) == left
        (replica_set,) = cluster.get("replicasets", "-l", f"app={app}")["items"]
        assert not replica_set["metadata"].get("ownerReferences")
        cluster.kubectl("delete", "replicaset", "-l", f"app={app}", "--timeout=60s")
    until("the pods' end", lambda: not cluster.get("pods", "-l", f"app={app}")["items"])
    assert cluster.get("replicasets", "-l", f"app={app}")["items"] == []


def test_cordon_and_drain_respect_a_budget(cluster: Cluster, app: str) -> None:
    cluster.kubectl("create", "pdb", app, f"--selector=app={app}", "--min-available=2")
    until("the budget's status", lambda: cluster.get("pdb", app)["status"].get("currentHealthy") == 2)
    nodes = {pod["spec"]["nodeName"] for pod in cluster.get("pods", "-l", f"app={app}")["items"]}
    assert nodes == {"loopkube-0", "loopkube-1"}  # the scheduler spreads
    blocked = cluster.kubectl("drain", "loopkube-1", "--ignore-daemonsets", "--timeout=3s", check=False)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in blocked.stderr + blocked.stdout
    assert cluster.get("node", "loopkube-1")["spec"]["unschedulable"] is True
    cluster.kubectl("delete", "pdb", app)
    cluster.kubectl("drain", "loopkube-1", "--ignore-daemonsets", "--timeout=60s")
    cluster.kubectl("rollout", "status", f"deployment/{app}", "--timeout=60s")
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"loopkube-0"}
    cluster.kubectl("uncordon", "loopkube-1")
    assert not cluster.get("node", "loopkube-1")["spec"].get("unschedulable")


def test_a_changed_image_of_a_running_pod_restarts_only_its_container(cluster: Cluster) -> None:
    cluster.kubectl("run", "single", "--image=loopkube/echo:v1", "--port=8080")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/single", "--timeout=30s")
    before = cluster.get("pod", "single")
    cluster.kubectl("set", "image", "pod/single", "single=loopkube/echo:v2")
    after = until("the restart", lambda: _restarted(cluster, "single"))
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["status"]["containerStatuses"][0]["image"].endswith("echo:v2")
    words = "definition changed, will be restarted"
    until("the event", lambda: words in cluster.kubectl("describe", "pod", "single").stdout)
    cluster.kubectl("delete", "pod", "single", "--grace-period=1")


def _restarted(cluster: Cluster, name: str) -> Object | None:
    pod = cluster.get("pod", name)
    status = pod["status"]["containerStatuses"][0]
    return pod if status["restartCount"] == 1 and "running" in status["state"] else None


def test_whoami_and_can_i(cluster: Cluster) -> None:
    assert "kubernetes-admin" in cluster.kubectl("auth", "whoami").stdout
    assert cluster.kubectl("auth", "can-i", "create", "pods").stdout.strip() == "yes"
    assert "*.*" in cluster.kubectl("auth", "can-i", "--list").stdout
