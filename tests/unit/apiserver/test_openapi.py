"""OpenAPI: complete, consistent, and what kubectl looks for."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from control.api.rows import RESOURCES
from control.api.status import StatusError
from control.apiserver import openapi
from control.apiserver.discovery import group_resources, group_versions
from control.apiserver.openapi import protobuf
from control.apiserver.openapi.operations import operations

PATHS = [f"apis/{group}/{version}" if group else f"api/{version}" for group, version in group_versions()]


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {path: orjson.loads(openapi.v3_document(path)) for path in PATHS}


@pytest.fixture(scope="module")
def swagger() -> Any:
    return orjson.loads(openapi.v2_json())


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        found = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return found.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_the_index_names_every_document_with_the_hash_of_its_content() -> None:
    paths = openapi.v3_index()["paths"]
    assert list(paths) == PATHS
    for path, row in paths.items():
        content = hashlib.sha512(openapi.v3_document(path)).hexdigest()[:32].upper()
        assert row == {"serverRelativeURL": f"/openapi/v3/{path}?hash={content}"}


def test_an_unknown_document() -> None:
    with pytest.raises(StatusError) as failed:
        openapi.v3_document("apis/nope/v1")
    assert failed.value.code == 404


@pytest.mark.parametrize("path", PATHS)
def test_every_reference_leads_somewhere(path: str, documents: Any) -> None:
    document = documents[path]
    schemas = document["components"]["schemas"]
    assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} == set(schemas)


def test_references_of_v2_lead_somewhere(swagger: Any) -> None:
    found = {reference.removeprefix("#/definitions/") for reference in references(swagger)}
    assert found <= set(swagger["definitions"])


def test_a_reference_has_no_siblings_in_v3(documents: Any) -> None:
    spec = documents["apis/apps/v1"]["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]
    assert "$ref" not in spec
    assert spec["description"]


def test_merge_keys_reach_the_client(documents: Any) -> None:
    pod = documents["api/v1"]["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (pod["x-kubernetes-patch-merge-key"], pod["x-kubernetes-patch-strategy"]) == ("name", "merge")


def test_types_with_two_forms(documents: Any) -> None:
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    schema = documents["apis/apps/v1"]["components"]["schemas"][name]
    assert [form["type"] for form in schema["oneOf"]] == ["integer", "string"]
    assert "type" not in schema


def test_a_kind_can_be_found_by_its_name(documents: Any) -> None:
    for kind, resource in RESOURCES.items():
        path = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
        schema = documents[path]["components"]["schemas"][resource.definition]
        assert {"group": kind.group, "version": kind.version, "kind": kind.kind} in schema[
            "x-kubernetes-group-version-kind"
        ]


def test_kubectl_finds_that_the_server_validates(documents: Any, swagger: Any) -> None:
    """As its QueryParamVerifier looks: the PATCH of the kind has the parameter."""
    for kind, resource in RESOURCES.items():
        if "patch" not in resource.verbs:
            continue
        path = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
        wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        for paths in (documents[path]["paths"], swagger["paths"]):
            patches = [item["patch"] for item in paths.values() if "patch" in item]
            (first, *_) = [patch for patch in patches if patch["x-kubernetes-group-version-kind"] == wanted]
            names = {parameter["name"] for parameter in first["parameters"]}
            assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= names


VERB_OF_ACTION = {"post": "create", "put": "update"}


@pytest.mark.parametrize(("group", "version"), group_versions())
def test_operations_and_discovery_agree(group: str, version: str) -> None:
    told: dict[str, set[str]] = {}
    for operation in operations(group, version):
        parts = operation.path.removeprefix(f"/apis/{group}/{version}/").removeprefix("/api/v1/").split("/")
        if parts[:2] == ["namespaces", "{namespace}"]:
            parts = parts[2:]
        name = parts[0] if len(parts) < 3 else f"{parts[0]}/{parts[2]}"
        told.setdefault(name, set()).add(VERB_OF_ACTION.get(operation.action, operation.action))
    found = group_resources(group, version)
    assert found is not None
    assert told == {row["name"]: set(row["verbs"]) - {"watch"} for row in found["resources"]}


def test_operation_ids_are_unique_and_kubernetes_own(swagger: Any) -> None:
    ids = [operation["operationId"] for item in swagger["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    assert {
        "createAppsV1NamespacedDeployment",
        "listCoreV1PodForAllNamespaces",
        "readCoreV1NamespacedPodLog",
        "deleteCoreV1CollectionNamespacedConfigMap",
        "patchCoreV1Node",
        "replaceAppsV1NamespacedDeploymentScale",
        "createCoreV1NamespacedPodEviction",
    } <= set(ids)


def test_bodies_and_answers(documents: Any) -> None:
    paths = documents["apis/apps/v1"]["paths"]
    item = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert "application/apply-patch+yaml" in item["patch"]["requestBody"]["content"]
    scale = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"]
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    answer = scale["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"}
    log = documents["api/v1"]["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/log"]["get"]
    assert list(log["responses"]["200"]["content"]) == ["text/plain"]


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def read(data: bytes) -> dict[int, list[Any]]:
    """A message's fields by number: bytes for type 2, numbers for type 0."""
    fields: dict[int, list[Any]] = {}
    place = 0
    while place < len(data):
        key, place = read_varint(data, place)
        value, place = read_varint(data, place)
        if key & 7 == 2:
            fields.setdefault(key >> 3, []).append(data[place : place + value])
            place += value
        else:
            assert key & 7 == 0
            fields.setdefault(key >> 3, []).append(value)
    return fields


def named(message: bytes, number: int) -> dict[str, bytes]:
    pairs = [read(pair) for pair in read(message).get(number, [])]
    return {pair[1][0].decode(): pair[2][0] for pair in pairs}


def test_the_protobuf_reads_back_as_the_same_document(swagger: Any) -> None:
    document = read(openapi.v2_protobuf())
    assert document[1] == [b"2.0"]
    definitions = named(document[9][0], 1)
    assert set(definitions) == set(swagger["definitions"])
    container = swagger["definitions"]["io.k8s.api.core.v1.Container"]
    message = read(definitions["io.k8s.api.core.v1.Container"])
    assert message[4] == [container["description"].encode()]
    assert [name.decode() for name in message[19]] == container["required"]
    assert message[22] == [b"\x0a\x06object"]
    properties = named(message[25][0], 1)
    assert set(properties) == set(container["properties"])
    ports = read(properties["ports"])
    assert read(read(ports[23][0])[1][0])[1] == [container["properties"]["ports"]["items"]["$ref"].encode()]
    extensions = {name: read(value)[2][0] for name, value in named(properties["ports"], 31).items()}
    assert orjson.loads(extensions["x-kubernetes-list-map-keys"]) == ["containerPort", "protocol"]
    assert set(named(document[8][0], 2)) == set(swagger["paths"])


def test_parameters_on_the_wire() -> None:
    item = named(read(openapi.v2_protobuf())[8][0], 2)["/api/v1/namespaces/{namespace}/pods/{name}"]
    patch = read(read(item)[8][0])
    assert patch[5] == [b"patchCoreV1NamespacedPod"]
    parameters = [read(read(each)[1][0]) for each in patch[8]]
    (body,) = [read(each[1][0]) for each in parameters if 1 in each]
    assert (body[2], body[3], body[4]) == ([b"body"], [b"body"], [1])
    others = [read(each[2][0]) for each in parameters if 2 in each]
    assert {read(each[3][0])[4][0] for each in others if 3 in each} >= {b"fieldValidation", b"dryRun", b"force"}
    assert {read(each[4][0])[4][0] for each in others if 4 in each} == {b"name", b"namespace"}
    gvk = read(named(read(item)[8][0], 13)["x-kubernetes-group-version-kind"])[2][0]
    assert orjson.loads(gvk) == {"group": "", "version": "v1", "kind": "Pod"}


@pytest.mark.parametrize(("number", "encoded"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varints(number: int, encoded: bytes) -> None:
    assert protobuf.varint(number) == encoded
    assert read_varint(encoded, 0) == (number, len(encoded))
