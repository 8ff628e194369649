"""Get and list: selectors, pages, versions, forms."""

from __future__ import annotations

import pytest

from tests.fakes.cluster import APPS, CORE, TABLE, Cluster, cluster, config_map, deployment, pod

MAPS = f"{CORE}/configmaps"
NOT_FOUND = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"


async def _maps(api: Cluster, count: int) -> None:
    for index in range(count):
        await api.post(MAPS, config_map(f"m{index}", {"tenth": str(index % 2), "n": str(index)}))


def _names(body: dict[str, object]) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]  # type: ignore[attr-defined]


async def test_a_get_of_nothing() -> None:
    async with cluster() as api:
        reply = await api.get(f"{MAPS}/none")
        assert (reply.status, reply.reason, reply.message) == (404, "NotFound", 'configmaps "none" not found')
        assert reply.body["details"] == {"name": "none", "kind": "configmaps"}


async def test_a_list_is_of_one_revision_and_in_order() -> None:
    async with cluster() as api:
        await _maps(api, 3)
        reply = await api.get(MAPS)
        assert (reply.body["kind"], reply.body["apiVersion"]) == ("ConfigMapList", "v1")
        assert _names(reply.body) == ["m0", "m1", "m2"]
        assert reply.body["metadata"] == {"resourceVersion": str(api.store.revision)}
        assert (await api.get(f"{CORE}/secrets")).body["items"] == []


async def test_selectors_choose() -> None:
    async with cluster() as api:
        await _maps(api, 4)
        assert _names((await api.get(f"{MAPS}?labelSelector=tenth%3D1")).body) == ["m1", "m3"]
        assert _names((await api.get(f"{MAPS}?labelSelector=n%20in%20(0,3),tenth!=1")).body) == ["m0"]
        assert _names((await api.get(f"{MAPS}?fieldSelector=metadata.name%3Dm2")).body) == ["m2"]
        assert _names((await api.get(f"{MAPS}?fieldSelector=metadata.name!%3Dm2&labelSelector=tenth%3D0")).body) == [
            "m0"
        ]
        await api.post(f"{CORE}/pods", pod("a", nodeName="n1"))
        await api.post(f"{CORE}/pods", pod("b"))
        assert _names((await api.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).body) == ["a"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "fieldSelector=spec.foo%3D1",
            '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("labelSelector=a%3D%3D%3D", "unable to parse requirement: found '=', expected: identifier"),
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("continue=x", "continue key is not valid: illegal base64 or JSON"),
    ],
)
async def test_bad_questions_are_400(query: str, message: str) -> None:
    async with cluster() as api:
        reply = await api.get(f"{MAPS}?{query}")
        assert (reply.status, reply.message) == (400, message)


async def test_pages_are_of_the_first_page_s_revision() -> None:
    async with cluster() as api:
        await _maps(api, 5)
        first = (await api.get(f"{MAPS}?limit=2")).body
        assert (_names(first), first["metadata"]["remainingItemCount"]) == (["m0", "m1"], 3)
        await api.delete(f"{MAPS}/m2")
        await api.post(MAPS, config_map("m15"))
        second = (await api.get(f"{MAPS}?limit=2&continue={first['metadata']['continue']}")).body
        assert _names(second) == ["m2", "m3"]
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        third = (await api.get(f"{MAPS}?limit=2&continue={second['metadata']['continue']}")).body
        assert (_names(third), "continue" in third["metadata"]) == (["m4"], False)


async def test_a_page_with_a_selector_does_not_count_the_rest() -> None:
    async with cluster() as api:
        await _maps(api, 6)
        page = (await api.get(f"{MAPS}?limit=2&labelSelector=tenth%3D0")).body
        assert _names(page) == ["m0", "m2"]
        assert "remainingItemCount" not in page["metadata"]
        rest = (await api.get(f"{MAPS}?labelSelector=tenth%3D0&continue={page['metadata']['continue']}")).body
        assert _names(rest) == ["m4"]


async def test_a_page_whose_revision_is_gone_offers_an_inconsistent_rest() -> None:
    async with cluster() as api:
        await _maps(api, 4)
        first = (await api.get(f"{MAPS}?limit=2")).body
        await api.delete(f"{MAPS}/m3")
        api.store.compact(api.store.revision)
        reply = await api.get(f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
        assert (reply.status, reply.reason) == (410, "Expired")
        assert "The provided continue parameter is too old" in reply.message
        rest = (await api.get(f"{MAPS}?limit=2&continue={reply.body['metadata']['continue']}")).body
        assert _names(rest) == ["m2"]


async def test_versions_of_a_list() -> None:
    async with cluster() as api:
        await _maps(api, 2)
        old = api.store.revision
        await api.post(MAPS, config_map("m9"))
        assert len(_names((await api.get(f"{MAPS}?resourceVersion=0")).body)) == 3
        assert len(_names((await api.get(f"{MAPS}?resourceVersion={old}")).body)) == 3
        exact = (await api.get(f"{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact")).body
        assert (_names(exact), exact["metadata"]["resourceVersion"]) == (["m0", "m1"], str(old))
        reply = await api.get(f"{MAPS}?resourceVersion=99999")
        assert (reply.status, reply.reason) == (504, "Timeout")
        assert reply.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        api.store.compact(api.store.revision)
        assert (await api.get(f"{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact")).status == 410
        assert (await api.get(f"{MAPS}?resourceVersionMatch=Exact")).message.endswith(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
        assert (await api.get(f"{MAPS}?resourceVersion=x")).status == 422


async def test_lists_over_namespaces() -> None:
    async with cluster() as api:
        for namespace in ("default", "kube-system"):
            await api.post(f"/api/v1/namespaces/{namespace}/configmaps", config_map("same"))
        found = (await api.get("/api/v1/configmaps")).body["items"]
        assert [item["metadata"]["namespace"] for item in found] == ["default", "kube-system"]


async def test_tables_and_metadata_alone() -> None:
    async with cluster() as api:
        await api.post(f"{APPS}/deployments", deployment())
        table = (await api.get(f"{APPS}/deployments", Accept=f"{TABLE},application/json")).body
        assert (table["kind"], table["rows"][0]["cells"][0]) == ("Table", "web")
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        one = (await api.get(f"{APPS}/deployments/web?includeObject=Object", Accept=TABLE)).body
        assert one["rows"][0]["object"]["kind"] == "Deployment"
        assert (await api.get(f"{APPS}/deployments?includeObject=x", Accept=TABLE)).status == 422
        partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        listed = (await api.get(f"{APPS}/deployments", Accept=partial)).body
        assert listed["kind"] == "PartialObjectMetadataList"
        assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_what_cannot_be_served_is_406() -> None:
    async with cluster() as api:
        reply = await api.get(MAPS, Accept="application/vnd.kubernetes.protobuf")
        assert (reply.status, reply.reason) == (406, "NotAcceptable")
        reply = await api.get(MAPS, Accept="application/vnd.kubernetes.protobuf,application/json")
        assert reply.status == 200


async def test_people_get_it_pretty() -> None:
    async with cluster() as api:
        assert b"\n  " in (await api.get(f"{MAPS}?pretty=true")).answer.body
        assert b"\n  " not in (await api.get(MAPS)).answer.body
        assert b"\n  " in (await api.get(MAPS, User_Agent="curl/8.0")).answer.body


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/v1/foos", 404, NOT_FOUND),
        ("GET", "/apis/apps/v2/deployments", 404, NOT_FOUND),
        ("GET", "/api/v1/pods/a", 404, NOT_FOUND),
        ("GET", "/api/v1/namespaces/default/nodes", 404, NOT_FOUND),
        ("GET", "/api/v1/namespaces/default/configmaps/a/status", 404, NOT_FOUND),
        ("POST", "/api/v1/configmaps", 405, NOT_ALLOWED),
        ("POST", "/api/v1/namespaces/default/configmaps/a", 405, NOT_ALLOWED),
        ("DELETE", "/api/v1/namespaces", 405, NOT_ALLOWED),
        ("DELETE", "/api/v1/configmaps", 405, NOT_ALLOWED),
        ("DELETE", "/apis/apps/v1/namespaces/default/deployments/a/status", 405, NOT_ALLOWED),
        ("BREW", "/api/v1/namespaces/default/configmaps/a", 405, NOT_ALLOWED),
        ("GET", "/nowhere", 404, NOT_FOUND),
    ],
)  # fmt: skip
async def test_paths_and_verbs_that_are_not_served(method: str, path: str, status: int, message: str) -> None:
    async with cluster() as api:
        reply = await api.ask(method, path)
        assert (reply.status, reply.message) == (status, message)
        assert reply.body["kind"] == "Status"
