"""StatefulSets, DaemonSets, Jobs and CronJobs with real processes, driven by kubectl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from control.api.objects import Key
from control.controllers.cronjob.controller import CronJobController
from control.controllers.daemonset.controller import DaemonSetController
from control.controllers.job.controller import JobController
from control.controllers.statefulset.controller import StatefulSetController
from control.mirror.world import World
from tests.e2e.clients import get
from tests.e2e.conftest import Cluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Object = dict[str, Any]


@pytest.fixture
def name(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of the test's own; everything that has it is deleted at the end."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:24].strip("-")
    yield name
    cluster.kubectl("delete", "cronjob,job,statefulset,daemonset", name, "--ignore-not-found")


def server(name: str, version: str = "v1") -> Object:
    """A pod template of `loopkube/echo`."""
    container = {
        "name": "echo",
        "image": f"loopkube/echo:{version}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 2}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def worker(script: str, policy: str = "Never") -> Object:
    """A pod template that runs a script and ends."""
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    return {"spec": {"containers": [container], "restartPolicy": policy, "terminationGracePeriodSeconds": 1}}


def stateful_set(name: str, replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": server(name),
            **spec,
        },
    }


def daemon_set(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": server(name), **spec},
    }


def job(name: str, script: str, policy: str = "Never", **spec: Any) -> Object:
    body = {"template": worker(script, policy), **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def pods(cluster: Cluster, selector: str) -> list[Object]:
    found = cluster.get("pods", "-l", selector)["items"]
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def images(cluster: Cluster, name: str) -> dict[str, str]:
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].partition(":")[2]
        for pod in pods(cluster, f"app={name}")
    }


def rolled_out(cluster: Cluster, what: str) -> str:
    return cluster.kubectl("rollout", "status", what, "--timeout=90s").stdout


def reasons(cluster: Cluster, kind: str, name: str) -> dict[str, str]:
    """The true conditions of an object, with their reasons."""
    conditions = cluster.get(kind, name)["status"].get("conditions", ())
    return {one["type"]: one.get("reason", "") for one in conditions if one["status"] == "True"}


def test_at_rest_the_controllers_ask_for_nothing(cluster: Cluster, name: str) -> None:
    """On objects as the server keeps them, which drops some empty fields and adds others."""
    labelled = {"matchLabels": {"app": f"{name}-d"}}
    daemons = daemon_set(name, selector=labelled, template=server(f"{name}-d"))
    indexed: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": 2,
        "parallelism": 2,
        "backoffLimitPerIndex": 1,
    }
    cluster.apply(stateful_set(name, replicas=1), daemons, job(name, "exit 0", **indexed))
    rolled_out(cluster, f"statefulset/{name}")
    rolled_out(cluster, f"daemonset/{name}")
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    cluster.apply({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": worker("exit 0")}}},
    })  # fmt: skip

    def writes() -> list[str]:
        world = World.of(cluster.get("pods,nodes,controllerrevisions,statefulsets,daemonsets,jobs,cronjobs")["items"])
        found = []
        for controller in (StatefulSetController(), DaemonSetController(), JobController(), CronJobController()):
            outcome = controller.reconcile(world, Key("default", name), datetime.now(UTC))
            found += [f"{controller.name}: {action}" for action in outcome.actions]
        return found

    until("rest", lambda: not writes())


# --- StatefulSets -------------------------------------------------------------------------------------------------


def test_a_stateful_set_is_made_in_order_and_scaled_down_in_reverse(cluster: Cluster, name: str) -> None:
    cluster.apply(stateful_set(name))
    rolled_out(cluster, f"statefulset/{name}")
    found = pods(cluster, f"app={name}")
    assert [pod["metadata"]["name"] for pod in found] == [f"{name}-{index}" for index in range(3)]
    assert [pod["spec"]["hostname"] for pod in found] == [f"{name}-{index}" for index in range(3)]
    assert [pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] for pod in found] == ["0", "1", "2"]
    ready = [next(c for c in pod["status"]["conditions"] if c["type"] == "Ready") for pod in found]
    started = [pod["metadata"]["creationTimestamp"] for pod in found]
    assert all(one["lastTransitionTime"] <= after for one, after in zip(ready, started[1:], strict=False))
    cluster.kubectl("scale", "statefulset", name, "--replicas=1")
    until("one pod", lambda: [pod["metadata"]["name"] for pod in pods(cluster, f"app={name}")] == [f"{name}-0"])
    assert "create Pod" in cluster.kubectl("describe", "statefulset", name).stdout


def test_a_stateful_set_rolls_with_a_partition_and_back(cluster: Cluster, name: str) -> None:
    cluster.apply(stateful_set(name, podManagementPolicy="Parallel"))
    rolled_out(cluster, f"statefulset/{name}")
    partition = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}
    cluster.kubectl("patch", "statefulset", name, "-p", str(partition).replace("'", '"'))
    cluster.kubectl("set", "image", f"statefulset/{name}", "echo=loopkube/echo:v2")
    assert "1 new pods have been updated" in rolled_out(cluster, f"statefulset/{name}")
    assert images(cluster, name) == {f"{name}-0": "v1", f"{name}-1": "v1", f"{name}-2": "v2"}
    cluster.kubectl("delete", "pod", f"{name}-0")
    until("the old version again", lambda: images(cluster, name).get(f"{name}-0") == "v1")
    partition["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0
    cluster.kubectl("patch", "statefulset", name, "-p", str(partition).replace("'", '"'))
    rolled_out(cluster, f"statefulset/{name}")
    assert set(images(cluster, name).values()) == {"v2"}
    assert {"1", "2"} <= set(cluster.kubectl("rollout", "history", f"statefulset/{name}").stdout.split())
    cluster.kubectl("rollout", "undo", f"statefulset/{name}")
    rolled_out(cluster, f"statefulset/{name}")
    assert set(images(cluster, name).values()) == {"v1"}


def test_a_broken_rollout_of_a_stateful_set_stops_at_the_first_pod(cluster: Cluster, name: str) -> None:
    cluster.apply(stateful_set(name, replicas=2))
    rolled_out(cluster, f"statefulset/{name}")
    cluster.kubectl("set", "image", f"statefulset/{name}", "echo=nowhere/echo:none")
    until("the broken pod", lambda: images(cluster, name).get(f"{name}-1") == "none")
    failed = cluster.kubectl("rollout", "status", f"statefulset/{name}", "--timeout=2s", check=False)
    assert failed.returncode
    assert images(cluster, name)[f"{name}-0"] == "v1"
    cluster.kubectl("rollout", "undo", f"statefulset/{name}")
    cluster.kubectl("delete", "pod", f"{name}-1")  # the documented forced rollback
    rolled_out(cluster, f"statefulset/{name}")
    assert set(images(cluster, name).values()) == {"v1"}


# --- DaemonSets ---------------------------------------------------------------------------------------------------


def test_a_daemon_set_is_on_every_node_and_follows_labels(cluster: Cluster, name: str) -> None:
    cluster.apply(daemon_set(name))
    rolled_out(cluster, f"daemonset/{name}")
    assert {pod["spec"]["nodeName"] for pod in pods(cluster, f"app={name}")} == {"loopkube-0", "loopkube-1"}
    victim = pods(cluster, f"app={name}")[0]["metadata"]["name"]
    cluster.kubectl("delete", "pod", victim)
    rolled_out(cluster, f"daemonset/{name}")
    cluster.kubectl("label", "node", "loopkube-1", f"{name}=yes")
    selecting = f'{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"{name}":"yes"}}}}}}}}}}'
    cluster.kubectl("patch", "daemonset", name, "-p", selecting)
    until("one node", lambda: {p["spec"].get("nodeName") for p in pods(cluster, f"app={name}")} == {"loopkube-1"})
    until("the count", lambda: cluster.get("daemonset", name)["status"]["desiredNumberScheduled"] == 1)
    cluster.kubectl("label", "node", "loopkube-1", f"{name}-")
    until("no node", lambda: not pods(cluster, f"app={name}"))


@pytest.mark.parametrize("rolling", [{"maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}], ids=str)
def test_a_daemon_set_rolls_and_back(cluster: Cluster, name: str, rolling: Object) -> None:
    cluster.apply(daemon_set(name, updateStrategy={"rollingUpdate": rolling}))
    rolled_out(cluster, f"daemonset/{name}")
    before = images(cluster, name)
    cluster.kubectl("set", "image", f"daemonset/{name}", "echo=nowhere/echo:none")
    until("the broken pod", lambda: "none" in images(cluster, name).values())
    kept = before.keys() & images(cluster, name).keys()
    history = cluster.kubectl("rollout", "history", f"daemonset/{name}").stdout
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    cluster.kubectl("rollout", "undo", f"daemonset/{name}")
    rolled_out(cluster, f"daemonset/{name}")
    assert kept
    assert kept <= images(cluster, name).keys(), "a rollback restarts nothing that is good"
    cluster.kubectl("set", "image", f"daemonset/{name}", "echo=loopkube/echo:v2")
    rolled_out(cluster, f"daemonset/{name}")
    assert set(images(cluster, name).values()) == {"v2"}


def test_a_failed_daemon_pod_is_replaced(cluster: Cluster, name: str) -> None:
    cluster.apply(daemon_set(name))
    rolled_out(cluster, f"daemonset/{name}")
    victim = pods(cluster, f"app={name}")[0]["metadata"]["name"]
    cluster.kubectl("patch", "pod", victim, "--subresource=status", "-p", '{"status":{"phase":"Failed"}}')
    until("its end", lambda: victim not in images(cluster, name))
    rolled_out(cluster, f"daemonset/{name}")


# --- Jobs ---------------------------------------------------------------------------------------------------------


def test_a_job_runs_to_completion(cluster: Cluster, name: str) -> None:
    cluster.apply(job(name, "exit 0", completions=4, parallelism=2))
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    status = cluster.get("job", name)["status"]
    assert status["succeeded"] == 4
    assert status["uncountedTerminatedPods"] == {}
    assert reasons(cluster, "job", name)["Complete"] == "CompletionsReached"
    assert not any(pod["metadata"].get("finalizers") for pod in pods(cluster, f"job-name={name}"))
    cluster.kubectl("delete", "job", name)
    until("no pods", lambda: not cluster.get("pods", "-l", f"job-name={name}")["items"])


def test_an_indexed_job_tells_its_pods_who_they_are(cluster: Cluster, name: str) -> None:
    script = 'echo "index $JOB_COMPLETION_INDEX"'
    cluster.apply(job(name, script, completions=3, parallelism=3, completionMode="Indexed"))
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert cluster.get("job", name)["status"]["completedIndexes"] == "0-2"
    found = pods(cluster, f"job-name={name}")
    by_index = {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: pod for pod in found}
    assert {index: pod["spec"]["hostname"] for index, pod in by_index.items()} == {
        index: f"{name}-{index}" for index in ("0", "1", "2")
    }
    logs = cluster.kubectl("logs", by_index["2"]["metadata"]["name"]).stdout
    assert logs.strip() == "index 2"


def test_a_failing_job_is_tried_again_and_given_up(cluster: Cluster, name: str) -> None:
    cluster.apply(job(name, "exit 3", backoffLimit=0))
    cluster.kubectl("wait", "--for=condition=Failed", f"job/{name}", "--timeout=60s")
    assert reasons(cluster, "job", name)["Failed"] == "BackoffLimitExceeded"
    assert cluster.get("job", name)["status"]["failed"] == 1
    assert "Job has reached the specified backoff limit" in cluster.kubectl("describe", "job", name).stdout


def test_a_container_that_fails_at_first_is_restarted_in_its_pod(cluster: Cluster, name: str) -> None:
    script = "if [ -e $HOME/data/foo ]; then exit 0; fi; touch $HOME/data/foo; exit 1"
    documents = job(name, script, policy="OnFailure", completions=2, parallelism=2)
    spec = documents["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    cluster.apply(documents)
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert cluster.get("job", name)["status"]["succeeded"] == 2


def test_exit_codes_fail_a_job_early_and_indexes_alone(cluster: Cluster, name: str) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    cluster.apply(job(name, "exit 42", backoffLimit=5, podFailurePolicy={"rules": [rule]}))
    cluster.kubectl("wait", "--for=condition=Failed", f"job/{name}", "--timeout=60s")
    assert reasons(cluster, "job", name)["Failed"] == "PodFailurePolicy"
    cluster.kubectl("delete", "job", name)
    rule["action"] = "FailIndex"
    script = 'if [ "$JOB_COMPLETION_INDEX" = 1 ]; then exit 42; fi'
    spec: dict[str, Any] = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 2}
    cluster.apply(job(name, script, podFailurePolicy={"rules": [rule]}, **spec))
    cluster.kubectl("wait", "--for=condition=Failed", f"job/{name}", "--timeout=60s")
    status = cluster.get("job", name)["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert reasons(cluster, "job", name)["Failed"] == "FailedIndexes"


def test_a_success_policy_ends_a_job_and_stops_the_rest(cluster: Cluster, name: str) -> None:
    script = 'if [ "$JOB_COMPLETION_INDEX" != 0 ]; then exec sleep 600; fi'
    policy = {"rules": [{"succeededIndexes": "0"}]}
    spec: dict[str, Any] = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    cluster.apply(job(name, script, successPolicy=policy, **spec))
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert reasons(cluster, "job", name)["SuccessCriteriaMet"] == "SuccessPolicy"
    assert cluster.get("job", name)["status"]["terminating"] == 0


def test_suspending_a_job_stops_it_and_resuming_finishes_it(cluster: Cluster, name: str) -> None:
    cluster.apply(job(name, "sleep 1", suspend=True))
    until("Suspended", lambda: "Suspended" in reasons(cluster, "job", name))
    assert not pods(cluster, f"job-name={name}")
    cluster.kubectl("patch", "job", name, "-p", '{"spec":{"suspend":false}}')
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")


def test_a_job_ends_at_its_deadline_and_is_forgotten_after_its_time(cluster: Cluster, name: str) -> None:
    cluster.apply(job(name, "exec sleep 600", activeDeadlineSeconds=1, ttlSecondsAfterFinished=1))
    cluster.kubectl("wait", "--for=condition=Failed", f"job/{name}", "--timeout=60s")
    until("its end", lambda: not cluster.kubectl("get", "job", name, "--ignore-not-found").stdout)
    until("no pods", lambda: not cluster.get("pods", "-l", f"job-name={name}")["items"])


def test_a_deleted_job_leaves_no_pods(cluster: Cluster, name: str) -> None:
    cluster.apply(job(name, "exec sleep 600", parallelism=2, completions=2))
    until("two pods", lambda: cluster.get("job", name)["status"].get("ready") == 2)
    cluster.kubectl("delete", "job", name)
    until("no pods", lambda: not cluster.get("pods", "-l", f"job-name={name}")["items"])


# --- CronJobs -----------------------------------------------------------------------------------------------------


def test_a_cron_job_runs_keeps_its_history_and_can_be_run_by_hand(cluster: Cluster, name: str) -> None:
    spec = {
        "schedule": "@every 1s",
        "successfulJobsHistoryLimit": 1,
        "jobTemplate": {"spec": {"template": worker("exit 0")}},
    }
    cluster.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec})
    first = until("a Job", lambda: _jobs_of(cluster, name))[0]
    minutes = int(first["metadata"]["name"].rpartition("-")[2])
    scheduled = first["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert scheduled.endswith("Z")
    assert minutes > 29_000_000
    until("a success", lambda: cluster.get("cronjob", name)["status"].get("lastSuccessfulTime"))
    cluster.kubectl("patch", "cronjob", name, "-p", '{"spec":{"suspend":true}}')
    cluster.kubectl("create", "job", f"{name}-by-hand", f"--from=cronjob/{name}")
    until("the history's limit", lambda: len(_jobs_of(cluster, name)) == 1)
    assert "Created job" in cluster.kubectl("describe", "cronjob", name).stdout
    cluster.kubectl("delete", "cronjob", name)
    until("no jobs", lambda: not _jobs_of(cluster, name))


def _jobs_of(cluster: Cluster, name: str) -> list[Object]:
    jobs = cluster.get("jobs")["items"]
    return [one for one in jobs if any(ref["name"] == name for ref in one["metadata"].get("ownerReferences", ()))]


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController"])
def test_every_replica_answers_by_its_own_name(cluster: Cluster, name: str, kind: str) -> None:
    plain = kind == "ReplicationController"
    selector = {"app": name} if plain else {"matchLabels": {"app": name}}
    spec = {"replicas": 2, "selector": selector, "template": server(name)}
    cluster.apply({"apiVersion": "v1" if plain else "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
    until("two ready pods", lambda: cluster.get(kind, name).get("status", {}).get("readyReplicas") == 2)
    for pod in pods(cluster, f"app={name}"):
        answer = get(pod["status"]["podIP"], 8080)
        assert answer.json["pod"] == pod["metadata"]["name"]
    cluster.kubectl("delete", kind, name, "--timeout=60s")
    assert not pods(cluster, f"app={name}")
