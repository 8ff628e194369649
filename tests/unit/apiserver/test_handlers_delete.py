"""Deletion through the handlers: finalizers, grace, namespaces, collections."""

from __future__ import annotations

import pytest

from control.api.kinds import CONFIG_MAP
from tests.fakes.cluster import APPS, CORE, Cluster, cluster, config_map, deployment, pod, service

MAPS = f"{CORE}/configmaps"
PODS = f"{CORE}/pods"


async def test_a_delete_answers_with_a_status() -> None:
    async with cluster() as api:
        uid = (await api.post(f"{APPS}/deployments", deployment())).body["metadata"]["uid"]
        reply = await api.delete(f"{APPS}/deployments/web")
        assert reply.status == 200
        assert reply.body["status"] == "Success"
        assert reply.body["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": uid}
        reply = await api.delete(f"{APPS}/deployments/web")
        assert (reply.status, reply.message) == (404, 'deployments.apps "web" not found')


async def test_services_and_pods_answer_with_themselves() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/services", service())
        assert (await api.delete(f"{CORE}/services/web")).body["kind"] == "Service"
        await api.post(PODS, pod())
        assert (await api.delete(f"{PODS}/p")).body["kind"] == "Pod"
        assert (await api.get(f"{PODS}/p")).status == 404


async def test_preconditions() -> None:
    async with cluster() as api:
        made = (await api.post(MAPS, config_map("a"))).body["metadata"]
        reply = await api.delete(f"{MAPS}/a", {"preconditions": {"uid": "other"}})
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert "the UID in the precondition (other) does not match the UID in record" in reply.message
        reply = await api.delete(f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
        assert "the ResourceVersion in the precondition (1) does not match" in reply.message
        wanted = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
        assert (await api.delete(f"{MAPS}/a", {"preconditions": wanted})).status == 200


async def test_propagation_policies_are_finalizers() -> None:
    async with cluster() as api:
        for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
            await api.post(f"{APPS}/deployments", deployment(policy.lower()))
            reply = await api.delete(f"{APPS}/deployments/{policy.lower()}?propagationPolicy={policy}")
            assert reply.status == (202 if policy == "Foreground" else 200)
            metadata = reply.body["metadata"]
            assert metadata["finalizers"] == [finalizer]
            assert metadata["deletionTimestamp"] == "2026-01-02T03:04:05Z"
            assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (0, 2)
        reply = await api.delete(f"{APPS}/deployments/orphan", {"propagationPolicy": "Sideways"})
        assert reply.status == 422


async def test_a_running_pod_gets_its_grace() -> None:
    async with cluster() as api:
        await api.post(PODS, pod(nodeName="n1", terminationGracePeriodSeconds=20))
        metadata = (await api.delete(f"{PODS}/p")).body["metadata"]
        assert metadata["deletionTimestamp"] == "2026-01-02T03:04:25Z"
        assert metadata["deletionGracePeriodSeconds"] == 20
        api.clock.advance(2)
        again = (await api.delete(f"{PODS}/p")).body["metadata"]
        assert again == metadata
        shorter = (await api.delete(f"{PODS}/p?gracePeriodSeconds=5")).body["metadata"]
        assert (shorter["deletionTimestamp"], shorter["deletionGracePeriodSeconds"]) == ("2026-01-02T03:04:10Z", 5)
        await api.delete(f"{PODS}/p?gracePeriodSeconds=0")
        assert (await api.get(f"{PODS}/p")).status == 404


async def test_a_dry_run_deletes_nothing() -> None:
    async with cluster() as api:
        await api.post(PODS, pod(nodeName="n1"))
        reply = await api.delete(f"{PODS}/p?dryRun=All")
        assert "deletionTimestamp" in reply.body["metadata"]
        assert "deletionTimestamp" not in (await api.get(f"{PODS}/p")).body["metadata"]


async def test_a_namespace_is_emptied_before_it_goes() -> None:
    async with cluster() as api:
        await api.post("/api/v1/namespaces", {"metadata": {"name": "n"}})
        reply = await api.delete("/api/v1/namespaces/n")
        assert reply.body["status"]["phase"] == "Terminating"
        assert reply.body["spec"]["finalizers"] == ["kubernetes"]
        assert "deletionGracePeriodSeconds" not in reply.body["metadata"]
        refused = await api.post("/api/v1/namespaces/n/configmaps", config_map("a"))
        assert refused.message == (
            'configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated'
        )
        assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        body = reply.body
        body["spec"] = {}
        assert (await api.put("/api/v1/namespaces/n/finalize", body)).status == 200
        assert (await api.get("/api/v1/namespaces/n")).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_the_system_s_namespaces_stay(name: str) -> None:
    async with cluster() as api:
        reply = await api.delete(f"/api/v1/namespaces/{name}")
        assert (reply.status, reply.message) == (
            403,
            f'namespaces "{name}" is forbidden: this namespace may not be deleted',
        )


async def _maps(api: Cluster) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        await api.post(MAPS, config_map(name, {"app": app}))


async def test_a_collection_by_selector() -> None:
    async with cluster() as api:
        await _maps(api)
        reply = await api.delete(f"{MAPS}?labelSelector=app%3Dx")
        assert [item["metadata"]["name"] for item in reply.body["items"]] == ["a", "c"]
        left = (await api.get(MAPS)).body["items"]
        assert [item["metadata"]["name"] for item in left] == ["b"]


async def test_the_local_client_deletes_with_preconditions() -> None:
    async with cluster() as api:
        made = (await api.post(MAPS, config_map("a"))).body["metadata"]
        status = await api.local.delete(CONFIG_MAP, "default", "a", uid=made["uid"])
        assert status["status"] == "Success"
