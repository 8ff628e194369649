"""Discovery: what real servers say about the same resources, and that both dialects agree."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, EVENT, POD, SERVICE
from control.api.rows import RESOURCES
from control.apiserver import discovery
from control.apiserver.metrics_objects import GROUPS
from control.apiserver.subresources import REVIEWS

ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def rows(group: str, version: str = "v1") -> dict[str, dict[str, Any]]:
    found = discovery.group_resources(group, version)
    assert found is not None
    return {row["name"]: row for row in found["resources"]}


def test_the_core_group() -> None:
    assert discovery.api_versions("127.0.0.1:6443") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
    }
    core = discovery.core_resources()
    assert (core["kind"], core["groupVersion"]) == ("APIResourceList", "v1")
    assert core["resources"] == sorted(core["resources"], key=lambda row: row["name"])


def test_pods_as_a_real_server_lists_them() -> None:
    core = rows("")
    assert core["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ALL_VERBS,
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }
    assert core["pods/status"] == {
        "name": "pods/status",
        "singularName": "",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["get", "patch", "update"],
    }
    assert core["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }
    assert core["pods/log"]["verbs"] == ["get"]
    assert "group" not in core["pods/binding"]
    assert core["serviceaccounts/token"]["kind"] == "TokenRequest"
    assert core["namespaces"]["verbs"] == [verb for verb in ALL_VERBS if verb != "deletecollection"]
    assert core["namespaces/finalize"]["verbs"] == ["update"]


@pytest.mark.parametrize(
    ("kind", "hash_"),
    [(POD, "xPOwRZ+Yhw8="), (DEPLOYMENT, "8aSe+NMegvE="), (SERVICE, "0/CO1lhkEBI="), (EVENT, "r2yiGXH7wu8=")],
)
def test_storage_version_hashes_are_those_of_kubernetes(kind: Any, hash_: str) -> None:
    assert discovery.storage_version_hash(kind) == hash_


def test_scale_is_of_another_group() -> None:
    scale = rows("apps")["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert rows("events.k8s.io")["events"]["storageVersionHash"] == rows("")["events"]["storageVersionHash"]


def test_groups() -> None:
    groups = discovery.group_list()["groups"]
    assert groups[0] == {
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }
    served = {kind.group for kind in RESOURCES} | {review.kind.group for review in REVIEWS}
    assert {group["name"] for group in groups} == (served - {""}) | set(GROUPS)
    assert discovery.group("apps") == {"kind": "APIGroup", "apiVersion": "v1", **groups[0]}
    assert discovery.group("nope") is None
    assert discovery.group_resources("apps", "v2") is None


def test_a_binding_is_only_created() -> None:
    row = rows("")["bindings"]
    assert (row["kind"], row["namespaced"], row["verbs"]) == ("Binding", True, ["create"])


def test_reviews_are_only_created() -> None:
    for review in REVIEWS:
        row = rows(review.kind.group)[review.kind.plural]
        assert (row["kind"], row["verbs"]) == (review.kind.kind, ["create"])
    assert rows("authorization.k8s.io")["localsubjectaccessreviews"]["namespaced"] is True
    assert rows("authorization.k8s.io")["selfsubjectaccessreviews"]["namespaced"] is False


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_the_aggregated_dialect_says_the_same(version: str) -> None:
    core, groups = discovery.aggregated_core(version), discovery.aggregated_groups(version)
    assert core["apiVersion"] == groups["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    items = core["items"] + groups["items"]
    assert [item["metadata"].get("name", "") for item in groups["items"]] == [
        group["name"] for group in discovery.group_list()["groups"]
    ]
    for item in items:
        group = item["metadata"].get("name", "")
        if group in GROUPS:
            continue
        plain = rows(group)
        told: dict[str, list[str]] = {}
        for resource in item["versions"][0]["resources"]:
            told[resource["resource"]] = resource["verbs"]
            assert resource["scope"] == ("Namespaced" if plain[resource["resource"]]["namespaced"] else "Cluster")
            for below in resource.get("subresources", ()):
                told[f"{resource['resource']}/{below['subresource']}"] = below["verbs"]
        assert told == {name: row["verbs"] for name, row in plain.items()}


def test_the_version_names_loopkube() -> None:
    info = discovery.version_info()
    assert (info["major"], info["minor"], info["gitVersion"]) == ("1", "37", "v1.37.0+loopkube")


def test_metrics_are_discovered_as_aggregated_apis_are() -> None:
    assert [name for group in discovery.group_list()["groups"][-3:] for name in [group["name"]]] == list(GROUPS)
    assert rows("metrics.k8s.io", "v1beta1")["pods"] == {
        "name": "pods",
        "singularName": "",
        "namespaced": True,
        "kind": "PodMetrics",
        "verbs": ["get", "list"],
    }
    assert rows("metrics.k8s.io", "v1beta1")["nodes"]["namespaced"] is False
    hits = "http_requests_per_second"
    assert set(rows("custom.metrics.k8s.io", "v1beta2")) == {
        f"{resource}/{hits}" for resource in ("pods", "services", "ingresses.networking.k8s.io")
    }
    assert discovery.group_resources("metrics.k8s.io", "v1") is None
    *_, custom, external = discovery.aggregated_groups()["items"]
    pods = next(each for each in custom["versions"][0]["resources"] if each["resource"] == "pods")
    spoken = {"group": "custom.metrics.k8s.io", "version": "v1beta2", "kind": "MetricValueList"}
    assert pods["subresources"] == [{"subresource": hits, "responseKind": spoken, "verbs": ["get"]}]
    assert pods["verbs"] is None
    assert external["versions"][0]["resources"][0]["responseKind"]["kind"] == "ExternalMetricValueList"
