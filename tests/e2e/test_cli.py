"""The command line as a stranger meets it: help, status, and errors that say what to do."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import LOOPKUBE, Cluster, echo_app, processes_of, run, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def fails(*arguments: str) -> str:
    """Standard error of a command that must fail: short, without a traceback."""
    result = run(*LOOPKUBE, *arguments, check=False)
    assert result.returncode in (1, 2), result
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 4, result.stderr
    return result.stderr


@pytest.mark.parametrize("command", ["up", "down", "status", "kubeconfig", "kubectl", "demo"])
def test_every_command_has_help_with_examples(command: str) -> None:
    assert "Examples:" in run(*LOOPKUBE, command, "--help").stdout
    assert command in run(*LOOPKUBE, "--help").stdout


def test_status_has_what_scripts_need(cluster: Cluster) -> None:
    status = cluster.status()
    assert status["network"] == "loopback"
    assert status["apiServer"].startswith("https://127.0.0.1:")
    assert Path(status["kubeconfig"]).stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"127\.\d+\.0\.0/16", status["serviceCIDR"])
    assert {process["role"] for process in status["processes"]} >= {"supervisor", "control", "node", "dataplane"}
    for process in status["processes"]:
        assert set(process) >= {"role", "pid", "restarts", "rssBytes", "pssBytes"}
        assert process["pssBytes"] > 0
    assert "worker-0" in cluster.loopkube("status").stdout
    assert "current-context" in cluster.loopkube("kubeconfig").stdout


def test_a_second_up_says_what_to_do(cluster: Cluster) -> None:
    assert "is up already" in fails("up", "--data-dir", str(cluster.folder), "--detach")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--api-port", "--http-port", "--https-port"):
            others = {"--api-port": "0", "--http-port": "0", "--https-port": "0", option: port}
            flat = [word for pair in others.items() for word in pair]
            error = fails("up", "--data-dir", str(tmp_path / "c"), "--detach", *flat)
            assert f"port {port} on 127.0.0.1 is taken" in error
            assert option in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--name", "Not_Good"), "--name 'Not_Good'"),
        (("up", "--nodes", "0"), "--nodes 0: between 1 and 200"),
        (("up", "--network", "moon"), "--network moon: one of auto, loopback"),
        (("up", "--profile", "slow"), "'slow' is not one of"),
        (("status", "--name", "nobody"), "cluster 'nobody' is not up"),
        (("down", "--name", "nobody"), "cluster 'nobody' is not up"),
        (("kubectl", "--name", "nobody", "get", "pods"), "cluster 'nobody' is not up"),
        (("demo", "--rate", "0"), "--rate"),
        (("dance",), "No such command 'dance'"),
    ],
)
def test_bad_input_is_named(arguments: tuple[str, ...], words: str) -> None:
    assert words in fails(*arguments)


def test_a_newer_or_damaged_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    file = folder / "cluster.json"
    for text, words in ((json.dumps({"format": 99, "settings": {}}), "newer loopkube"), ("{", "damaged")):
        file.write_text(text)
        assert words in fails("up", "--data-dir", str(folder), "--detach")
        assert file.read_text() == text


def test_a_damaged_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    cluster = up(tmp_path / "c")
    cluster.loopkube("down")
    store = cluster.folder / "store.db"
    store.write_bytes(b"this is no database" * 1000)
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    error = fails("up", "--data-dir", str(cluster.folder), "--detach", *ports)
    assert "store.db" in error
    assert store.read_bytes() == b"this is no database" * 1000


def test_a_manifest_is_applied_and_a_bad_one_named(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-file}\ndata: {a: b}\n")
    cluster = make_cluster("-f", str(good))
    assert cluster.get("configmap", "from-file")["data"] == {"a": "b"}
    cluster.loopkube("down")
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: v1\nkind: Widget\nmetadata: {name: x}\n")
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    error = fails("up", "--data-dir", str(cluster.folder), "--detach", *ports, "-f", str(bad))
    assert "does not serve v1 Widget" in error


def _at_a_terminal() -> None:
    """Shells start background jobs, such as a whole test run, with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("options", [(), ("--in-process",)], ids=["processes", "in-process"])
def test_ctrl_c_ends_a_cluster_in_the_foreground(tmp_path: Path, options: tuple[str, ...]) -> None:
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    command = (*LOOPKUBE, "up", "--data-dir", str(tmp_path / "c"), *ports, *options)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=_at_a_terminal, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        cluster = Cluster(tmp_path / "c")
        cluster.apply(*echo_app(replicas=1))
        cluster.kubectl("rollout", "status", "deployment/echo", "--timeout=60s")
        assert {p["role"] for p in cluster.status()["processes"]} >= {"supervisor", "control", "node", "dataplane"}
        process.send_signal(2)
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, "")
    assert processes_of(tmp_path / "c") == []


def test_two_clusters_side_by_side(make_cluster: Callable[..., Cluster], cluster: Cluster) -> None:
    other = make_cluster()
    ranges = {(c.status()["podCIDR"], c.status()["serviceCIDR"]) for c in (cluster, other)}
    assert len(ranges) == 2
    for one, version in ((cluster, "one"), (other, "other")):
        one.apply(*echo_app("beside", replicas=1, version=version))
        one.kubectl("rollout", "status", "deployment/beside", "--timeout=60s")
    for one, version in ((cluster, "one"), (other, "other")):
        (pod,) = one.get("pods", "-l", "app=beside")["items"]
        with urlopen(f"http://{pod['status']['podIP']}:8080/") as response:
            assert json.load(response)["version"] == version
    assert "NotFound" in cluster.kubectl("get", "configmap", "only-here", check=False).stderr
    addresses = other.status()["serviceCIDR"]
    other.loopkube("down")
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    other.loopkube("up", "--detach", *ports)
    assert other.status()["serviceCIDR"] == addresses  # its Services lie there
