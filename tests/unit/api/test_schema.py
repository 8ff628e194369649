"""The schemas: what patch, apply and decoding read off them."""

from __future__ import annotations

import pytest

from control.api.kinds import KINDS
from control.api.rows import RESOURCES
from control.api.schema import Schema, schema_of
from control.api.schemas import load_definitions, load_structure

CORE = "io.k8s.api.core.v1."


def at(definition: str, *steps: str) -> Schema:
    """The schema below a definition; "[]" steps into a list's items."""
    schema = schema_of(definition)
    for step in steps:
        found = schema.items if step == "[]" else schema.field(step)
        assert found is not None, step
        schema = found
    return schema


def test_every_kind_and_its_list_has_a_definition() -> None:
    for kind in KINDS:
        definition = RESOURCES[kind].definition
        gvk = load_structure()[definition]["x-kubernetes-group-version-kind"]
        assert gvk == [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
        assert f"{definition}List" in load_structure()


def test_the_documented_definitions_are_the_structure_with_prose() -> None:
    documented = load_definitions()
    assert documented.keys() == load_structure().keys()
    assert documented[f"{CORE}Pod"]["description"].startswith("Pod is a collection of containers")
    assert "description" not in load_structure()[f"{CORE}Pod"]


def test_every_reference_resolves() -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                assert schema_of(reference.rpartition("/")[2])
            for part in value.values():
                walk(part)

    walk(load_structure())


def test_definitions_are_shared() -> None:
    deployment = at("io.k8s.api.apps.v1.Deployment", "spec", "template", "spec", "containers", "[]")
    assert deployment is schema_of(f"{CORE}Container")


def test_lists_say_how_they_merge() -> None:
    ports = at(f"{CORE}Container", "ports")
    assert (ports.list_type, ports.list_map_keys) == ("map", ("containerPort", "protocol"))
    assert (ports.patch_strategy, ports.merge_key) == (("merge",), "containerPort")
    assert at(f"{CORE}PodSpec", "volumes").patch_strategy == ("merge", "retainKeys")
    assert at(f"{CORE}Container", "args").list_type == "atomic"


def test_a_field_may_add_to_the_type_that_it_refers_to() -> None:
    strategy = at("io.k8s.api.apps.v1.Deployment", "spec", "strategy")
    assert strategy.patch_strategy == ("retainKeys",)
    assert "rollingUpdate" in strategy.properties
    assert schema_of("io.k8s.api.apps.v1.DeploymentStrategy").patch_strategy == ()


def test_list_map_keys_that_may_be_absent_have_defaults() -> None:
    assert at(f"{CORE}Container", "ports", "[]", "protocol").default == "TCP"
    assert at(f"{CORE}ServiceSpec", "ports", "[]", "protocol").default == "TCP"
    assert at(f"{CORE}Container", "ports", "[]", "hostIP").default is None


@pytest.mark.parametrize(
    ("steps", "type_", "format_"),
    [
        (("metadata", "labels"), "object", ""),
        (("metadata", "creationTimestamp"), "string", "date-time"),
        (("spec", "containers", "[]", "resources", "limits", "cpu"), "string", "quantity"),
        (("spec", "containers", "[]", "livenessProbe", "httpGet", "port"), "int-or-string", "int-or-string"),
        (("spec", "priority"), "integer", "int32"),
        (("spec", "hostNetwork"), "boolean", ""),
    ],
)
def test_types(steps: tuple[str, ...], type_: str, format_: str) -> None:
    schema = at(f"{CORE}Pod", *steps)
    assert (schema.type, schema.format) == (type_, format_)


def test_maps_structs_and_free_form_objects_differ() -> None:
    assert at(f"{CORE}Pod", "metadata", "labels").is_map
    assert not at(f"{CORE}Pod", "metadata").is_map
    assert at(f"{CORE}Pod", "metadata", "managedFields", "[]", "fieldsV1").preserve_unknown
    assert at(f"{CORE}PodSpec", "nodeSelector").map_type == "atomic"
    assert at(f"{CORE}Pod", "metadata").field("nonsense") is None
    assert at(f"{CORE}PodSpec").required == {"containers"}
