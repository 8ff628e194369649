"""Where pods go and what they find there: nodes, selectors, taints, volumes, addresses; many pods, and their end."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, processes_of, until
from tests.e2e.pods import Document, Pods, config_map, namespace, pod, processes_with, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
FOREVER = "exec sleep 600"
NODES = ("loopkube-0", "loopkube-1")


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "placed") as pods:
        yield pods


def node_of(pods: Pods, name: str) -> str:
    return str(pods.get(name)["spec"].get("nodeName", ""))


def many(name: str, replicas: int, script: str = FOREVER) -> Document:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [sh(script)], "terminationGracePeriodSeconds": 5},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


# nodes


def test_addresses_belong_to_the_node(pods: Pods) -> None:
    pods.apply(*[pod(f"on-{node}", sh(FOREVER), nodeName=node) for node in NODES])
    pods.until_ready(*[f"on-{node}" for node in NODES])
    for number, node in enumerate(NODES):
        status = pods.get(f"on-{node}")["status"]
        of_node = pods.cluster.get("node", node)
        assert ip_address(status["podIP"]) in ip_network(of_node["spec"]["podCIDR"])
        assert status["hostIP"] == of_node["status"]["addresses"][0]["address"]
        assert status["hostIP"].endswith(f".{number + 1}")
        assert status["podIPs"] == [{"ip": status["podIP"]}]


def test_selectors_and_taints(pods: Pods) -> None:
    kubectl = pods.cluster.kubectl
    kubectl("label", "node", NODES[1], "disk=ssd")
    kubectl("taint", "node", NODES[0], "only=me:NoSchedule")
    try:
        tolerates = {
            "tolerations": [{"key": "only", "operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/hostname": NODES[0]},
        }
        pods.apply(
            pod("selects", sh(FOREVER), nodeSelector={"disk": "ssd"}),
            pod("tolerates", sh(FOREVER), **tolerates),
            pod("nowhere", sh(FOREVER), nodeSelector={"disk": "tape"}),
        )
        pods.until_ready("selects", "tolerates")
        assert (node_of(pods, "selects"), node_of(pods, "tolerates")) == (NODES[1], NODES[0])
        why = pods.until_event("nowhere", "FailedScheduling", "0/2 nodes are available: ")
        assert "node(s) had untolerated taint" in why or "node(s) had untolerated taint(s)" in why
        assert "node(s) didn't match Pod's node affinity/selector" in why
        scheduled = pods.condition("nowhere", "PodScheduled")
        assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
        assert pods.kubectl("get", "pod", "nowhere", "--no-headers").split()[2] == "Pending"
        kubectl("label", "node", NODES[1], "disk=tape", "--overwrite")
        pods.until_ready("nowhere")  # the scheduler looks again when a node changes
    finally:
        kubectl("taint", "node", NODES[0], "only-", check=False)
        kubectl("label", "node", NODES[1], "disk-", check=False)
    pods.delete("selects", "tolerates", "nowhere")


def test_cordon_and_too_much(pods: Pods) -> None:
    kubectl = pods.cluster.kubectl
    kubectl("cordon", *NODES)
    try:
        pods.apply(pod("cordoned", sh(FOREVER)))
        pods.until_event("cordoned", "FailedScheduling", "2 node(s) were unschedulable")
    finally:
        kubectl("uncordon", *NODES)
    pods.until_ready("cordoned")
    pods.apply(pod("greedy", sh(FOREVER, resources={"requests": {"cpu": "1000"}})))
    pods.until_event("greedy", "FailedScheduling", "2 Insufficient cpu")
    pods.delete("cordoned", "greedy")


def test_no_execute(pods: Pods) -> None:
    pods.apply(pod("evicted", sh(FOREVER), nodeSelector={"kubernetes.io/hostname": NODES[1]}))
    pods.until_ready("evicted")
    pods.cluster.kubectl("taint", "node", NODES[1], "out=now:NoExecute")
    try:
        pods.until_gone("evicted")
    finally:
        pods.cluster.kubectl("taint", "node", NODES[1], "out-")


# volumes


def test_volumes_are_below_the_containers_directory(pods: Pods) -> None:
    mounts = [{"name": name, "mountPath": f"/etc/{name}"} for name in ("config", "secret", "about", "all", "shared")]
    volumes = [
        {"name": "config", "configMap": {"name": "files", "items": [{"key": "a", "path": "deep/a.txt"}]}},
        {"name": "secret", "secret": {"secretName": "hush", "defaultMode": 0o400}},
        {"name": "about", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "all", "projected": {"sources": [{"configMap": {"name": "files"}}, {"secret": {"name": "hush"}}]}},
        {"name": "shared", "emptyDir": {}},
    ]
    main = sh(
        'cd "$LOOPKUBE_ROOT/etc"; until test -s shared/x; do sleep 0.05; done;'
        "cat config/deep/a.txt secret/pw about/labels; echo; ls all; stat -Lc %a secret/pw; exec sleep 600",
        volumeMounts=mounts,
    )
    writer = {**sh("echo y > data/x; exec sleep 600", volumeMounts=[{"name": "shared", "mountPath": "/data"}])}
    pods.kubectl("create", "secret", "generic", "hush", "--from-literal=pw=pass")
    pods.apply(config_map("files", a="alpha\n", b="beta"))
    pods.apply(pod("volumes", main, {**writer, "name": "writer"}, volumes=volumes))
    until("all of it", lambda: "400" in pods.logs("volumes", "-c", "main") if pods.ready("volumes") else False)
    assert pods.logs("volumes", "-c", "main").splitlines() == ["alpha", 'passapp="volumes"', "a", "b", "pw", "400"]
    said = pods.until_event("volumes", "VolumeNotMounted", "/etc/config is ")
    assert "$LOOPKUBE_ROOT" in said
    uid = pods.get("volumes")["metadata"]["uid"]
    shown = pods.cluster.folder / "pods" / uid / "main/etc/config/deep/a.txt"
    pods.apply(config_map("files", a="changed\n", b="beta"))
    until("the change", lambda: shown.read_text() == "changed\n")
    pods.delete("volumes")
    until("nothing to stay", lambda: not (pods.cluster.folder / "pods" / uid).exists())


def test_volumes_that_cannot_be(pods: Pods) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    foreign = [{"name": "v", "nfs": {"server": "s", "path": "/"}}]
    later = [{"name": "v", "configMap": {"name": "later-files"}}]
    pods.apply(
        pod("foreign", sh(FOREVER, **mount), volumes=foreign), pod("late-map", sh(FOREVER, **mount), volumes=later)
    )
    pods.until_event("foreign", "FailedMount", "loopkube has no volumes of type nfs")
    why = 'MountVolume.SetUp failed for volume "v" : configmap "later-files" not found'
    pods.until_event("late-map", "FailedMount", why)
    assert pods.container("late-map")["state"]["waiting"]["reason"] == "ContainerCreating"
    pods.apply(config_map("later-files", x="y"))
    pods.until_ready("late-map", deadline_s=5)
    pods.delete("late-map", "foreign")


# the shared network


def server(address: str, port: int) -> Document:
    script = (
        f"import http.server as h, os; h.HTTPServer(({address}, {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    )
    return {"image": "python", "command": ["python", "-c", script]}


def test_a_process_that_grabs_all_addresses_is_told(pods: Pods) -> None:
    port = 20_000 + os.getpid() % 10_000
    pods.apply(pod("grabs", server("''", port)))
    text = f"Container main listens on all addresses (0.0.0.0) at port {port}; "
    message = pods.until_event("grabs", "LoopbackBindConflict", text)
    assert f"listen on $POD_IP ({pods.get('grabs')['status']['podIP']})" in message
    pods.apply(pod("collides", server("os.environ['POD_IP']", port)))
    pods.until_event("collides", "LoopbackBindConflict", "Container main ended because its port was taken")
    pods.delete("grabs")
    pods.delete("collides")


def test_pods_with_the_same_port_live_side_by_side(pods: Pods) -> None:
    names = [f"same-{number}" for number in range(4)]
    echo = {
        "image": "loopkube/echo:1",
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/readyz"}, "periodSeconds": 1},
    }
    pods.apply(*[pod(name, echo) for name in names])
    pods.until_ready(*names)
    assert len({pods.get(name)["status"]["podIP"] for name in names}) == 4
    pods.delete(*names)


# many


def test_fifty_pods_at_once_and_their_end(cluster: Cluster) -> None:
    before = set(processes_of(cluster.folder))
    with namespace(cluster, "crowd") as crowd:
        began = time.monotonic()
        crowd.apply(many("crowd", 50), many("stubborn", 3, "trap '' TERM; while :; do sleep 0.1; done"))
        until("all to run", lambda: [is_ready(p) for p in crowd.all()].count(True) == 53)
        assert time.monotonic() - began < 30
        found = crowd.all()
        assert len({p["status"]["podIP"] for p in found}) == 53
        nodes = Counter(p["spec"]["nodeName"] for p in found)
        assert max(nodes.values()) - min(nodes.values()) <= 10  # spread by load
        began = time.monotonic()
        cluster.kubectl("delete", "namespace", "crowd", "--timeout=60s")
        assert 5 <= time.monotonic() - began < 20  # the stubborn ones use up their grace period
        cluster.kubectl("create", "namespace", "crowd")
        assert crowd.all() == []
    until("no process to stay", lambda: set(processes_of(cluster.folder)) <= before)
    assert not [path.name for path in (cluster.folder / "logs" / "pods").iterdir() if path.name.startswith("crowd_")]


def test_a_name_that_is_deleted_and_made_again_in_a_hurry(pods: Pods, tmp_path: Path) -> None:
    """Whatever was under way when it was deleted: one pod is left, with one process."""
    mark = f"sleep 3{tmp_path.stat().st_ino}"
    for _ in range(8):
        pods.apply(pod("hurried", sh(f"trap '' TERM; {mark}"), terminationGracePeriodSeconds=60))
        pods.kubectl("delete", "pod", "hurried", "--force", "--grace-period=0", "--wait=false")
    pods.apply(pod("hurried", sh(f"echo last; exec {mark}")))
    pods.until_ready("hurried")
    until("one process", lambda: len(processes_with(mark)) == 1)
    assert pods.logs("hurried") == "last\n"
    pods.delete("hurried")
    until("none", lambda: not processes_with(mark))


def is_ready(found: Document) -> bool:
    conditions = found.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_pods_of_every_state_go_with_their_namespace(cluster: Cluster) -> None:
    with namespace(cluster, "mixture") as mixture:
        mixture.apply(
            pod("runs", sh(FOREVER)),
            pod("done", sh("true"), restartPolicy="Never"),
            pod("loops", sh("exit 1")),
            pod("no-image", {"image": "no/such"}),
            pod("no-node", sh(FOREVER), nodeSelector={"no": "node"}),
            pod("no-map", sh("true", envFrom=[{"configMapRef": {"name": "none"}}])),
            pod("in-init", sh(FOREVER), initContainers=[{**sh(FOREVER), "name": "init"}]),
        )
        mixture.until_ready("runs")
        mixture.until_phase("done", "Succeeded")
        mixture.until_state("loops", "CrashLoopBackOff")
        mixture.until_state("no-image", "waiting")
        mixture.until_event("no-node", "FailedScheduling")
        mixture.until_state("no-map", "CreateContainerConfigError")
        mixture.until_state("in-init", "running", "init")


def test_realistic_profile(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    """A kubelet's own sloth: an exit is noticed a second later."""
    pods = Pods(make_cluster("--profile", "realistic"), "default")
    diary = tmp_path / "diary"
    pods.apply(pod("ends", sh(f"sleep 1; date +%s.%N > {diary}"), restartPolicy="Never"))
    pods.until_state("ends", "running")
    pods.until_phase("ends", "Succeeded")
    assert 1 <= time.time() - float(diary.read_text()) < 10
    assert pods.container("ends")["state"]["terminated"]["exitCode"] == 0
