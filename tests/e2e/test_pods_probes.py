"""Probes of every kind against real servers: verdicts, thresholds, restarts, and the events that explain them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Cluster, until
from tests.e2e.pods import FAST, Document, Pods, namespace, pod, sh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
ECHO: Document = {"image": "loopkube/echo:1", "ports": [{"name": "web", "containerPort": 8080}]}
AGNHOST: Document = {"image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": ["netexec"]}


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, "probes") as pods:
        yield pods


def http(path: str = "/readyz", port: int | str = "web", **more: Any) -> Document:
    return {"httpGet": {"path": path, "port": port, **more}, **FAST}


def exec_probe(*command: str) -> Document:
    return {"exec": {"command": list(command)}, **FAST}


def switch(pods: Pods, name: str, **switches: object) -> None:
    """Turns the switches of an echo pod."""
    address = pods.get(name)["status"]["podIP"]
    request = urllib.request.Request(f"http://{address}:8080/control", json.dumps(switches).encode())
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def until_unready(pods: Pods, name: str) -> Document:
    def unready() -> Document:
        condition = pods.condition(name, "Ready")
        return condition if condition.get("status") == "False" else {}

    return until(f"{name} unready", unready)


def test_http_readiness_follows_the_server(pods: Pods) -> None:
    pods.apply(pod("flaps", {**ECHO, "readinessProbe": http()}))
    pods.until_ready("flaps")
    switch(pods, "flaps", ready=False)
    condition = until_unready(pods, "flaps")
    assert condition["message"] == "containers with unready status: [main]"
    pods.until_event("flaps", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    switch(pods, "flaps", ready=True)
    pods.until_ready("flaps")
    assert pods.container("flaps")["restartCount"] == 0


def test_readiness_while_terminating(pods: Pods) -> None:
    """Probing goes on during preStop: a draining server may say so."""
    server = {**ECHO, "readinessProbe": http(), "lifecycle": {"preStop": {"sleep": {"seconds": 20}}}}
    pods.apply(pod("leaves", server, terminationGracePeriodSeconds=30))
    pods.until_ready("leaves")
    pods.delete("leaves", wait=False)
    until("the deletion", lambda: "deletionTimestamp" in pods.get("leaves")["metadata"])
    assert pods.ready("leaves")
    switch(pods, "leaves", ready=False)
    until_unready(pods, "leaves")
    pods.delete("leaves", grace=0, wait=False)
    pods.until_gone("leaves")


def test_liveness_restarts_the_container(pods: Pods) -> None:
    probe = {**http("/healthz"), "failureThreshold": 2}
    pods.apply(pod("sick", {**ECHO, "livenessProbe": probe, "readinessProbe": http()}))
    pods.until_ready("sick")
    switch(pods, "sick", healthy=False)
    said = pods.until_restarts("sick", 1)
    assert said["lastState"]["terminated"]["exitCode"] == 0  # echo leaves properly when told
    pods.until_event("sick", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")
    pods.until_event("sick", "Killing", "Container main failed liveness probe, will be restarted")
    pods.until_ready("sick")
    assert pods.container("sick")["restartCount"] == 1


def test_liveness_with_its_own_grace(pods: Pods) -> None:
    deaf = sh("trap '' TERM; while :; do sleep 0.05; done")
    deaf["livenessProbe"] = {**exec_probe("false"), "terminationGracePeriodSeconds": 1}
    pods.apply(pod("deaf", deaf, terminationGracePeriodSeconds=600))
    said = pods.until_restarts("deaf", 1)
    assert said["lastState"]["terminated"]["exitCode"] == 137
    pods.delete("deaf", grace=0)


def test_startup_gates_the_others(pods: Pods) -> None:
    server = {
        **ECHO,
        "env": [{"name": "ECHO_SLOW_START_S", "value": "2.5"}],
        "startupProbe": {**http("/healthz"), "failureThreshold": 30},
        "livenessProbe": http("/healthz"),
        "readinessProbe": http(),
    }
    pods.apply(pod("slow", server))
    said = pods.until_state("slow", "running")
    assert (said["started"], said["ready"]) == (False, False)
    pods.until_ready("slow")
    said = pods.container("slow")
    assert (said["started"], said["restartCount"]) == (True, 0)
    pods.until_event("slow", "Unhealthy", "Startup probe failed: Get ")
    assert not [text for text in pods.events("slow", "Unhealthy") if not text.startswith("Startup")]


def test_a_startup_probe_that_never_succeeds_restarts(pods: Pods) -> None:
    never = sh("exec sleep 600", startupProbe=exec_probe("sh", "-c", "echo not yet; exit 3"))
    pods.apply(pod("never", never))
    pods.until_restarts("never", 1)
    pods.until_event("never", "Unhealthy", "Startup probe failed: not yet")
    pods.until_event("never", "Killing", "Container main failed startup probe, will be restarted")


def test_exec(pods: Pods) -> None:
    """The command has the container's directory and environment."""
    probe = exec_probe("sh", "-c", 'test -e ready && test "$MARK" = x')
    main = sh("sleep 0.5; touch ready; exec sleep 600", readinessProbe=probe, env=[{"name": "MARK", "value": "x"}])
    bad = sh("exec sleep 600", readinessProbe=exec_probe("/no/such/probe"))
    late = sh("exec sleep 600", readinessProbe=exec_probe("sleep", "60"))
    pods.apply(pod("exec", main), pod("exec-bad", bad), pod("exec-late", late))
    pods.until_ready("exec")
    pods.until_event("exec-bad", "Unhealthy", "Readiness probe errored and resulted in unknown state: ")
    pods.until_event("exec-bad", "Unhealthy", "/no/such/probe")
    pods.until_event(
        "exec-late", "Unhealthy", 'Readiness probe failed: command timed out: "sleep 60" timed out after 1s'
    )
    assert not pods.ready("exec-bad")
    assert not pods.ready("exec-late")


def test_tcp(pods: Pods) -> None:
    good = {**ECHO, "readinessProbe": {"tcpSocket": {"port": "web"}, **FAST}}
    bad = {**ECHO, "readinessProbe": {"tcpSocket": {"port": 81}, **FAST}}
    unnamed = {**ECHO, "readinessProbe": {"tcpSocket": {"port": "nope"}, **FAST}}
    pods.apply(pod("tcp", good), pod("tcp-bad", bad), pod("tcp-unnamed", unnamed))
    pods.until_ready("tcp")
    address = pods.until_state("tcp-bad", "running") and pods.get("tcp-bad")["status"]["podIP"]
    message = f"Readiness probe failed: dial tcp {address}:81: connect: connection refused"
    pods.until_event("tcp-bad", "Unhealthy", message)
    pods.until_event("tcp-unnamed", "Unhealthy", "couldn't find port: nope in container")
    assert not pods.ready("tcp-bad")


def test_http_details(pods: Pods) -> None:
    """Headers, redirects, other hosts, HTTPS against a server without TLS, a server that is too slow."""
    named = {"name": "key", "value": "x"}
    moved = {**AGNHOST, "readinessProbe": http("/redirect?location=/hostname", 8080, httpHeaders=[named])}
    away = {**AGNHOST, "readinessProbe": http("/redirect?location=http://example.com/", 8080)}
    lost = {**AGNHOST, "readinessProbe": http("/redirect?location=/nowhere", 8080)}
    tls = {**AGNHOST, "readinessProbe": http("/", 8080, scheme="HTTPS")}
    slow = {**ECHO, "readinessProbe": http("/x?delay=5000")}
    pods.apply(pod("moved", moved), pod("away", away), pod("lost", lost), pod("tls", tls), pod("too-slow", slow))
    pods.until_ready("moved", "away")
    pods.until_event("away", "ProbeWarning", "Readiness probe warning: Probe terminated redirects")
    pods.until_event("lost", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")
    pods.until_event("tls", "Unhealthy", "Readiness probe failed: Get ")
    late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    pods.until_event("too-slow", "Unhealthy", late)


GRPC_SERVER = """
import os, socket
def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
server = socket.create_server((os.environ["POD_IP"], 9000))
while True:
    peer, _ = server.accept()
    with peer, peer.makefile("rb") as reader:
        if reader.read(24) != b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n":
            continue
        peer.sendall(frame(4, 0, 0))
        kind = flags = 0
        while not (kind == 0 and flags & 1):  # until the request's last DATA
            size, kind, flags = int.from_bytes(reader.read(3), "big"), *reader.read(2)
            reader.read(4 + size)
        status = 1 if os.path.exists("serving") else 2
        peer.sendall(frame(1, 4, 1, b"\\x88") + frame(0, 0, 1, bytes([0, 0, 0, 0, 2, 8, status])))
        peer.sendall(frame(1, 5, 1, b"\\x00\\x0bgrpc-status\\x010"))
        reader.read()
"""


def test_grpc(pods: Pods) -> None:
    main = {
        "image": "python:3",
        "command": ["python3", "-c", GRPC_SERVER],
        "readinessProbe": {"grpc": {"port": 9000}, **FAST},
    }
    main["lifecycle"] = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 1.5; touch serving"]}}}
    pods.apply(pod("grpc", main))
    pods.until_ready("grpc")


def test_grpc_failures(pods: Pods) -> None:
    unwell = {
        "image": "python:3",
        "command": ["python3", "-c", GRPC_SERVER],
        "readinessProbe": {"grpc": {"port": 9000}, **FAST},
    }
    pods.apply(pod("grpc-unwell", unwell))
    pods.until_event(
        "grpc-unwell", "Unhealthy", 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    )
    bad = {**ECHO, "readinessProbe": {"grpc": {"port": 8080}, **FAST}}
    closed = {**ECHO, "readinessProbe": {"grpc": {"port": 81, "service": "x"}, **FAST}}
    pods.apply(pod("grpc-bad", bad), pod("grpc-closed", closed))
    pods.until_event("grpc-bad", "Unhealthy", "Readiness probe failed: ")
    message = 'Readiness probe failed: error: failed to connect service at "'
    pods.until_event("grpc-closed", "Unhealthy", message)
    assert not pods.ready("grpc-bad")


def test_thresholds(pods: Pods) -> None:
    """Three successes before ready, three failures before not."""
    probe = {**http(), "successThreshold": 3, "failureThreshold": 3}
    pods.apply(pod("patient", {**ECHO, "readinessProbe": probe}))
    pods.until_ready("patient")
    started = pods.container("patient")["state"]["running"]["startedAt"]
    switch(pods, "patient", ready=False)
    condition = until_unready(pods, "patient")
    assert condition["lastTransitionTime"] > started
    events = pods.until_event("patient", "Unhealthy", "statuscode: 503")
    assert events


def test_initial_delay(pods: Pods) -> None:
    """A liveness probe that would fail does so only after its delay."""
    dead = sh("exec sleep 600", livenessProbe={**exec_probe("false"), "initialDelaySeconds": 3})
    pods.apply(pod("delayed", dead))
    said = pods.until_restarts("delayed", 1)
    ended = said["lastState"]["terminated"]
    assert int(ended["finishedAt"][-3:-1]) - int(ended["startedAt"][-3:-1]) in (3, 4, 5, 3 - 60, 4 - 60, 5 - 60)


def test_a_pod_without_probes_is_ready_when_it_runs(pods: Pods) -> None:
    pods.apply(pod("plain", sh("exec sleep 600")))
    pods.until_ready("plain")
    assert pods.container("plain")["started"] is True
