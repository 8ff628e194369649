"""Ten minutes a second: what controllers and kubelets wait for comes at once.

Everything is applied together, so that it is waited for once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.conftest import LOOPKUBE, Cluster, processes_of, run, until, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

Object = dict[str, Any]
SCALE = ("--time-scale", "600")


def container(*command: str, **more: Any) -> Object:
    return {"name": "c", "image": "busybox:1", "command": list(command), **more}


TICK = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "tick"},
    "spec": {
        "schedule": "*/5 * * * *",
        "successfulJobsHistoryLimit": 2,
        "jobTemplate": {
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container("true")]}}},
        },
    },
}
STUCK = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "stuck"},
    "spec": {
        "selector": {"matchLabels": {"app": "stuck"}},
        "progressDeadlineSeconds": 600,
        "template": {
            "metadata": {"labels": {"app": "stuck"}},
            "spec": {
                "containers": [container("sleep", "600", readinessProbe={"exec": {"command": ["false"]}})],
                "terminationGracePeriodSeconds": 1,
            },
        },
    },
}
CRASH = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "crash"},
    "spec": {"containers": [container("sh", "-c", "exit 3")]},
}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = up(tmp_path_factory.mktemp("fast") / "c", *SCALE)
    cluster.apply(TICK, STUCK, CRASH)
    yield cluster
    cluster.loopkube("down", "--purge", check=False)
    assert processes_of(cluster.folder) == []


def test_a_cron_job_keeps_its_schedule(cluster: Cluster) -> None:
    seen: dict[str, Object] = {}

    def fired() -> bool:
        seen.update({job["metadata"]["name"]: job for job in cluster.get("jobs")["items"]})
        return len(seen) >= 4

    until("four times five minutes", fired, 20)
    minutes = {int(name.removeprefix("tick-")) for name in seen}
    assert all(minute % 5 == 0 for minute in minutes)
    for name, job in seen.items():
        late_s = at(job["metadata"]["creationTimestamp"]) - 60 * int(name.removeprefix("tick-"))
        assert late_s >= 0
        scheduled = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        assert at(scheduled) == 60 * int(name.removeprefix("tick-"))

    def finished() -> list[str]:
        jobs = cluster.get("jobs")["items"]
        return [job["metadata"]["name"] for job in jobs if job.get("status", {}).get("completionTime")]

    until("two finished ones are kept", lambda: 0 < len(finished()) <= 2, 20)


def test_deadlines_and_back_offs_of_minutes_pass_in_seconds(cluster: Cluster) -> None:
    def progressing() -> str:
        conditions = cluster.get("deployment", "stuck").get("status", {}).get("conditions") or ()
        return next((str(c["reason"]) for c in conditions if c["type"] == "Progressing"), "")

    until("ten minutes without progress", lambda: progressing() == "ProgressDeadlineExceeded", 20)
    text = cluster.kubectl("rollout", "status", "deployment/stuck", check=False).stderr
    assert 'deployment "stuck" exceeded its progress deadline' in text

    def crashed() -> Object:
        status: Object = (cluster.get("pod", "crash")["status"].get("containerStatuses") or [{}])[0]
        return status if status.get("restartCount", 0) >= 6 else {}

    status = until("six restarts, 10 + 20 + 40 + 80 + 160 s apart", crashed, 20)  # the first comes at once
    pod = cluster.get("pod", "crash")
    last = status.get("lastState", {}).get("terminated") or status["state"]["terminated"]
    assert at(last["startedAt"]) - at(pod["status"]["startTime"]) >= 150


def test_time_goes_on_where_it_was(cluster: Cluster) -> None:
    """The last one with this cluster: it is as slow as the machine afterwards."""
    assert cluster.status()["timeScale"] == 600
    cluster.kubectl("create", "configmap", "before")
    cluster.loopkube("down")
    up(cluster.folder)
    assert cluster.status()["timeScale"] == 1
    cluster.kubectl("create", "configmap", "after")
    made = [cluster.get("configmap", name)["metadata"]["creationTimestamp"] for name in ("before", "after")]
    assert at(made[0]) <= at(made[1])
    lease = cluster.get("lease", "-n", "kube-node-lease", "loopkube-0")
    assert at(lease["spec"]["renewTime"]) >= at(made[0])


@pytest.mark.parametrize("scale", ["0.5", "fast", "nan", "1e9"])
def test_nonsense_is_one_line(scale: str) -> None:
    result = run(*LOOPKUBE, "up", "--time-scale", scale, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "a number between 1 and 3600" in result.stderr
