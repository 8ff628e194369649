"""Services over UDP, and Services whose traffic stays near: two nodes on one machine, told apart by addresses.

A client that binds an address of a node's pod range is on that node, as a pod is that uses its own address.
"""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any

import pytest

from tests.e2e.clients import cluster_ip, get, refused
from tests.e2e.conftest import Cluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
ZONES = {"loopkube-0": "east", "loopkube-1": "west"}
TIMES = 12  # both of two pods are met, but for once in 2,000 runs of a policy that picks at random


def netexec(name: str, node: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "c", "image": "registry.k8s.io/e2e-test-images/agnhost:2.40", "args": ["netexec"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "netexec"}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 1,
            "containers": [{**container, "readinessProbe": probe}],
        },
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 8080},
        {"name": "udp", "port": 8081, "protocol": "UDP"},
    ]
    spec = {"selector": {"app": "netexec"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> dict[str, str]:
    """A pod on each node, by its node's name; nodes have zones."""
    for node, zone in ZONES.items():
        cluster.kubectl("label", "node", node, f"topology.kubernetes.io/zone={zone}", "--overwrite")
    cluster.apply(*(netexec(f"on-{node}", node) for node in ZONES))
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=netexec", "--timeout=60s")
    return {node: f"on-{node}" for node in ZONES}


def address_on(cluster: Cluster, node: str) -> str:
    """An address of the node's pod range that no pod has."""
    return str(cluster.get("node", node)["spec"]["podCIDR"]).replace(".0/24", ".250")


def met(address: str, port: int = 8080, source: str = "") -> set[str]:
    return {get(address, port, "/hostname", source=source).body.decode() for _ in range(TIMES)}


def meets_only(pod: str, address: str, source: str) -> bool:
    return met(address, source=source) == {pod}


def asked(address: str, source: str = "127.0.0.1", what: str = "hostname", port: int = 8081) -> str:
    """The answer to one datagram of a client with a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(5)
        sock.connect((address, port))
        sock.send(what.encode())
        return sock.recv(1000).decode()


def answers(address: str, port: int = 8080) -> bool:
    try:
        return get(address, port, "/hostname").status == 200
    except OSError:
        return False


def test_udp_is_balanced_by_flow_and_follows_its_pods(cluster: Cluster, pods: dict[str, str]) -> None:
    cluster.apply(service("plain"))
    address = cluster_ip(cluster, "plain")
    until("plain", lambda: answers(address))
    assert {asked(address) for _ in range(TIMES)} == set(pods.values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((address, 8081))
        names = set()
        for _ in range(TIMES):
            sock.send(b"hostname")
            names.add(sock.recv(100))
        assert len(names) == 1, "a flow stays where it began"
    cluster.apply(service("plain", selector={"app": "nobody"}))
    until("refusal without an endpoint", lambda: refused(address, 8080))
    with pytest.raises(ConnectionRefusedError):  # ICMP port unreachable, as kube-proxy rejects
        asked(address)


def test_traffic_distribution_keeps_clients_in_their_zone(cluster: Cluster, pods: dict[str, str]) -> None:
    for distribution in ("PreferSameZone", "PreferSameNode"):
        name = distribution.lower()
        cluster.apply(service(name, trafficDistribution=distribution))
        address = cluster_ip(cluster, name)
        until(name, partial(answers, address))
        for node, pod in pods.items():
            source = address_on(cluster, node)
            until(f"{name}: {node} stays", partial(meets_only, pod, address, source))
            assert {asked(address, source) for _ in range(TIMES)} == {pod}


def test_policy_local_and_the_health_check_port(cluster: Cluster, pods: dict[str, str]) -> None:
    cluster.apply(service("near", type="LoadBalancer", externalTrafficPolicy="Local", internalTrafficPolicy="Local"))
    address = cluster_ip(cluster, "near")
    until("near", lambda: answers(address))
    for node, pod in pods.items():
        assert met(address, source=address_on(cluster, node)) == {pod}
    spec = cluster.get("service", "near")["spec"]
    node_port, health = spec["ports"][0]["nodePort"], spec["healthCheckNodePort"]
    for node, pod in pods.items():
        (at,) = [a["address"] for a in cluster.get("node", node)["status"]["addresses"] if a["type"] == "InternalIP"]
        assert met(at, node_port) == {pod}
        answer = get(at, health, "/healthz")
        assert (answer.status, json.loads(answer.body)["localEndpoints"]) == (200, 1)
    cluster.kubectl("delete", "pod", pods["loopkube-1"])
    until("the node without a pod", lambda: refused(at, node_port))
    assert get(at, health, "/healthz").status == 503
