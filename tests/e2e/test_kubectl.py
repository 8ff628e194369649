"""What people do with kubectl, with the newest and with old ones, against one cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import kubectls
from tests.e2e.conftest import Cluster, echo_app, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

KINDS = [
    "namespace", "node", "pod", "service", "endpoints", "endpointslice", "configmap", "secret", "serviceaccount",
    "event", "replicationcontroller", "replicaset", "deployment", "statefulset", "daemonset", "controllerrevision",
    "job", "cronjob", "ingress", "ingressclass", "lease", "poddisruptionbudget", "priorityclass",
]  # fmt: skip


@pytest.fixture(scope="module", params=["newest", *kubectls.PACKAGES])
def kubectl(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Kubectl]:
    cache = Path(request.config.cache.mkdir("kubectl"))
    binary = kubectls.newest() if request.param == "newest" else kubectls.old(request.param, cache)
    namespace = str(request.param).replace(".", "-")
    kubectl = Kubectl(cluster, str(binary), namespace)
    kubectl("create", "namespace", namespace)
    yield kubectl
    kubectl("delete", "namespace", namespace, "--timeout=60s")


class Kubectl:
    """One kubectl binary in one namespace of one cluster."""

    def __init__(self, cluster: Cluster, binary: str, namespace: str) -> None:
        self.cluster = cluster
        self.binary = binary
        self.namespace = namespace

    def __call__(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        result = self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check, binary=self.binary)
        return result.stdout if check else result.stdout + result.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self("get", *arguments, "-o", "json"))


@pytest.fixture(scope="module")
def app(kubectl: Kubectl) -> str:
    """A running Deployment with Service and Ingress; its name."""
    name = "web"
    documents = echo_app(name, replicas=2, host=f"{kubectl.namespace}.local")
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    assert "successfully rolled out" in kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    return name


def test_discovery(kubectl: Kubectl) -> None:
    lines = kubectl("api-resources").splitlines()
    deployments = next(line for line in lines if line.startswith("deployments"))
    assert deployments.split() == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert {line.split()[0] for line in lines[1:]} >= {
        "pods",
        "services",
        "ingresses",
        "endpointslices",
        "jobs",
        "leases",
    }
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1"} <= set(versions)
    assert "Server Version" in kubectl("version")


def test_explain(kubectl: Kubectl) -> None:
    assert "replicas" in kubectl("explain", "deployment.spec")
    assert "terminationGracePeriodSeconds" in kubectl("explain", "pod", "--recursive")
    assert "FIELD" in kubectl("explain", "ingress.spec.rules.http.paths.pathType")


def test_tables_are_what_kubectl_users_know(kubectl: Kubectl, app: str) -> None:
    head, *rows = kubectl("get", "pods").splitlines()
    assert head.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row.split()[1:4] for row in rows] == [["1/1", "Running", "0"]] * 2
    head = kubectl("get", "pods", "-o", "wide").splitlines()[0]
    assert head.split("  ")[0] == "NAME"
    assert "NOMINATED NODE" in head
    head, row = kubectl("get", "deployment", app).splitlines()
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == [app, "2/2", "2", "2"]
    head, row = kubectl("get", "svc", app).splitlines()
    assert head.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row.split()[1] == "ClusterIP"
    assert row.split()[4] == "80/TCP"
    head, row = kubectl("get", "ingress", app).splitlines()
    assert head.split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert row.split()[1:3] == ["loopkube", f"{kubectl.namespace}.local"]
    assert "STATUS" in kubectl("get", "nodes").splitlines()[0]


def test_output_formats(kubectl: Kubectl, app: str) -> None:
    assert "kind: Deployment" in kubectl("get", "deployment", app, "-o", "yaml")
    assert kubectl("get", "deployment", app, "-o", "jsonpath={.spec.replicas}") == "2"
    columns = kubectl("get", "pods", "-o", "custom-columns=NAME:.metadata.name,IP:.status.podIP", "--no-headers")
    network = kubectl.cluster.status()["podCIDR"].removesuffix("0.0/16")
    assert all(line.split()[1].startswith(network) for line in columns.splitlines())
    assert kubectl("get", "pods", "-l", f"app={app}", "-o", "name").count("pod/") == 2
    assert kubectl("get", "pods", "-l", "app!=" + app, "-o", "name") == ""
    assert kubectl("get", "pods", "--field-selector", "status.phase=Running", "-o", "name").count("pod/") == 2
    assert "deployment.apps/web" in kubectl("get", "all")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_and_described(kubectl: Kubectl, app: str, kind: str) -> None:
    kubectl("get", kind)
    if (kind, kubectl.namespace) == ("endpointslice", "v1-20"):
        pytest.skip("kubectl 1.20 describes discovery.k8s.io/v1beta1 only, which Kubernetes dropped in 1.25")
    kubectl("describe", kind)


def test_describe_shows_events(kubectl: Kubectl, app: str) -> None:
    pod = kubectl("get", "pods", "-l", f"app={app}", "-o", "jsonpath={.items[0].metadata.name}")
    for reason in ("Scheduled", "Pulled", "Created", "Started"):  # events are written behind the deeds
        until(reason, lambda reason=reason: reason in kubectl("describe", "pod", pod))  # type: ignore[misc]
    until("the scaling", lambda: "Scaled up replica set" in kubectl("describe", "deployment", app))
    until("the start", lambda: "Started" in kubectl("get", "events"))


def test_create_apply_diff_replace_patch(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=1")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"a": "1"}}
    assert "created" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    manifest["data"] = {"b": "2"}
    diff = kubectl("diff", "-f", "-", stdin=json.dumps(manifest), check=False)
    assert '-  a: "1"' in diff
    assert '+  b: "2"' in diff
    assert "configured" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert kubectl.get("configmap", "d")["data"] == {"b": "2"}
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    manifest["data"] = {"c": "3"}
    conflict = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=json.dumps(
        {**manifest, "data": {"b": "9"}}), check=False)  # fmt: skip
    assert "Apply failed with 1 conflict" in conflict
    kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-", stdin=json.dumps(manifest)
    )
    assert kubectl.get("configmap", "d")["data"]["c"] == "3"  # whether "b" stays is each kubectl's own: 1.26 migrates
    kubectl("replace", "-f", "-", stdin=json.dumps({**manifest, "data": {"z": "26"}}))
    assert kubectl.get("configmap", "d")["data"] == {"z": "26"}
    kubectl("patch", "configmap", "d", "--type=json", "-p", '[{"op":"add","path":"/data/y","value":"25"}]')
    kubectl("patch", "configmap", "d", "--type=merge", "-p", '{"data":{"z":null}}')
    assert kubectl.get("configmap", "d")["data"] == {"y": "25"}
    unknown = {**manifest, "metadata": {"name": "e"}, "dota": {}}
    refused = kubectl("create", "--validate=true", "-f", "-", stdin=json.dumps(unknown), check=False)
    assert "unknown field" in refused
    kubectl("delete", "configmap", "c", "d")
    assert "NotFound" in kubectl("get", "configmap", "d", check=False)


def test_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "configmap", "edited", "--from-literal=a=1")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/a: "1"/a: "2"/\' "$1"\n')
    editor.chmod(0o755)
    environment = {**os.environ, "KUBECONFIG": str(kubectl.cluster.kubeconfig), "EDITOR": str(editor)}
    command = (kubectl.binary, "-n", kubectl.namespace, "edit", "configmap", "edited")
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert kubectl.get("configmap", "edited")["data"] == {"a": "2"}


def test_labels_annotations_taints(kubectl: Kubectl, app: str) -> None:
    kubectl("label", "deployment", app, "tier=front")
    kubectl("annotate", "deployment", app, "note=yes")
    found = kubectl.get("deployment", app)["metadata"]
    assert found["labels"]["tier"] == "front"
    assert found["annotations"]["note"] == "yes"
    kubectl("label", "deployment", app, "tier-")
    kubectl("taint", "node", "loopkube-1", "k=v:PreferNoSchedule")
    taints = kubectl.get("node", "loopkube-1")["spec"]["taints"]
    assert taints == [{"key": "k", "value": "v", "effect": "PreferNoSchedule"}]
    kubectl("taint", "node", "loopkube-1", "k-")


def test_logs(kubectl: Kubectl) -> None:
    script = "echo one; echo two; sleep 1; echo three; exec sleep 60"
    kubectl("run", "talker", "--image=busybox", "--restart=Never", "--command", "--", "/bin/sh", "-c", script)
    kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s")
    until("three", lambda: "three" in kubectl("logs", "talker"))
    assert kubectl("logs", "talker") == "one\ntwo\nthree\n"
    assert kubectl("logs", "talker", "--tail=1") == "three\n"
    assert kubectl("logs", "talker", "--since=1h", "--timestamps").count("Z ") == 3
    with subprocess.Popen(
        (kubectl.binary, "-n", kubectl.namespace, "logs", "-f", "talker"),
        env={**os.environ, "KUBECONFIG": str(kubectl.cluster.kubeconfig)},
        stdout=subprocess.PIPE,
    ) as follow:
        assert follow.stdout is not None
        assert [follow.stdout.readline() for _ in range(3)] == [b"one\n", b"two\n", b"three\n"]
        kubectl("delete", "pod", "talker", "--grace-period=1", "--wait=false")
        follow.wait(timeout=30)  # the end of the container ends the stream


def test_previous_logs_of_a_restarted_container(kubectl: Kubectl) -> None:
    kubectl("run", "crasher", "--image=busybox", "--command", "--", "/bin/sh", "-c", "echo run; exit 3")
    until("a restart", lambda: kubectl.get("pod", "crasher")["status"]["containerStatuses"][0]["restartCount"] >= 1)
    assert kubectl("logs", "crasher", "--previous") == "run\n"
    until("the back-off", lambda: "CrashLoopBackOff" in kubectl("get", "pod", "crasher"))
    last = kubectl.get("pod", "crasher")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    kubectl("delete", "pod", "crasher", "--grace-period=0", "--force")


def test_wait_watch_and_delete(kubectl: Kubectl) -> None:
    with subprocess.Popen(
        (kubectl.binary, "-n", kubectl.namespace, "get", "configmap", "-w", "-o", "name",
         "--field-selector", "metadata.name=seen"),
        env={**os.environ, "KUBECONFIG": str(kubectl.cluster.kubeconfig)},
        stdout=subprocess.PIPE,
    ) as watch:  # fmt: skip
        assert watch.stdout is not None
        kubectl("create", "configmap", "seen")
        assert watch.stdout.readline() == b"configmap/seen\n"
        kubectl("label", "configmap", "seen", "a=b")
        assert watch.stdout.readline() == b"configmap/seen\n"
        watch.terminate()
    kubectl("run", "waited", "--image=busybox", "--restart=Never", "--command", "--", "sleep", "60")
    kubectl("wait", "--for=condition=Ready", "pod/waited", "--timeout=30s")
    kubectl("delete", "pod", "waited", "--wait=false", "--grace-period=1")
    waited = kubectl("wait", "--for=delete", "pod/waited", "--timeout=30s", check=False)
    assert "timed out" not in waited  # what else is said when the pod is gone already differs by version
    assert "NotFound" in kubectl("get", "pod", "waited", check=False)
