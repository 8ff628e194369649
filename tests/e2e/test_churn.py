"""What endpoint churn costs clients, measured from outside by an open-loop load: nothing where the application plays
its part, and what is lost is shown and attributed where it does not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import (
    Ingress,
    admin,
    backend,
    cluster_ip,
    get,
    ingress,
    outside_service,
    phases,
    service,
    switch,
    worker_socket,
)
from tests.e2e.conftest import Cluster, echo_app, processes_of, until, up
from tests.e2e.loads import Running, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
RATE = 200.0
WORKERS = 2


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers with a careful Deployment `echo`: readiness, preStop, maxUnavailable 0."""
    cluster = up(tmp_path_factory.mktemp("busy") / "c", "--workers", str(WORKERS))
    cluster.apply(*echo_app())
    rolled_out(cluster, "echo")
    at = Ingress(cluster)
    until("the Ingress", lambda: at.status("echo.local") == 200)
    yield cluster
    cluster.loopkube("down", "--purge", check=False)
    assert processes_of(cluster.folder) == []


def rolled_out(cluster: Cluster, name: str) -> None:
    """The Deployment is as it should be, and the pods that it replaced are gone."""
    cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")
    wanted = cluster.get("deployment", name)["spec"]["replicas"]
    until("the old pods' end", lambda: len(cluster.get("pods", "-l", f"app={name}")["items"]) == wanted)


def sockets(cluster: Cluster) -> list[Path]:
    found = [worker_socket(cluster, number) for number in range(WORKERS)]
    return [socket for socket in found if socket.exists()]


@contextmanager
def both_ways(cluster: Cluster, name: str = "echo") -> Iterator[tuple[Running, Running]]:
    """Load through the Ingress, over new and reused connections, and on the cluster IP, over new ones.

    A reused connection to a cluster IP leads to one pod until that pod ends it, and a request that crosses its FIN is
    lost in every cluster: that is the client's keep-alive race, not the data plane's.
    """
    at = Ingress(cluster)
    address = cluster_ip(cluster, name)
    with (
        running(at.address, at.port, f"{name}.local", rate=RATE, workers=sockets(cluster)) as through,
        running(address, 80, rate=RATE / 2, reused=0, workers=sockets(cluster)) as direct,
    ):
        yield through, direct


def assert_nothing_lost(*runs: Running) -> None:
    for run in runs:
        result = run.end()
        assert result.count.answered > 100
        assert result.lost == 0, str(result)


def test_a_careful_rolling_update_loses_nothing(busy: Cluster) -> None:
    with both_ways(busy) as (through, direct):
        for version in ("v2", "v3"):
            busy.kubectl("set", "image", "deployment/echo", f"echo=loopkube/echo:{version}")
            rolled_out(busy, "echo")
        assert_nothing_lost(through, direct)
    for run in (through, direct):
        assert set(run.end().count.by_version) >= {"v2", "v3"}
        assert len(run.answered_by()) >= 6


def test_both_workers_take_their_share(busy: Cluster) -> None:
    at = Ingress(busy)
    before = [accepted(busy, number) for number in range(WORKERS)]
    for _ in range(60):
        assert at.status("echo.local") == 200
    shares = [accepted(busy, number) - was for number, was in enumerate(before)]
    assert sum(shares) == 60
    assert min(shares) > 5, shares  # the kernel spreads by a hash of ports: 5 or fewer of 60 come once in 1e11 runs


def accepted(cluster: Cluster, worker: int) -> int:
    text = admin(cluster, "/metrics", worker).body.decode()
    wanted = 'loopkube_accepted_total{listener="ingress-http"}'
    return int(sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(wanted)))


def test_scaling_up_and_down_loses_nothing(busy: Cluster) -> None:
    with both_ways(busy) as (through, direct):
        for replicas in (5, 2, 3):
            busy.kubectl("scale", "deployment/echo", f"--replicas={replicas}")
            rolled_out(busy, "echo")
        assert_nothing_lost(through, direct)


def test_a_flapping_readiness_loses_nothing(busy: Cluster) -> None:
    pod = busy.get("pods", "-l", "app=echo")["items"][0]["metadata"]["name"]
    with both_ways(busy) as (through, direct):
        for _ in range(3):
            for ready, phase in ((False, "not-ready"), (True, "ready")):
                switch(busy, pod, ready=ready)
                known = lambda phase=phase: phases(busy, "default/echo:80@ingress").get(f"default/{pod}") == phase  # noqa: E731
                until(f"{pod} to be {phase}", known)
        assert_nothing_lost(through, direct)


def test_a_killed_pod_loses_its_own_requests_only(busy: Cluster) -> None:
    pod = busy.get("pods", "-l", "app=echo")["items"][0]
    name = pod["metadata"]["name"]
    restarts = pod["status"]["containerStatuses"][0]["restartCount"]
    with both_ways(busy) as (through, direct):
        os.kill(process_of(busy, name), signal.SIGKILL)

        def is_back() -> bool:
            status = busy.get("pod", name)["status"]["containerStatuses"][0]
            return bool(status["restartCount"] > restarts and status["ready"])

        until("the restart", is_back)
        for run in (through, direct):
            result = run.end()
            # the process's death is known within milliseconds; a tenth of a second of a third of the load is a lot
            assert result.lost <= RATE * 0.1, str(result)
            assert {loss.target for loss in result.losses} <= {f"default/{name}"}, str(result)


def process_of(cluster: Cluster, pod: str) -> int:
    needle = f"LOOPKUBE_POD={pod}\0".encode()
    for pid in processes_of(cluster.folder):
        try:
            if needle in Path(f"/proc/{pid}/environ").read_bytes():
                return pid
        except OSError:
            continue
    raise AssertionError(f"no process of {pod}")


def careless(name: str, **env: str) -> list[dict[str, Any]]:
    """A Deployment without readiness probe and preStop hook, one pod after the other."""
    documents = echo_app(name)
    template = documents[0]["spec"]["template"]["spec"]
    (container,) = template["containers"]
    del container["readinessProbe"], container["lifecycle"]
    container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    return documents


def test_without_a_readiness_probe_loss_is_shown_and_attributed(busy: Cluster) -> None:
    busy.apply(*careless("rash", ECHO_SLOW_START_S="1"))
    rolled_out(busy, "rash")
    at = Ingress(busy)
    until("the pods, all of them", lambda: all(at.status("rash.local") == 200 for _ in range(9)))
    with running(at.address, at.port, "rash.local", rate=RATE, workers=sockets(busy)) as run:
        busy.kubectl("rollout", "restart", "deployment/rash")
        rolled_out(busy, "rash")
        until("the last pod's start", lambda: all(at.status("rash.local") == 200 for _ in range(9)))
        result = run.end()
    assert result.lost > RATE * 0.2, str(result)  # each pod gets its share of about a second before it listens
    assert {loss.sample.status for loss in result.losses} == {502}
    phases_ = {loss.phase for loss in result.losses}
    assert "unattributed" not in phases_
    assert "ready" in phases_
    assert {loss.why for loss in result.losses} == {"refused"}
    busy.kubectl("delete", "deployment,service,ingress", "rash")


def test_affinity_holds_over_workers(busy: Cluster) -> None:
    busy.apply(service("sticky", app="echo", sessionAffinity="ClientIP"))
    address = cluster_ip(busy, "sticky")
    until("sticky", lambda: reachable(address))
    for last in range(2, 12):
        pods = {get(address, 80, source=f"127.0.0.{last}").pod for _ in range(12)}
        assert len(pods) == 1, pods


def reachable(address: str) -> bool:
    try:
        return get(address, 80).status == 200
    except OSError:
        return False


@pytest.mark.parametrize(("profile", "service_s", "ingress_s"), [("fast", 0.0, 0.0), ("realistic", 1.0, 3.3)])
def test_profiles_have_the_delays_that_they_name(
    make_cluster: Callable[..., Cluster], profile: str, service_s: float, ingress_s: float
) -> None:
    """Of two changes right after each other the second waits for the sync period's end."""
    cluster = make_cluster("--profile", profile)
    documents = outside_service("far", "127.10.20.31", 9)
    cluster.apply(*documents, ingress("far", ("far.test", "Prefix", "/", backend("far"))))
    for flavour, delay_s in (("", service_s), ("@ingress", ingress_s)):
        periods = [period(cluster, documents[1], f"default/far:80{flavour}") for _ in range(2)]
        # each news is noticed a little late on a busy machine, so the time between two is only about the period
        assert delay_s * 0.8 <= max(periods) <= delay_s + 1.5, (flavour, periods)


def period(cluster: Cluster, slice_: dict[str, Any], name: str) -> float:
    """The time between a worker's news of two changes of a slice, of which the second comes right after the news of
    the first."""
    known_at = []
    for is_ready in (False, True):
        slice_["endpoints"][0]["conditions"] = {"ready": is_ready}
        cluster.apply(slice_)
        until(f"the worker's news that it is ready: {is_ready}", partial(knows, cluster, name, is_ready))
        known_at.append(time.monotonic())
    return known_at[1] - known_at[0]


def knows(cluster: Cluster, name: str, is_ready: bool) -> bool:
    return list(phases(cluster, name).values()) == ["ready" if is_ready else "not-ready"]


def serves(at: Ingress, host: str) -> bool:
    return at.status(host) == 200


def test_a_rollout_without_pre_stop_costs_more_where_delays_are_real(make_cluster: Callable[..., Cluster]) -> None:
    found = {}
    for profile in ("fast", "realistic"):
        cluster = make_cluster("--profile", profile)
        documents = echo_app("hasty")
        del documents[0]["spec"]["template"]["spec"]["containers"][0]["lifecycle"]
        cluster.apply(*documents)
        rolled_out(cluster, "hasty")
        at = Ingress(cluster)
        until("the Ingress", partial(serves, at, "hasty.local"))
        with running(at.address, at.port, "hasty.local", rate=RATE, workers=sockets(cluster)) as run:
            cluster.kubectl("rollout", "restart", "deployment/hasty")
            rolled_out(cluster, "hasty")
            found[profile] = run.end()
        cluster.loopkube("down", "--purge")
    fast, real = found["fast"], found["realistic"]
    print(fast, real, sep="\n")
    assert real.lost > fast.lost + RATE * 0.2, (str(fast), str(real))
    # the pods were gone and the Ingress did not know it yet
    assert {(loss.phase, loss.why) for loss in real.losses} == {("ready", "refused")}, str(real)
