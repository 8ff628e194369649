"""What every cluster has, put right at each start."""

from __future__ import annotations

from control.apiserver.bootstrap import api_endpoints, corrected, dns_service
from tests.fakes.cluster import CORE, cluster


async def test_a_new_cluster() -> None:
    async with cluster() as api:
        names = [item["metadata"]["name"] for item in (await api.get("/api/v1/namespaces")).body["items"]]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        spec = (await api.get(f"{CORE}/services/kubernetes")).body["spec"]
        assert (spec["clusterIP"], spec["ports"][0]["port"]) == ("127.96.0.1", 443)
        ingress = (await api.get("/apis/networking.k8s.io/v1/ingressclasses/loopkube")).body
        assert ingress["spec"]["controller"] == "loopkube.io/ingress"
        priority = (await api.get("/apis/scheduling.k8s.io/v1/priorityclasses/system-cluster-critical")).body
        assert priority["value"] == 2_000_000_000


async def test_a_second_start_writes_nothing_and_a_deleted_part_comes_back() -> None:
    async with cluster() as api:
        await api.server.tend()
        before = api.store.revision
        await api.server.tend()
        assert api.store.revision == before
        await api.delete(f"{CORE}/services/kubernetes")
        await api.server.tend()
        assert (await api.get(f"{CORE}/services/kubernetes")).body["spec"]["clusterIP"] == "127.96.0.1"
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        assert (await api.get(f"{slices}/kubernetes")).body["ports"][0]["name"] == "https"


def test_only_what_the_server_follows_is_put_right() -> None:
    wanted = api_endpoints("127.0.0.1", 6443)[0]
    assert corrected(wanted, wanted.obj) is None
    moved = {**wanted.obj, "subsets": [], "metadata": {"labels": {"mine": "1"}}}
    right = corrected(wanted, moved)
    assert right is not None
    assert (right["subsets"], right["metadata"]) == (wanted.obj["subsets"], {"labels": {"mine": "1"}})


def test_the_dns_service_says_who_serves_it_and_where() -> None:
    service, slice_ = dns_service("127.96.0.10", 1053)
    assert service.obj["spec"]["clusterIP"] == "127.96.0.10"
    assert [port["port"] for port in service.obj["spec"]["ports"]] == [53, 53]
    assert "service.kubernetes.io/service-proxy-name" in service.obj["metadata"]["labels"]
    assert {port["port"] for port in slice_.obj["ports"]} == {1053}
    moved = dns_service("127.96.0.10", 53)[1].obj
    assert corrected(slice_, moved) == slice_.obj


async def test_the_dns_service_is_valid_and_settles() -> None:
    async with cluster(dns=("127.96.0.10", 53)) as api:
        found = (await api.get("/api/v1/namespaces/kube-system/services/kube-dns")).body
        assert found["spec"]["clusterIP"] == "127.96.0.10"
        await api.server.tend()
        before = api.store.revision
        await api.server.tend()
        assert api.store.revision == before
