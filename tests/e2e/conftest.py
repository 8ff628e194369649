"""Real clusters for the end-to-end tests: real processes, sockets and clients, in temporary folders on free ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
DEADLINE_S = 60.0
LOOPKUBE = (sys.executable, "-m", "control.cli.main")


def until(what: str, condition: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """The first truthy value of `condition`; fails with `what` and the last value after the deadline."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {deadline_s:.0f} s; last: {value!r}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is up; `kubectl` and `loopkube` run the real commands against it."""

    folder: Path

    def loopkube(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command, *rest = arguments
        return run(*LOOPKUBE, command, "--data-dir", str(self.folder), *rest, check=check)

    def kubectl(
        self, *arguments: str, check: bool = True, stdin: str = "", binary: str = ""
    ) -> subprocess.CompletedProcess[str]:
        kubectl = binary or str(Path(sys.executable).parent / "kubectl")
        return run(kubectl, *arguments, check=check, stdin=stdin, env={"KUBECONFIG": str(self.kubeconfig)})

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def apply(self, *documents: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def status(self) -> dict[str, Any]:
        return json.loads(self.loopkube("status", "-o", "json").stdout)  # type: ignore[no-any-return]

    def pid(self, name: str) -> int:
        return next(int(p["pid"]) for p in self.status()["processes"] if p["name"] == name)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def http(self) -> str:
        return str(self.status()["ingress"]["http"])


def run(
    *command: str, check: bool = True, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command's result; fails the test with its output when `check` and it failed."""
    result = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 2,  # a command's own --timeout ends first
        env={**os.environ, **(env or {})},
        check=False,
    )
    if check and result.returncode:
        pytest.fail(f"{' '.join(command)}: exit code {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def up(folder: Path, *options: str) -> Cluster:
    """A fresh cluster on free ports."""
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    run(*LOOPKUBE, "up", "--data-dir", str(folder), "--detach", *ports, *options)
    return Cluster(folder)


def processes_of(folder: Path) -> list[int]:
    """Every process that has the cluster's folder in its command line or environment: nothing may be left at the
    end."""
    found = []
    needle = os.fsencode(str(folder))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if needle in seen:
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the tests of a module."""
    folder = tmp_path_factory.mktemp("cluster") / "c"
    cluster = up(folder, "--nodes", "2")
    yield cluster
    cluster.loopkube("down", "--purge", check=False)
    assert processes_of(folder) == []


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Clusters of a test's own: `make_cluster("--workers", "2")`."""
    made: list[Cluster] = []

    def make(*options: str) -> Cluster:
        made.append(up(tmp_path / f"c{len(made)}", *options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.loopkube("down", "--purge", check=False)
        assert processes_of(cluster.folder) == []


def echo_app(name: str = "echo", *, replicas: int = 3, version: str = "v1", host: str = "") -> list[dict[str, Any]]:
    """Deployment, Service and Ingress of `loopkube/echo`, as a careful user would write them."""
    host = host or f"{name}.local"
    container = {
        "name": "echo",
        "image": f"loopkube/echo:{version}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 10},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name},
            "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
        },
    ]
