"""What the cluster's rules add to claims and volumes, and refuse of them."""

from __future__ import annotations

from typing import Any

from control.api.objects import Object
from tests.fakes.cluster import CORE, Cluster, cluster
from tests.fakes.volumes import claim, storage_class, volume

CLAIMS = f"{CORE}/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def fresh(name: str = "data", **more: Any) -> Object:
    made = claim(name, storage_class=None, **more)
    del made["status"], made["metadata"]["finalizers"]
    return made


async def test_every_cluster_has_a_default_class() -> None:
    async with cluster() as api:
        found = (await api.get(f"{CLASSES}/standard")).body
        assert found["provisioner"] == "loopkube.io/directory"
        assert (found["reclaimPolicy"], found["volumeBindingMode"]) == ("Delete", "WaitForFirstConsumer")
        reply = await api.post(CLAIMS, fresh())
        assert reply.body["spec"]["storageClassName"] == "standard"
        assert reply.body["status"] == {"phase": "Pending"}
        assert reply.body["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


async def test_the_newest_default_class_wins_and_a_decision_stays() -> None:
    async with cluster() as api:
        api.clock.advance(5)
        await api.post(CLASSES, storage_class("newer"))
        assert (await api.post(CLAIMS, fresh())).body["spec"]["storageClassName"] == "newer"
        none = await api.post(CLAIMS, {**fresh("none"), "spec": {**fresh()["spec"], "storageClassName": ""}})
        assert none.body["spec"]["storageClassName"] == ""


async def test_without_a_default_class_a_claim_has_none() -> None:
    async with cluster() as api:
        await api.delete(f"{CLASSES}/standard")
        assert "storageClassName" not in (await api.post(CLAIMS, fresh())).body["spec"]


async def test_volumes_are_protected_and_begin_pending() -> None:
    async with cluster() as api:
        reply = await api.post(VOLUMES, {**volume(), "status": {"phase": "Bound"}})
        assert reply.body["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
        assert reply.body["status"] == {"phase": "Pending"}
        assert (await api.delete(f"{VOLUMES}/disk")).status == 200
        assert (await api.get(f"{VOLUMES}/disk")).body["metadata"]["deletionTimestamp"]


async def grow(api: Cluster, name: str = "data") -> Any:
    return await api.patch(f"{CLAIMS}/{name}", {"spec": {"resources": {"requests": {"storage": "5Gi"}}}})


async def test_only_bound_claims_of_classes_that_allow_it_grow() -> None:
    async with cluster() as api:
        await api.post(CLAIMS, fresh())
        assert (await grow(api)).message == (
            'persistentvolumeclaims "data" is forbidden: Only bound persistent volume claims can be expanded'
        )
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        assert (await api.patch(f"{CLAIMS}/data/status", bound)).status == 200
        assert (await grow(api)).body["spec"]["resources"]["requests"] == {"storage": "5Gi"}
        await api.post(CLASSES, storage_class("rigid", default=False, allowVolumeExpansion=False))
        await api.post(CLAIMS, {**fresh("stiff"), "spec": {**fresh()["spec"], "storageClassName": "rigid"}})
        await api.patch(f"{CLAIMS}/stiff/status", bound)
        assert (await grow(api, "stiff")).message == (
            'persistentvolumeclaims "stiff" is forbidden: only dynamically provisioned pvc can be resized and the '
            "storageclass that provisions the pvc must support resize"
        )
