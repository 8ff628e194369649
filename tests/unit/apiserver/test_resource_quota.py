"""Quotas at the door: what is let in, what is refused and in which words, and never one too many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from control.api.kinds import POD
from control.api.objects import Object
from tests.fakes.cluster import APPS, CORE, Cluster, cluster, config_map, deployment, pod, service

PODS = f"{CORE}/pods"
QUOTAS = f"{CORE}/resourcequotas"
SERVICES = f"{CORE}/services"


async def limited(api: Cluster, hard: Object, name: str = "q", **spec: Any) -> None:
    reply = await api.post(QUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
    assert reply.status == 201, reply.body


def asking(name: str = "p", limits: Object | None = None, **requests: str) -> Object:
    resources = {"requests": requests, "limits": limits or {}}
    return pod(name, containers=[{"name": "c", "image": "nginx:1", "resources": resources}])


async def test_one_too_many_is_refused() -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod."""
    async with cluster() as api:
        await limited(api, {"pods": "2"})
        for name in "ab":
            assert (await api.post(PODS, pod(name))).status == 201
        reply = await api.post(PODS, pod("c"))
        assert (reply.status, reply.reason, reply.message) == (
            403,
            "Forbidden",
            'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
        )
        await api.delete(f"{PODS}/a?gracePeriodSeconds=0")
        assert (await api.post(PODS, pod("c"))).status == 201


async def test_amounts_are_summed_over_requests_and_limits() -> None:
    async with cluster() as api:
        await limited(api, {"requests.cpu": "1", "limits.memory": "2Gi", "requests.example.com/gpu": "3"})
        gpu = {"example.com/gpu": "2"}
        resources = {"requests": {"cpu": "600m", **gpu}, "limits": {"memory": "1Gi", **gpu}}
        body = pod("a", containers=[{"name": "c", "image": "nginx:1", "resources": resources}])
        assert (await api.post(PODS, body)).status == 201
        body["metadata"]["name"] = "b"
        assert (await api.post(PODS, body)).message == (
            'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m,requests.example.com/gpu=2, '
            "used: requests.cpu=600m,requests.example.com/gpu=2, limited: requests.cpu=1,requests.example.com/gpu=3"
        )


async def test_a_pod_must_say_what_is_limited() -> None:
    async with cluster() as api:
        await limited(api, {"limits.cpu": "1", "requests.memory": "1Gi"})
        assert (await api.post(PODS, pod())).message == (
            'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: c; requests.memory for: c'
        )
        assert (await api.post(PODS, asking(limits={"cpu": "1"}, memory="1Mi"))).status == 201


async def test_a_limit_range_says_it_for_them() -> None:
    async with cluster() as api:
        await limited(api, {"requests.cpu": "150m"})
        item = {"type": "Container", "defaultRequest": {"cpu": "100m"}}
        await api.post(f"{CORE}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [item]}})
        assert (await api.post(PODS, pod("a"))).status == 201
        assert "exceeded quota: q, requested: requests.cpu=100m" in (await api.post(PODS, pod("b"))).message


async def test_a_pod_that_ended_gives_its_place_back_but_stays_an_object() -> None:
    async with cluster() as api:
        await limited(api, {"pods": "1", "count/pods": "2"})
        await api.post(PODS, pod("a"))
        await api.patch(f"{PODS}/a/status", {"status": {"phase": "Succeeded"}})
        assert (await api.post(PODS, pod("b"))).status == 201
        assert (await api.post(PODS, pod("c"))).message == (
            'pods "c" is forbidden: exceeded quota: q, requested: count/pods=1,pods=1, '
            "used: count/pods=2,pods=1, limited: count/pods=2,pods=1"
        )


async def test_a_pod_that_hangs_in_its_deletion_gives_its_place_back() -> None:
    async with cluster() as api:
        await limited(api, {"pods": "1"})
        await api.post(PODS, {**pod("a"), "spec": {**pod()["spec"], "nodeName": "n"}})
        await api.delete(f"{PODS}/a?gracePeriodSeconds=30")
        assert (await api.post(PODS, pod("b"))).status == 403
        api.clock.advance(61)
        assert (await api.post(PODS, pod("b"))).status == 201


async def test_scopes_choose_what_counts() -> None:
    """[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope (and terminating scopes)."""
    async with cluster() as api:
        await limited(api, {"pods": "1"}, "best", scopes=["BestEffort"])
        await limited(api, {"pods": "1"}, "ending", scopes=["Terminating"])
        assert (await api.post(PODS, pod("a"))).status == 201
        assert "exceeded quota: best" in (await api.post(PODS, pod("b"))).message
        assert (await api.post(PODS, asking("c", cpu="1"))).status == 201
        late = asking("d", cpu="1")
        late["spec"]["activeDeadlineSeconds"] = 60
        assert (await api.post(PODS, late)).status == 201
        late["metadata"]["name"] = "e"
        assert "exceeded quota: ending" in (await api.post(PODS, late)).message


async def test_any_kind_can_be_counted() -> None:
    async with cluster() as api:
        await limited(api, {"configmaps": "1", "count/deployments.apps": "0", "count/secrets": "0", "services": "0"})
        assert (await api.post(f"{CORE}/configmaps", config_map("a"))).status == 201
        reply = await api.post(f"{CORE}/configmaps", config_map("b"))
        assert reply.message == (
            'configmaps "b" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, '
            "limited: configmaps=1"
        )
        assert "requested: count/deployments.apps=1" in (await api.post(f"{APPS}/deployments", deployment())).message
        assert "requested: count/secrets=1" in (await api.post(f"{CORE}/secrets", {"metadata": {"name": "s"}})).message
        assert "requested: services=1" in (await api.post(SERVICES, service())).message


async def test_an_update_may_grow_as_far_as_the_quota_goes() -> None:
    async with cluster() as api:
        await limited(api, {"services.nodeports": "2", "services.loadbalancers": "0"})
        await api.post(SERVICES, service("a", type="NodePort"))
        await api.post(SERVICES, service("b"))
        assert (await api.patch(f"{SERVICES}/b", {"spec": {"type": "LoadBalancer"}})).message == (
            'services "b" is forbidden: exceeded quota: q, requested: services.loadbalancers=1, '
            "used: services.loadbalancers=0, limited: services.loadbalancers=0"
        )
        assert (await api.patch(f"{SERVICES}/b", {"spec": {"type": "NodePort"}})).status == 200
        ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
        reply = await api.patch(f"{SERVICES}/b", {"spec": {"ports": ports}})
        assert "requested: services.nodeports=1, used: services.nodeports=2" in reply.message
        assert (await api.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})).status == 200
        assert (await api.patch(f"{SERVICES}/b", {"spec": {"ports": ports}})).status == 200


async def test_claims_use_storage_of_their_class_and_grow_within_it() -> None:
    async with cluster() as api:
        gold = {"metadata": {"name": "gold"}, "provisioner": "example.com/p", "allowVolumeExpansion": True}
        assert (await api.post("/apis/storage.k8s.io/v1/storageclasses", gold)).status == 201
        limit = {"persistentvolumeclaims": "3", "gold.storageclass.storage.k8s.io/requests.storage": "3Gi"}
        await limited(api, limit)

        def claim(name: str, size: str, class_name: str = "gold") -> Object:
            spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
            return {"metadata": {"name": name}, "spec": {**spec, "storageClassName": class_name}}

        claims = f"{CORE}/persistentvolumeclaims"
        assert (await api.post(claims, claim("a", "2Gi"))).status == 201
        assert (await api.post(claims, claim("b", "2Gi"))).message == (
            'persistentvolumeclaims "b" is forbidden: exceeded quota: q, requested: '
            "gold.storageclass.storage.k8s.io/requests.storage=2Gi, used: "
            "gold.storageclass.storage.k8s.io/requests.storage=2Gi, limited: "
            "gold.storageclass.storage.k8s.io/requests.storage=3Gi"
        )
        assert (await api.post(claims, claim("b", "2Gi", "other"))).status == 201
        await api.patch(f"{claims}/a/status", {"status": {"phase": "Bound"}})

        def grown(size: str) -> Object:
            return {"spec": {"resources": {"requests": {"storage": size}}}}

        assert "exceeded quota: q, requested: " in (await api.patch(f"{claims}/a", grown("4Gi"))).message
        assert (await api.patch(f"{claims}/a", grown("3Gi"))).status == 200


async def test_a_quota_that_is_passed_refuses_only_more() -> None:
    async with cluster() as api:
        for name in "ab":
            await api.post(SERVICES, service(name, type="NodePort"))
        await limited(api, {"services.nodeports": "1"})
        assert (await api.patch(f"{SERVICES}/a", {"metadata": {"labels": {"x": "y"}}})).status == 200
        assert (await api.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})).status == 200
        assert (await api.post(SERVICES, service("c", type="NodePort"))).status == 403


async def test_what_fails_for_another_reason_costs_nothing() -> None:
    async with cluster() as api:
        await limited(api, {"pods": "2"})
        await api.post(PODS, pod("a"))
        for _ in range(3):
            assert (await api.post(PODS, pod("a"))).reason == "AlreadyExists"
            assert (await api.post(PODS, pod("bad", restartPolicy="Sometimes"))).reason == "Invalid"
            assert (await api.post(f"{PODS}?dryRun=All", pod("b"))).status == 201
        assert (await api.post(PODS, pod("b"))).status == 201
        assert (await api.post(f"{PODS}?dryRun=All", pod("c"))).status == 403


async def test_a_changed_quota_counts_at_once_and_a_deleted_one_no_more() -> None:
    async with cluster() as api:
        await limited(api, {"pods": "1"})
        await api.post(PODS, pod("a"))
        assert (await api.post(PODS, pod("b"))).status == 403
        await api.patch(f"{QUOTAS}/q", {"spec": {"hard": {"pods": "2"}}})
        assert (await api.post(PODS, pod("b"))).status == 201
        assert (await api.post(PODS, pod("c"))).status == 403
        await api.delete(f"{QUOTAS}/q")
        assert (await api.post(PODS, pod("c"))).status == 201


async def test_fifty_at_once_never_pass_it() -> None:
    async with cluster() as api:
        await limited(api, {"pods": "7", "requests.cpu": "500m"})
        bodies = [asking(f"p{index}", cpu="100m") for index in range(50)]
        replies = await asyncio.gather(*(api.post(PODS, body) for body in bodies))
        assert sorted(reply.status for reply in replies) == [201] * 5 + [403] * 45
        assert len(api.store.list(POD.resource)) == 5
        doomed = [stored.key.name for stored in api.store.list(POD.resource)][:3]
        again = [api.post(PODS, asking(f"q{index}", cpu="100m")) for index in range(20)]
        await asyncio.gather(*(api.delete(f"{PODS}/{name}?gracePeriodSeconds=0") for name in doomed))
        assert sorted(reply.status for reply in await asyncio.gather(*again)) == [201] * 3 + [403] * 17


@pytest.mark.parametrize("size", ["100m", "200m"])
async def test_creates_that_exactly_fill_it_are_all_let_in(size: str) -> None:
    """Nothing is counted twice between the write and its commit."""
    async with cluster() as api:
        await limited(api, {"pods": "20", "requests.cpu": "4"})
        replies = await asyncio.gather(*(api.post(PODS, asking(f"p{index}", cpu=size)) for index in range(20)))
        assert {reply.status for reply in replies} == {201}


async def test_a_status_is_written_through_its_subresource_only() -> None:
    """[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status."""
    async with cluster() as api:
        body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}, "status": {"used": {"pods": "9"}}}
        assert (await api.post(QUOTAS, body)).body["status"] == {}
        status = {"hard": {"pods": "1"}, "used": {"pods": "0"}}
        assert (await api.patch(f"{QUOTAS}/q/status", {"status": status})).body["status"] == status
        reply = await api.patch(f"{QUOTAS}/q", {"spec": {"hard": {"pods": "2"}}, "status": {"used": {"pods": "5"}}})
        assert reply.body["status"] == status
        assert "generation" not in reply.body["metadata"]
