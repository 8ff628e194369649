"""Each workload kind broken on purpose, told by kubectl as on a real cluster, and deleted with each cascade.

All breakages of all kinds are made at once in one namespace, so that the waits (a second crash, an image's back-off)
are waited once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Object = dict[str, Any]
KINDS = {
    "deployment": ("apps/v1", "Deployment"),
    "replicaset": ("apps/v1", "ReplicaSet"),
    "statefulset": ("apps/v1", "StatefulSet"),
    "daemonset": ("apps/v1", "DaemonSet"),
    "job": ("batch/v1", "Job"),
}
OLD_KINDS = {"replicationcontroller": ("v1", "ReplicationController")}  # whose controller is the ReplicaSets'
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]


class Namespace:
    """kubectl within a namespace of the test's own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        cluster.kubectl("create", "namespace", name)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        done = self.cluster.kubectl("-n", self.name, *arguments, check=check)
        return done.stdout + done.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *documents: Object) -> None:
        for document in documents:
            document["metadata"]["namespace"] = self.name
        self.cluster.apply(*documents)

    def pods(self, name: str) -> list[Object]:
        found: list[Object] = self.get("pods", "-l", f"app={name}")["items"]
        return found


@pytest.fixture
def space(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    made = Namespace(cluster, "broken-" + request.node.name.removeprefix("test_").replace("_", "-")[:20].strip("-"))
    yield made
    cluster.kubectl("delete", "namespace", made.name, "--wait=false")


def workload(kind: str, name: str, *, pod: Object | None = None, **container: Any) -> Object:
    """One pod's worth of a kind; a DaemonSet keeps to one node."""
    api_version, full = (KINDS | OLD_KINDS)[kind]
    main = {"name": "main", "image": "busybox", "command": SLEEP, **container}
    spec: Object = {"containers": [main], "terminationGracePeriodSeconds": 1, **(pod or {})}
    body: Object = {"template": {"metadata": {"labels": {"app": name}}, "spec": spec}}
    if kind == "job":
        spec["restartPolicy"] = "OnFailure"
    else:
        body["selector"] = {"matchLabels": {"app": name}}
    if kind == "statefulset":
        body["serviceName"] = name
    if kind in OLD_KINDS:
        body["selector"] = {"app": name}
    if kind == "daemonset":
        spec.setdefault("nodeSelector", {"kubernetes.io/hostname": "loopkube-0"})
    return {"apiVersion": api_version, "kind": full, "metadata": {"name": name}, "spec": body}


NEVER_READY = {"exec": {"command": ["false"]}, "periodSeconds": 1}
BREAKAGES: dict[str, Object] = {
    "crash": {"command": ["sh", "-c", "exit 3"]},
    "unready": {"readinessProbe": NEVER_READY},
    "image": {"image": "nobody/knows:this", "command": None},
    "node": {"pod": {"nodeSelector": {"no": "such-node"}}},
}
SEEN = {
    "crash": ("CrashLoopBackOff", "Back-off restarting failed container main in pod"),
    "unready": ("Running", "Readiness probe failed"),
    "image": ("ImagePullBackOff", 'Back-off pulling image "nobody/knows:this"'),
    "node": ("Pending", "node(s) didn't match Pod's node affinity/selector"),
}
WAITING = {
    "deployment": 'Waiting for deployment "{}" rollout to finish: 0 of 1 updated replicas are available...',
    "statefulset": "Waiting for 1 pods to be ready...",
    "daemonset": 'Waiting for daemon set "{}" rollout to finish: 0 of 1 updated pods are available...',
}
DESCRIBED = {
    "deployment": "1 desired | 1 updated | 1 total | 0 available | 1 unavailable",
    "replicaset": "1 current / 1 desired",
    "statefulset": "1 desired | 1 total",
    "daemonset": "Desired Number of Nodes Scheduled: 1",
    "job": "0 Succeeded / 0 Failed",
}


def test_what_is_broken_says_so(space: Namespace) -> None:
    rows = [(kind, how, f"{kind}-{how}") for kind in KINDS for how in BREAKAGES if (kind, how) != ("daemonset", "node")]
    space.apply(*(workload(kind, name, **BREAKAGES[how]) for kind, how, name in rows))

    def shown() -> dict[str, str]:
        """The STATUS column by workload."""
        lines = space.kubectl("get", "pods", "--show-labels", "--no-headers").splitlines()
        return {label.removeprefix("app="): line.split()[2] for line in lines for label in line.split()[-1].split(",")
                if label.startswith("app=")}  # fmt: skip

    until("every breakage's word", lambda: shown().items() >= {(name, SEEN[how][0]) for _, how, name in rows})
    for kind, how, name in rows:
        (pod,) = space.pods(name)
        words = SEEN[how][1]
        until(f"{words} of {name}", lambda: words in space.kubectl("describe", "pod", pod["metadata"]["name"]))  # noqa: B023
        assert DESCRIBED[kind] in space.kubectl("describe", kind, name).replace("  ", " "), name
        if kind in WAITING:
            told = space.kubectl("rollout", "status", f"{kind}/{name}", "--timeout=1s", check=False)
            assert WAITING[kind].format(name) in told


def test_a_daemon_set_wants_nothing_where_no_node_fits(space: Namespace) -> None:
    space.apply(workload("daemonset", "nowhere", **BREAKAGES["node"]))
    until("the status", lambda: space.get("daemonset", "nowhere")["status"].get("observedGeneration"))
    assert space.get("daemonset", "nowhere")["status"]["desiredNumberScheduled"] == 0
    assert "Desired Number of Nodes Scheduled: 0" in space.kubectl("describe", "daemonset", "nowhere")
    assert "successfully rolled out" in space.kubectl("rollout", "status", "daemonset/nowhere", "--timeout=5s")


def test_deadlines_that_pass(space: Namespace) -> None:
    late = workload("deployment", "late", **BREAKAGES["unready"])
    late["spec"]["progressDeadlineSeconds"] = 2
    slow = workload("job", "slow")
    slow["spec"]["activeDeadlineSeconds"] = 2
    space.apply(late, slow)
    told = space.kubectl("rollout", "status", "deployment/late", "--timeout=30s", check=False)
    assert 'error: deployment "late" exceeded its progress deadline' in told
    described = space.kubectl("describe", "deployment", "late")
    assert ["Progressing", "False", "ProgressDeadlineExceeded"] in [line.split() for line in described.splitlines()]
    space.kubectl("wait", "--for=condition=Failed", "job/slow", "--timeout=30s")
    words = "Job was active longer than specified deadline"
    until("the event", lambda: words in space.kubectl("describe", "job", "slow"))
    assert not space.pods("slow")


def test_a_quota_that_is_used_up_is_told_and_made_good(space: Namespace) -> None:
    """Conformance: ReplicationController should surface a failure condition on a common issue like exceeded quota."""
    space.kubectl("create", "quota", "two", "--hard=pods=2")
    until("the quota's status", lambda: space.get("quota", "two").get("status", {}).get("hard"))
    controller = workload("replicationcontroller", "many")
    controller["spec"]["replicas"] = 3
    space.apply(controller)

    def failure() -> Object | None:
        found = space.get("rc", "many").get("status", {}).get("conditions") or ()
        return next((one for one in found if one["type"] == "ReplicaFailure"), None)

    condition = until("the condition", failure)
    assert condition is not None
    assert condition["reason"] == "FailedCreate"
    assert "exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2" in condition["message"]
    assert len(space.pods("many")) == 2
    until("the event", lambda: 'Error creating: pods "many-' in space.kubectl("describe", "rc", "many"))
    until("what is used", lambda: space.get("quota", "two")["status"]["used"] == {"pods": "2"})
    assert ["pods", "2", "2"] in [line.split() for line in space.kubectl("describe", "quota", "two").splitlines()]
    assert "pods: 2/2" in space.kubectl("get", "quota")
    space.kubectl("scale", "rc", "many", "--replicas=2")
    until("no failure", lambda: failure() is None)
    space.kubectl("delete", "rc", "many", "--timeout=30s")
    until("all given back", lambda: space.get("quota", "two")["status"]["used"] == {"pods": "0"})


def test_a_limit_range_fills_in_and_refuses(space: Namespace) -> None:
    item = {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}, "defaultRequest": {"cpu": "200m"}}
    space.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "cpus"}, "spec": {"limits": [item]}})
    assert "Container" in space.kubectl("describe", "limits", "cpus")
    space.kubectl("run", "plain", "--image=busybox", "--restart=Never", "--command", "--", "true")
    (container,) = space.get("pod", "plain")["spec"]["containers"]
    assert container["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "200m"}}
    big = workload("deployment", "big", resources={"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}})
    space.apply(big)
    words = (
        "is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, "
        "maximum cpu usage per Container is 1, but limit is 2]"
    )
    until("the failure", lambda: words in space.kubectl("describe", "replicaset", "-l", "app=big"))
    described = space.kubectl("describe", "deployment", "big")
    assert ["ReplicaFailure", "True", "FailedCreate"] in [line.split() for line in described.splitlines()]


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_cascades_of_every_kind(space: Namespace, cascade: str) -> None:
    names = {kind: f"{kind}-{cascade}" for kind in KINDS | OLD_KINDS if kind != "deployment"}
    space.apply(*(workload(kind, name) for kind, name in names.items()))
    until("every pod", lambda: all(
        [pod["status"].get("phase") for pod in space.pods(name)] == ["Running"] for name in names.values()
    ))  # fmt: skip
    for kind, name in names.items():
        space.kubectl("delete", kind, name, f"--cascade={cascade}", "--timeout=30s")
    for kind, name in names.items():
        if cascade != "orphan":
            until(f"the pods of the {kind}", lambda: not space.pods(name))  # noqa: B023
            continue
        (pod,) = space.pods(name)
        assert not pod["metadata"].get("ownerReferences"), kind
        assert "deletionTimestamp" not in pod["metadata"], kind
