"""Validation of metadata, label selectors included."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object
from control.api.validation.meta import ANNOTATIONS_MAX, validate_label_selector
from tests.fakes.manifests import metadata
from tests.fakes.validated import complaints, update_complaints

CONFIG = kinds.CONFIG_MAP


def config(**own: Any) -> Object:
    return {"metadata": metadata(**own), "data": {}}


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
        ({"namespace": ""}, "metadata.namespace: Required value"),
        ({"generation": -1}, "metadata.generation: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            "metadata.ownerReferences[0].uid: Required value: must not be empty",
        ),
        (
            {"ownerReferences": [{"apiVersion": "a/b/c", "kind": "Pod", "name": "p", "uid": "u"}]},
            'metadata.ownerReferences[0].apiVersion: Invalid value: "a/b/c": must be <group>/<version> or <version>',
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and '
            "foregroundDeletion cannot be both set",
        ),
        (
            {"managedFields": [{"manager": "m", "operation": "Guess"}]},
            'metadata.managedFields[0].operation: Unsupported value: "Guess": supported values: "Apply", "Update"',
        ),
        (
            {"annotations": {"a": "x" * ANNOTATIONS_MAX}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
    ],
)
def test_faults(own: Object, fault: str) -> None:
    assert complaints(CONFIG, config(**own)) == [fault]


@pytest.mark.parametrize(
    ("own", "start"),
    [
        ({"name": "UPPER"}, 'metadata.name: Invalid value: "UPPER": a lowercase RFC 1123 subdomain must consist of'),
        ({"generateName": "A-"}, 'metadata.generateName: Invalid value: "A-": a lowercase RFC 1123 subdomain'),
        ({"namespace": "a.b"}, 'metadata.namespace: Invalid value: "a.b": must not contain dots'),
        ({"labels": {"a b": "c"}}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
        ({"labels": {"a": "-"}}, 'metadata.labels: Invalid value: "-": a valid label must be an empty string or'),
        ({"annotations": {"a b": ""}}, 'metadata.annotations: Invalid value: "a b": name part must consist of'),
        ({"finalizers": ["a b"]}, 'metadata.finalizers: Invalid value: "a b": name part must consist of'),
    ],
)
def test_names_are_checked_everywhere(own: Object, start: str) -> None:
    (fault,) = complaints(CONFIG, config(**own))
    assert fault.startswith(start)


def test_only_one_controller() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    (fault,) = complaints(CONFIG, config(ownerReferences=[owner, {**owner, "name": "q"}]))
    assert fault.endswith(
        'Only one reference can have Controller set to true. Found "true" in references for Pod/p and Pod/q'
    )


def test_annotation_keys_may_be_upper_case_and_prefixes_may_end_in_a_dash() -> None:
    assert complaints(CONFIG, config(annotations={"Example.COM/Key": "v"}, generateName="a-")) == []


def test_labels_are_checked_where_there_is_little_else() -> None:
    (fault,) = complaints(kinds.NODE, {"metadata": {"name": "n", "labels": {"a": "-"}}})
    assert fault.startswith('metadata.labels: Invalid value: "-"')


def test_cluster_scoped_kinds_have_no_namespace() -> None:
    node = {"metadata": metadata()}
    assert complaints(kinds.NODE, node) == ["metadata.namespace: Forbidden: not allowed on this type"]


@pytest.mark.parametrize(
    ("new", "old", "fault"),
    [
        ({"name": "b"}, {}, 'metadata.name: Invalid value: "b": field is immutable'),
        ({"uid": "2"}, {"uid": "1"}, 'metadata.uid: Invalid value: "2": field is immutable'),
        ({"resourceVersion": ""}, {}, 'metadata.resourceVersion: Invalid value: "": must be specified for an update'),
        ({"generation": 1}, {"generation": 2}, "metadata.generation: Invalid value: 1: must not be decremented"),
        (
            {"creationTimestamp": "2026-01-01T00:00:00Z"},
            {"creationTimestamp": "2025-01-01T00:00:00Z"},
            'metadata.creationTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable',
        ),
        ({}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "metadata.deletionTimestamp: Invalid value: null: field is "
         "immutable"),
        (
            {"deletionTimestamp": "t", "finalizers": ["b", "a"]},
            {"deletionTimestamp": "t", "finalizers": ["a"]},
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
            'finalizers []string{"b"}',
        ),
    ],
)  # fmt: skip
def test_updates(new: Object, old: Object, fault: str) -> None:
    assert update_complaints(CONFIG, config(**new), config(**old)) == [fault]


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ({"key": "a", "operator": "In"}, "s.matchExpressions[0].values: Required value: must be specified when "
                                         "`operator` "
         "is 'In' or 'NotIn'"),
        ({"key": "a", "operator": "Exists", "values": ["x"]}, "s.matchExpressions[0].values: Forbidden: may not be "
         "specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ({"key": "a", "operator": "Is"}, 's.matchExpressions[0].operator: Invalid value: "Is": not a valid selector '
         "operator"),
    ],
)  # fmt: skip
def test_label_selectors(expression: Object, fault: str) -> None:
    assert [str(each) for each in validate_label_selector({"matchExpressions": [expression]}, "s")] == [fault]
