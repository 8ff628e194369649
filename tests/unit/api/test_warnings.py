"""Warnings: rows that name real fields, said once, and only of what is there."""

from __future__ import annotations

import pytest

from control.api import kinds
from control.api.objects import copy_of
from control.api.rows import RESOURCES
from control.api.schema import schema_of
from control.api.warnings import IGNORED, POD_SPEC, TABLE, Row, warnings_of
from tests.fakes.cluster_objects import ingress_class
from tests.fakes.manifests import container, deployment, ingress, pod, pod_spec, service
from tests.fakes.volumes import volume

ROWS = [("io.k8s.api.core.v1.PodSpec", row) for row in POD_SPEC] + [
    (RESOURCES[kind].definition, row) for kind, rows in TABLE.items() for row in rows
]


@pytest.mark.parametrize(("definition", "row"), ROWS, ids=lambda each: each if isinstance(each, str) else each[0])
def test_every_row_names_a_field_of_the_api(definition: str, row: Row) -> None:
    schema = schema_of(definition)
    for step in row[0].split("."):
        if schema.items is not None:
            schema = schema.items
        found = schema.field(step)
        assert found is not None, f"{step} in {row[0]}"
        schema = found


def test_plain_objects_have_no_warnings() -> None:
    assert not warnings_of(kinds.POD)(pod(), None)
    assert not warnings_of(kinds.DEPLOYMENT)(deployment(), None)
    assert not warnings_of(kinds.SERVICE)(service(), None)
    assert not warnings_of(kinds.INGRESS)(ingress(), None)


def test_a_warning_names_field_and_consequence() -> None:
    spec = pod_spec(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}})
    spec["containers"] = [container(), container("d", securityContext={"runAsUser": 0})]
    obj = deployment(template={"spec": spec})
    assert warnings_of(kinds.DEPLOYMENT)(obj, None) == [
        f"spec.template.spec.affinity.podAffinity: {IGNORED}",
        "spec.template.spec.containers[1].securityContext.runAsUser: not implemented by loopkube: processes run as the "
        "user who started loopkube",
    ]


def test_parameters_of_an_ingress_class_are_not_used_and_that_is_said() -> None:
    made = ingress_class()
    assert not warnings_of(kinds.INGRESS_CLASS)(made, None)
    made["spec"]["parameters"] = {"kind": "ConfigMap", "name": "x"}
    (only,) = warnings_of(kinds.INGRESS_CLASS)(made, None)
    assert only == "spec.parameters: not used by loopkube's Ingress, which takes none"


def test_a_warning_is_given_once() -> None:
    old = pod(pod_spec(hostNetwork=True))
    new = copy_of(old)
    new["spec"]["hostPID"] = True
    (only,) = warnings_of(kinds.POD)(new, old)
    assert only.startswith("spec.hostPID: ")
    assert not warnings_of(kinds.POD)(new, new)


def test_harmless_values_are_no_reason() -> None:
    assert not warnings_of(kinds.SERVICE)(service(ports=[{"port": 53, "protocol": "UDP"}]), None)
    assert warnings_of(kinds.SERVICE)(service(ports=[{"port": 53, "protocol": "SCTP"}]), None)


def test_volumes_that_no_node_can_mount_say_so() -> None:
    assert not warnings_of(kinds.PERSISTENT_VOLUME)(volume(), None)
    (text,) = warnings_of(kinds.PERSISTENT_VOLUME)(volume(nfs={"server": "s", "path": "/"}), None)
    assert text.startswith("spec.nfs: ")
    assert "wait" in text


def test_kubernetes_own_warnings() -> None:
    assert "deprecated" in warnings_of(kinds.ENDPOINTS)({}, None)[0]
    old_fashioned = ingress()
    old_fashioned["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "x"}
    (text,) = warnings_of(kinds.INGRESS)(old_fashioned, None)
    assert text.endswith("please use 'spec.ingressClassName' instead")
