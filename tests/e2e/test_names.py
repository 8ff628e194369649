"""Names, as resolvers of other people's making see them: dnspython and dig against a real cluster."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import dns.message
import dns.query
import dns.resolver
import pytest

from tests.e2e.clients import cluster_ip, echo_pod, service, wait_ready
from tests.e2e.conftest import Cluster, run, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
ZONE = "default.svc.cluster.local."


class Names:
    """A stub resolver of the cluster's names."""

    def __init__(self, cluster: Cluster) -> None:
        address, _, port = cluster.status()["dns"].rpartition(":")
        self.address, self.port = address, int(port)
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers, self.resolver.port, self.resolver.lifetime = [address], self.port, 5.0

    def __call__(self, name: str, type_: str = "A") -> list[str]:
        """The answer's data, sorted; the name of the exception where there is none."""
        try:
            return sorted(each.to_text() for each in self.resolver.resolve(name, type_))
        except dns.resolver.NXDOMAIN:
            return ["NXDOMAIN"]
        except dns.resolver.NoAnswer:
            return ["NODATA"]


@pytest.fixture(scope="module")
def names(cluster: Cluster) -> Names:
    return Names(cluster)


def stateful(name: str, replicas: int) -> list[dict[str, Any]]:
    """A headless Service and its StatefulSet."""
    container = {
        "name": "echo",
        "image": "loopkube/echo",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    spec = {
        "replicas": replicas,
        "serviceName": name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        },
    }
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return [
        service(name, app=name, clusterIP="None", ports=ports),
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec},
    ]


def pod_ips(cluster: Cluster, app: str) -> dict[str, str]:
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in pods}


def test_the_dns_service_is_where_every_cluster_has_it(cluster: Cluster, names: Names) -> None:
    found = cluster.get("service", "kube-dns", "-n", "kube-system")
    assert found["spec"]["clusterIP"] == names.address
    assert names.address.endswith(".0.10")
    assert [(port["port"], port["protocol"]) for port in found["spec"]["ports"]] == [(53, "UDP"), (53, "TCP")]
    (slice_,) = cluster.get("endpointslices", "-n", "kube-system", "-l", "kubernetes.io/service-name=kube-dns")["items"]
    assert {port["port"] for port in slice_["ports"]} == {names.port}
    assert names("kube-dns.kube-system.svc.cluster.local.") == [names.address]


def test_a_cluster_ip_forwards_and_backwards(cluster: Cluster, names: Names) -> None:
    api = cluster_ip(cluster, "kubernetes")
    assert names(f"kubernetes.{ZONE}") == [api]
    assert names(f"KUBERNETES.{ZONE}") == [api]
    assert names(f"_https._tcp.kubernetes.{ZONE}", "SRV") == [f"0 100 443 kubernetes.{ZONE}"]
    assert names(dns.reversename.from_address(api).to_text(), "PTR") == [f"kubernetes.{ZONE}"]
    assert names(f"kubernetes.{ZONE}", "AAAA") == ["NODATA"]
    assert names(f"nobody.{ZONE}") == ["NXDOMAIN"]
    assert names("kubernetes.nowhere.svc.cluster.local.") == ["NXDOMAIN"]
    assert names("dns-version.cluster.local.", "TXT") == ['"1.1.0"']
    assert names("10-1-2-3.default.pod.cluster.local.") == ["10.1.2.3"]


def test_a_stateful_sets_pods_keep_their_names(cluster: Cluster, names: Names) -> None:
    cluster.apply(*stateful("db", 2))
    until("two addresses", lambda: len(names(f"db.{ZONE}")) == 2)
    before = pod_ips(cluster, "db")
    assert names(f"db.{ZONE}") == sorted(before.values())
    for pod, address in before.items():
        assert names(f"{pod}.db.{ZONE}") == [address]
        assert names(dns.reversename.from_address(address).to_text(), "PTR") == [f"{pod}.db.{ZONE}"]
    targets = [f"0 100 8080 db-{at}.db.{ZONE}" for at in (0, 1)]
    assert names(f"_http._tcp.db.{ZONE}", "SRV") == names(f"db.{ZONE}", "SRV") == targets

    uid = cluster.get("pod", "db-1")["metadata"]["uid"]
    cluster.kubectl("delete", "pod", "db-1", "--wait=false")
    until("the name without a pod", lambda: names(f"db-1.db.{ZONE}") == ["NXDOMAIN"])
    until("another pod", lambda: cluster.get("pods", "-l", "app=db")["items"][-1]["metadata"]["uid"] != uid)
    until("its name", lambda: names(f"db-1.db.{ZONE}") == [pod_ips(cluster, "db").get("db-1")])
    assert names(f"db-0.db.{ZONE}") == [before["db-0"]]

    cluster.kubectl("scale", "statefulset/db", "--replicas=0")
    until("no name without pods", lambda: names(f"db.{ZONE}") == ["NXDOMAIN"])


def test_an_external_name_is_an_alias(cluster: Cluster, names: Names) -> None:
    api = cluster_ip(cluster, "kubernetes")
    inside, outside = f"kubernetes.{ZONE}", "db.example.com."
    cluster.apply(
        service("near", type="ExternalName", externalName=inside.rstrip(".")),
        service("far", type="ExternalName", externalName=outside.rstrip(".")),
        service("odd", type="ExternalName", externalName="10.0.0.1"),
    )
    until("the alias", lambda: names(f"far.{ZONE}", "CNAME") == [outside])
    assert names(f"near.{ZONE}") == [api]
    assert names(f"odd.{ZONE}") == ["NXDOMAIN"]
    cluster.kubectl("delete", "service", "near", "far", "odd")
    until("no alias", lambda: names(f"far.{ZONE}", "CNAME") == ["NXDOMAIN"])


def test_a_resolver_with_the_pods_resolv_conf_walks_its_search_path(cluster: Cluster, names: Names) -> None:
    pod = echo_pod("searcher")
    pod["spec"]["dnsConfig"] = {"searches": ["mine.example"]}
    cluster.apply(pod)
    wait_ready(cluster, "searcher")
    uid = cluster.get("pod", "searcher")["metadata"]["uid"]
    file = cluster.folder / "pods" / uid / "echo" / "etc" / "resolv.conf"
    assert "mine.example" in file.read_text()
    resolver = dns.resolver.Resolver(str(file))
    resolver.port = names.port
    assert resolver.nameservers == [names.address]
    assert resolver.ndots == 5
    api = cluster_ip(cluster, "kubernetes")
    for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"):
        assert [each.to_text() for each in resolver.resolve(name, search=True)] == [api]
    cluster.kubectl("delete", "pod", "searcher", "--wait=false")


def test_tcp_and_dig(cluster: Cluster, names: Names) -> None:
    asked = dns.message.make_query(f"kubernetes.{ZONE}", "A")
    reply = dns.query.tcp(asked, names.address, port=names.port, timeout=5)
    assert [each.to_text() for each in reply.answer[0]] == [cluster_ip(cluster, "kubernetes")]
    if shutil.which("dig"):
        asked_by_dig = (f"@{names.address}", "-p", str(names.port), f"kubernetes.{ZONE}", "+short")
        assert run("dig", *asked_by_dig).stdout.split() == [cluster_ip(cluster, "kubernetes")]


def test_names_outlive_control_and_a_worker(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster("--workers", "2")
    names = Names(cluster)
    run("kill", "-9", str(cluster.pid("control")), str(cluster.pid("worker-1")))
    for _ in range(20):
        assert names(f"kubernetes.{ZONE}") != ["NXDOMAIN"]
    until("both workers", lambda: all(process["ready"] for process in cluster.status()["processes"]))
    for _ in range(8):
        assert names(f"kubernetes.{ZONE}") == [cluster_ip(cluster, "kubernetes")]
