"""Validation of ConfigMaps, Secrets, and the cluster's own objects."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.validation.config import SIZE_MAX
from tests.fakes.manifests import metadata
from tests.fakes.validated import complaints, update_complaints

FROZEN = "Forbidden: field is immutable when `immutable` is set"


def config(**fields: Any) -> Object:
    return {"metadata": metadata(), **fields}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"data": {"a": "x" * SIZE_MAX}}, []),
        ({"data": {"a": "x" * (SIZE_MAX + 1)}}, [": Too long: may not be more than 1048576 bytes"]),
        ({"data": {"a": "é" * (SIZE_MAX // 2 + 1)}}, [": Too long: may not be more than 1048576 bytes"]),
        ({"data": {"a": ""}, "binaryData": {"a": ""}},
         ['binaryData[a]: Invalid value: "a": duplicate of key present in data']),
    ],
    ids=["fits", "long", "long in bytes", "twice"],
)  # fmt: skip
def test_config_maps(fields: Object, faults: list[str]) -> None:
    assert complaints(kinds.CONFIG_MAP, config(**fields)) == faults


def test_keys_work_as_file_names() -> None:
    (fault,) = complaints(kinds.CONFIG_MAP, config(data={"a/b": ""}))
    assert fault.startswith('data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric')


@pytest.mark.parametrize("kind", [kinds.CONFIG_MAP, kinds.SECRET], ids=str)
def test_immutable_means_it(kind: Kind) -> None:
    old = config(data={"a": "MQ=="}, immutable=True)
    assert update_complaints(kind, old, old) == []
    assert update_complaints(kind, config(data={"a": "Mg=="}, immutable=True), old) == [f"data: {FROZEN}"]
    assert update_complaints(kind, config(data={"a": "MQ=="}), old) == [f"immutable: {FROZEN}"]
    assert update_complaints(kind, old, config(data={})) == [], "asking for it is allowed"


@pytest.mark.parametrize(
    ("type_", "data", "faults"),
    [
        ("example.com/any", {}, []),
        ("kubernetes.io/tls", {"tls.crt": "YQ=="}, ["data[tls.key]: Required value"]),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]: Required value"]),
        ("kubernetes.io/basic-auth", {}, ["data[username]: Required value", "data[password]: Required value"]),
        ("kubernetes.io/basic-auth", {"username": "YQ=="}, []),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded("{}")}, []),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded("{")},
         ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character']),
        ("kubernetes.io/service-account-token", {},
         ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
    ],
)  # fmt: skip
def test_secrets_of_known_types(type_: str, data: Object, faults: list[str]) -> None:
    assert complaints(kinds.SECRET, config(type=type_, data=data)) == faults


def test_the_type_of_a_secret_stays() -> None:
    (fault,) = update_complaints(kinds.SECRET, config(type="a/b"), config())
    assert fault == 'type: Invalid value: "a/b": field is immutable'


def node(**fields: Any) -> Object:
    return {"metadata": metadata(namespace=""), **fields}


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, []),
        ({"spec": {"taints": [{"key": "a"}]}}, ["metadata.taints[0].effect: Required value"]),
        ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}},
         ['metadata.taints[1]: Duplicate value: {"effect":"NoSchedule","key":"a"}: taints must be unique by key and '
          "effect pair"]),
        ({"spec": {"podCIDRs": ["127.244.0.0"]}},
         ['spec.podCIDRs[0]: Invalid value: "127.244.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or '
          "2001:db8::/64)"]),
        ({"status": {"capacity": {"pods": "1500m"}, "allocatable": {"cpu": "1"}}},
         ['status.capacity.pods: Invalid value: "1500m": must be an integer']),
    ],
)  # fmt: skip
def test_nodes(fields: Object, faults: list[str]) -> None:
    assert complaints(kinds.NODE, node(**fields)) == faults


def test_a_node_keeps_its_addresses() -> None:
    old, new = (node(spec={"podCIDRs": [f"127.244.{n}.0/24"]}) for n in (0, 1))
    assert update_complaints(kinds.NODE, new, old) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
    ]
    assert update_complaints(kinds.NODE, old, node()) == []


@pytest.mark.parametrize(
    ("kind", "fields", "faults"),
    [
        (kinds.LEASE, {"spec": {"leaseDurationSeconds": 0}},
         ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        (kinds.LEASE, {"spec": {"leaseTransitions": -1}},
         ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
        (kinds.CONTROLLER_REVISION, {"revision": -1, "data": {}},
         ["revision: Invalid value: -1: must be greater than or equal to 0"]),
        (kinds.EVENT, {"involvedObject": {"namespace": "other"}},
         ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']),
        (kinds.EVENT, {"involvedObject": {"kind": "Node"}}, []),
    ],
)  # fmt: skip
def test_small_kinds(kind: Kind, fields: Object, faults: list[str]) -> None:
    assert complaints(kind, {"metadata": metadata(), **fields}) == faults


@pytest.mark.parametrize(
    ("name", "value", "faults"),
    [
        ("a", 10**9, []),
        ("a", 10**9 + 1, ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        ("system-node-critical", 2_000_001_000, []),
        ("system-mine", 1, ["metadata.name: Forbidden: priority class names with 'system-' prefix are reserved "
                            "for system "
                            "use only. error: system-mine is not a known system priority class"]),
    ],
)  # fmt: skip
def test_priority_classes(name: str, value: int, faults: list[str]) -> None:
    obj = {"metadata": metadata(name, namespace=""), "value": value}
    assert complaints(kinds.PRIORITY_CLASS, obj) == faults


def test_a_priority_does_not_change() -> None:
    old, new = ({"metadata": metadata(namespace=""), "value": value} for value in (1, 2))
    assert update_complaints(kinds.PRIORITY_CLASS, new, old) == ["value: Forbidden: may not be changed in an update."]


def test_namespaces_terminate_exactly_while_they_are_deleted() -> None:
    living = {"metadata": metadata(namespace=""), "status": {"phase": "Active"}}
    dying: Object = {**living, "status": {"phase": "Terminating"}}
    assert update_complaints(kinds.NAMESPACE, living, living, status=True) == []
    assert update_complaints(kinds.NAMESPACE, dying, living, status=True) == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]
    (fault,) = complaints(kinds.NAMESPACE, {**living, "spec": {"finalizers": ["mine"]}})
    assert fault.endswith("name is neither a standard finalizer name nor is it fully qualified")
