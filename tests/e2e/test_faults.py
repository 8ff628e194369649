"""kill -9 of each part, under load: traffic goes on, the part comes back, pods are adopted, nothing acknowledged is
lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.lab.sampler import Load, Sampler
from bench.lab.stats import Count, count
from tests.e2e.conftest import Cluster, echo_app, processes_of, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
RATE = 200.0


@contextmanager
def load(cluster: Cluster) -> Iterator[Callable[[], Sampler]]:
    """An open-loop load through the Ingress, in a thread of its own; the yielded function ends it."""
    address = urlsplit(cluster.http)
    sampler = Sampler(Load(str(address.hostname), int(address.port or 80), "echo.local", rate=RATE))
    thread = threading.Thread(target=lambda: asyncio.run(sampler.run()))
    thread.start()

    def end() -> Sampler:
        sampler.stop()
        thread.join()
        return sampler

    try:
        until("the first answers", lambda: len(sampler.samples) > RATE / 4)
        yield end
    finally:
        end()


@pytest.fixture
def echo(make_cluster: Callable[..., Cluster]) -> Cluster:
    """A cluster of two workers with three echo pods behind an Ingress that answers."""
    cluster = make_cluster("--workers", "2")
    cluster.apply(*echo_app())
    cluster.kubectl("rollout", "status", "deployment/echo", "--timeout=60s")
    until("the Ingress", lambda: answers(cluster))
    return cluster


def answers(cluster: Cluster) -> bool:
    address = urlsplit(cluster.http)
    sampler = Sampler(Load(str(address.hostname), int(address.port or 80), "echo.local", rate=100))
    sampler = Sampler(sampler._load, lambda _: sampler.stop())
    asyncio.run(sampler.run())
    return count(sampler.samples).lost == 0


def containers(cluster: Cluster) -> dict[str, tuple[Any, ...]]:
    """What must not change when pods are adopted: (uid, address, container id, start, restarts) by pod."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            pod["status"]["podIP"],
            pod["status"]["containerStatuses"][0]["containerID"],
            pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"],
            pod["status"]["containerStatuses"][0]["restartCount"],
        )
        for pod in cluster.get("pods", "-l", "app=echo")["items"]
    }


def kill_part(cluster: Cluster, name: str) -> None:
    """kill -9 of one of loopkube's processes, until its successor is ready."""
    pid = cluster.pid(name)
    os.kill(pid, signal.SIGKILL)

    def successor() -> bool:
        process = next(p for p in cluster.status()["processes"] if p["name"] == name)
        return process["pid"] not in (0, pid) and process["ready"] and process["restarts"] >= 1

    until(f"{name} to come back", successor)


def pod_pids(cluster: Cluster) -> set[int]:
    return {pid for pid in processes_of(cluster.folder) if b"LOOPKUBE_POD=" in _environ(pid)}


def _environ(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_control_may_die(echo: Cluster) -> None:
    before, pids = containers(echo), pod_pids(echo)
    assert len(pids) == 3
    for number in range(20):
        echo.kubectl("create", "configmap", f"c{number}")
    with load(echo) as end:
        kill_part(echo, "control")
        names = {item["metadata"]["name"] for item in echo.get("configmaps")["items"]}
        assert names >= {f"c{number}" for number in range(20)}
        assert containers(echo) == before
        assert pod_pids(echo) == pids
        echo.kubectl("scale", "deployment", "echo", "--replicas=4")
        echo.kubectl("rollout", "status", "deployment/echo", "--timeout=60s")
        assert count(end().samples).lost == 0


def test_node_may_die_and_adopts_its_pods(echo: Cluster) -> None:
    before, pids = containers(echo), pod_pids(echo)
    with load(echo) as end:
        kill_part(echo, "node")
        assert containers(echo) == before
        assert pod_pids(echo) == pids
        victim = min(pids)
        os.kill(victim, signal.SIGKILL)  # the successor must notice what happens to adopted processes
        until("a restart", lambda: sum(c[4] for c in containers_or_none(echo).values()) == 1)
        found = count(end().samples)
    assert found.answered > found.lost * 10  # the killed pod's own requests are lost, and only those
    pod = next(iter(before))
    until("its log", lambda: "listens on" in echo.kubectl("logs", pod).stdout)  # the restarted one may say it just now


def containers_or_none(cluster: Cluster) -> dict[str, tuple[Any, ...]]:
    try:
        return containers(cluster)
    except KeyError:  # a container is between two lives
        return {}


def test_a_worker_may_die(echo: Cluster) -> None:
    with load(echo) as end:
        kill_part(echo, "worker-0")
        found = count(end().samples)
    assert "refused" not in found.losses  # new connections wait for the successor
    assert_only_own_connections(found)
    assert answers(echo)


def assert_only_own_connections(found: Count) -> None:
    """A dead worker loses what was on its own connections: a handful at this rate, never a period."""
    assert found.lost <= 20, found


def test_a_node_that_died_while_pods_ended_accounts_for_them(echo: Cluster) -> None:
    pids = pod_pids(echo)
    node = echo.pid("node")
    os.kill(node, signal.SIGSTOP)  # a node that is away: it sees nothing of what follows
    victim = min(pids)
    os.kill(victim, signal.SIGKILL)
    until("the victim's end", lambda: not os.path.exists(f"/proc/{victim}"))
    os.kill(node, signal.SIGKILL)
    until("the restart", lambda: sum(c[4] for c in containers_or_none(echo).values()) == 1)
    pods = echo.get("pods", "-l", "app=echo")["items"]
    (last,) = [s["lastState"]["terminated"] for p in pods for s in p["status"]["containerStatuses"] if s["lastState"]]
    assert last["exitCode"] == 137


def test_the_supervisor_takes_everything_with_it(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    script = "sh -c 'setsid sleep 300 & sleep 300' & exec sleep 300"
    cluster.kubectl("run", "family", "--image=busybox", "--command", "--", "/bin/sh", "-c", script)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/family", "--timeout=30s")
    assert len(processes_of(cluster.folder)) >= 5
    os.kill(cluster.pid("supervisor"), signal.SIGKILL)
    until("the end of all", lambda: processes_of(cluster.folder) == [])


def test_down_leaves_nothing_and_up_goes_on(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    cluster.apply(*echo_app(replicas=1))
    cluster.kubectl("rollout", "status", "deployment/echo", "--timeout=60s")
    uid = cluster.get("deployment", "echo")["metadata"]["uid"]
    cluster.loopkube("down")
    assert processes_of(cluster.folder) == []
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    cluster.loopkube("up", "--detach", *ports)
    assert cluster.get("deployment", "echo")["metadata"]["uid"] == uid
    until("the Ingress", lambda: answers(cluster))


def test_what_was_acknowledged_survives_any_kill(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    for round_ in range(3):
        names = [f"r{round_}-{number}" for number in range(10)]
        items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in names]
        out = cluster.kubectl(
            "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        )
        acknowledged = {line.split()[0].removeprefix("configmap/") for line in out.stdout.splitlines()}
        kill_part(cluster, "control")
        assert acknowledged <= {item["metadata"]["name"] for item in cluster.get("configmaps")["items"]}
