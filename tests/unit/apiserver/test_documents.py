"""What is asked for beside resources."""

from __future__ import annotations

import pytest

from tests.fakes.cluster import cluster

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/api/v1", "APIResourceList"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
    ],
)
async def test_plain_discovery(path: str, kind: str) -> None:
    async with cluster() as api:
        assert (await api.get(path)).body["kind"] == kind
        assert (await api.get(path + "/")).body["kind"] == kind


async def test_aggregated_discovery_has_its_own_type_and_a_tag() -> None:
    async with cluster() as api:
        reply = await api.get("/apis", Accept=f"{AGGREGATED},application/json")
        assert (reply.body["kind"], reply.answer.content_type) == ("APIGroupDiscoveryList", AGGREGATED)
        assert reply.answer.headers is not None
        tag = reply.answer.headers["ETag"]
        again = await api.get("/apis", Accept=AGGREGATED, If_None_Match=tag)
        assert (again.status, again.body) == (304, b"")
        old = AGGREGATED.replace("v2", "v2beta1")
        assert (await api.get("/api", Accept=old)).body["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
        assert (await api.get("/apis", Accept=f"application/json,{AGGREGATED}")).body["kind"] == "APIGroupList"


async def test_openapi() -> None:
    async with cluster() as api:
        index = (await api.get("/openapi/v3")).body["paths"]
        url = index["apis/apps/v1"]["serverRelativeURL"]
        assert "io.k8s.api.apps.v1.Deployment" in (await api.get(url)).body["components"]["schemas"]
        assert (await api.get("/openapi/v2")).body["swagger"] == "2.0"
        reply = await api.get("/openapi/v2", Accept=PROTOBUF)
        assert (reply.answer.content_type, reply.answer.body[:1]) == (PROTOBUF.replace("@", "."), b"\n")
        assert (await api.get("/openapi/v3/apis/nothing/v1")).status == 404
        assert (await api.get("/openapi/v2", Accept="text/html")).status == 406


async def test_version_health_and_the_root() -> None:
    async with cluster() as api:
        assert (await api.get("/version")).body["gitVersion"].startswith("v1.37")
        for path in ("/livez", "/readyz", "/healthz"):
            assert (await api.get(path)).body == b"ok"
        assert b"livez check passed" in (await api.get("/livez?verbose")).body
        assert "/apis" in (await api.get("/")).body["paths"]
        assert (await api.post("/version", {})).status == 405


async def test_custom_resource_definitions_are_listed_as_none_and_refused() -> None:
    """kubectl before 1.26 lists them before it validates anything; creating one must not look as if it worked."""
    async with cluster() as api:
        url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        reply = await api.get(url)
        assert (reply.status, reply.body["kind"], reply.body["items"]) == (200, "CustomResourceDefinitionList", [])
        refused = await api.post(url, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"})
        assert (refused.status, refused.body["reason"]) == (405, "MethodNotAllowed")
