"""Images are a table: every shipped row, unknown images, and rows that users add."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import FAST, Document, Pods, config_map, namespace, pod, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


def ready_at(port: int, path: str = "/") -> Document:
    return {"readinessProbe": {"httpGet": {"path": path, "port": port}, **FAST}}


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "images") as pods:
        echo = {"image": "loopkube/echo:v7", **ready_at(8080, "/readyz"), "ports": [{"containerPort": 8080}]}
        switched = [{"name": "ECHO_DELAY_MS", "value": "300"}, {"name": "ECHO_SLOW_SHUTDOWN_S", "value": "0.5"}]
        served = {"image": "nginx:1.27", **ready_at(80), "ports": [{"containerPort": 80}]}
        page = [{"name": "page", "mountPath": "/usr/share/nginx/html"}]
        pods.apply(
            config_map("page", **{"index.html": "from a volume"}),
            pod("netexec", {"image": AGNHOST, "args": ["netexec", "--http-port=8090", "--udp-port", "8091"],
                            **ready_at(8090)}),
            pod("netexec-command", {"image": "any/image", "command": ["/agnhost", "netexec"], **ready_at(8080)}),
            pod("serve-hostname", {"image": AGNHOST, "args": ["serve-hostname"], **ready_at(9376)}),
            pod("agnhost-pause", {"image": AGNHOST}),
            pod("pause", {"image": "registry.k8s.io/pause:3.10"}),
            pod("agnhost-unknown", {"image": AGNHOST, "args": ["mounttest"]}, restartPolicy="Never"),
            pod("nginx", served),
            pod("nginx-page", {**served, "image": "docker.io/library/nginx", "volumeMounts": page},
                volumes=[{"name": "page", "configMap": {"name": "page"}}]),
            pod("httpd", {**served, "image": "httpd:2.4"}),
            pod("busybox", {"image": "busybox:1.36", "args": ["sh", "-c", "echo busy"]}, restartPolicy="Never"),
            pod("python", {"image": "python:3.12", "command": ["python", "-c", "print(6 * 7)"]}, restartPolicy="Never"),
            pod("echo", echo),
            pod("echo-slow", {**echo, "env": switched}),
            pod("unknown", {"image": "example.com/shop:1"}),
            pod("never", {"image": "example.com/shop:1", "imagePullPolicy": "Never"}),
            pod("invalid", {"image": "Not an image"}),
            pod("late", {"image": "example.com/late"}),
        )  # fmt: skip
        yield pods


def ask(pods: Pods, name: str, path: str, port: int = 8080, body: str | None = None) -> tuple[int, str]:
    """Status and body of a request to a pod's own address."""
    connection = http.client.HTTPConnection(pods.get(name)["status"]["podIP"], port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST" if body is not None else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_agnhost_netexec(pods: Pods) -> None:
    pods.until_ready("netexec", "netexec-command")
    assert ask(pods, "netexec", "/hostname", 8090) == (200, "netexec")
    assert ask(pods, "netexec", "/echo?msg=hi&code=203", 8090) == (203, "hi")
    assert ask(pods, "netexec", "/shell?cmd=id", 8090)[0] == 403
    address = pods.get("netexec")["status"]["podIP"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.sendto(b"hostname", (address, 8091))
        assert udp.recv(100) == b"netexec"
    dial = f"/dial?host={address}&port=8090&request=hostname&protocol=http&tries=2"
    assert json.loads(ask(pods, "netexec-command", dial)[1]) == {"responses": ["netexec", "netexec"]}


def test_agnhost_exit_code(pods: Pods) -> None:
    pods.apply(pod("exits", {"image": AGNHOST, "args": ["netexec"], **ready_at(8080)}, restartPolicy="Never"))
    pods.until_ready("exits")
    ask(pods, "exits", "/exit?code=5")
    pods.until_phase("exits", "Failed")
    assert pods.container("exits")["state"]["terminated"]["exitCode"] == 5


def test_the_other_subcommands(pods: Pods) -> None:
    pods.until_ready("serve-hostname", "agnhost-pause", "pause")
    assert ask(pods, "serve-hostname", "/", 9376)[1].strip() == "serve-hostname"
    pods.until_phase("agnhost-unknown", "Failed")
    assert "'mounttest' is not one of loopkube's subcommands" in pods.logs("agnhost-unknown")
    pods.delete("agnhost-pause", "pause")


def test_web_servers(pods: Pods) -> None:
    pods.until_ready("nginx", "nginx-page", "httpd")
    assert "Welcome to nginx!" in ask(pods, "nginx", "/", 80)[1]
    assert ask(pods, "nginx-page", "/", 80)[1] == "from a volume"
    assert ask(pods, "httpd", "/", 80)[0] == 200
    assert ask(pods, "httpd", "/nowhere", 80)[0] == 404
    for name in ("nginx", "httpd"):
        assert name in pods.logs(name)
    pods.delete("nginx", "httpd", "nginx-page")


def test_shells_and_interpreters(pods: Pods) -> None:
    for name, text in (("busybox", "busy\n"), ("python", "42\n")):
        pods.until_phase(name, "Succeeded")
        assert pods.logs(name) == text


def test_echo_says_who_it_is(pods: Pods) -> None:
    pods.until_ready("echo")
    status, body = ask(pods, "echo", "/a/b?x=1", body="hello")
    said = json.loads(body)
    assert status == 200
    assert (said["pod"], said["namespace"], said["version"]) == ("echo", "images", "v7")
    assert said["node"] == pods.get("echo")["spec"]["nodeName"]
    assert (said["method"], said["path"], said["query"], said["body"]) == ("POST", "/a/b", {"x": "1"}, "hello")


def test_echo_switches(pods: Pods) -> None:
    pods.until_ready("echo", "echo-slow")
    assert json.loads(ask(pods, "echo-slow", "/control")[1])["delay_ms"] == 300
    assert ask(pods, "echo", "/?status=503")[0] == 503
    assert ask(pods, "echo", "/control", body='{"error_rate": 1}')[0] == 200
    assert ask(pods, "echo", "/")[0] == 500
    assert ask(pods, "echo", "/control", body='{"error_rate": 0, "ready": false}')[0] == 200
    assert (ask(pods, "echo", "/readyz")[0], ask(pods, "echo", "/")[0]) == (503, 200)
    code, why = ask(pods, "echo", "/control", body='{"bogus": 1}')
    assert code == 400
    assert "unknown switch 'bogus'" in why
    assert ask(pods, "echo", "/control", body='{"ready": true}')[0] == 200
    pods.delete("echo-slow")


def test_an_unknown_image_waits_and_says_what_to_do(pods: Pods) -> None:
    said = pods.until_state("unknown", "ImagePullBackOff")
    assert said["state"]["waiting"]["message"].startswith('Back-off pulling image "example.com/shop:1": ErrImagePull: ')
    why = pods.until_event("unknown", "Failed", "Failed to pull image")
    for hint in ('no row for "example.com/shop"', "loopkube up --images FILE", "ConfigMap kube-system/loopkube-images"):
        assert hint in why
    pods.until_event("unknown", "Failed", "Error: ErrImagePull")
    pods.until_event("unknown", "BackOff", 'Back-off pulling image "example.com/shop:1"')
    pods.until_event("unknown", "Failed", "Error: ImagePullBackOff")
    assert pods.phase("unknown") == "Pending"
    assert pods.kubectl("get", "pod", "unknown", "--no-headers").split()[2] in ("ImagePullBackOff", "ErrImagePull")
    pods.delete("unknown")


def test_pull_policy_never_and_invalid_names(pods: Pods) -> None:
    said = pods.until_state("never", "ErrImageNeverPull")
    message = 'Container image "example.com/shop:1" is not present with pull policy of Never'
    assert said["state"]["waiting"]["message"] == message
    pods.until_event("never", "ErrImageNeverPull", message)
    said = pods.until_state("invalid", "InvalidImageName")
    assert 'couldn\'t parse image name "Not an image": invalid reference format' in said["state"]["waiting"]["message"]
    pods.until_event("invalid", "InspectFailed")


def test_rows_of_the_config_map(pods: Pods) -> None:
    """A row that comes later frees the pod that waits for it; a bad row spoils only its key."""
    pods.until_state("late", "ImagePullBackOff")
    rows = "- {pattern: example.com/late, entrypoint: [sh, -c], cmd: ['echo $WHO; exec sleep 600'], env: {WHO: row}}"
    document = config_map("loopkube-images", good=rows, bad="- {pattern: x, bogus: 1}")
    document["metadata"]["namespace"] = "kube-system"
    pods.cluster.apply(document)
    pods.until_ready("late", deadline_s=5)
    assert pods.logs("late") == "row\n"
    events = pods.cluster.kubectl("get", "events", "-n", "kube-system").stdout
    assert "InvalidImageTable" in events
    assert "unknown field 'bogus'" in events


def test_rows_of_a_file(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text("images:\n- {pattern: 'shop/*', entrypoint: [echo, from the file], stopSignal: SIGINT}\n")
    pods = Pods(make_cluster("--images", str(file)), "default")
    until("the service account", lambda: pods.ask("/api/v1/namespaces/default/serviceaccounts/default"))
    pods.apply(
        pod("shop", {"image": "shop/front:3", "args": ["x"]}, restartPolicy="Never"),
        pod("own", sh("echo own"), restartPolicy="Never"),
    )
    pods.until_phase("shop", "Succeeded")
    assert pods.logs("shop") == "from the file x\n"
    pods.until_phase("own", "Succeeded")


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    from tests.e2e.conftest import LOOPKUBE, run

    file = tmp_path / "images.yaml"
    file.write_text("- {entrypoint: [x]}\n")
    ports = ("--api-port", "0", "--http-port", "0", "--https-port", "0")
    where = ("--data-dir", str(tmp_path / "c"))
    found = run(*LOOPKUBE, "up", "--detach", *where, *ports, "--images", str(file), check=False)
    assert found.returncode != 0
    assert "pattern must be the repository's name or a glob" in found.stdout + found.stderr
    run(*LOOPKUBE, "down", "--purge", "--data-dir", str(tmp_path / "c"), check=False)
