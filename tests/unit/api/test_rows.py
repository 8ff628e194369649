"""The rows together: what holds of every kind."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.api import kinds
from control.api.decode import check
from control.api.kinds import KINDS, Kind
from control.api.objects import Object, copy_of
from control.api.rows import BY_PATH, RESOURCES
from control.api.schema import schema_of
from tests.fakes import manifests, volumes
from tests.fakes.autoscalers import autoscaler
from tests.fakes.generated import fitting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES: dict[Kind, Object] = {
    kinds.POD: manifests.pod(),
    kinds.SERVICE: manifests.service(),
    kinds.DEPLOYMENT: manifests.deployment(),
    kinds.REPLICA_SET: manifests.workload("ReplicaSet"),
    kinds.STATEFUL_SET: manifests.workload("StatefulSet"),
    kinds.DAEMON_SET: manifests.workload("DaemonSet"),
    kinds.REPLICATION_CONTROLLER: manifests.workload("ReplicationController", "v1", selector={"app": "web"}),
    kinds.INGRESS: manifests.ingress(),
    kinds.JOB: manifests.job(),
    kinds.CRON_JOB: manifests.cron_job(),
    kinds.PERSISTENT_VOLUME: {"spec": volumes.volume()["spec"]},
    kinds.PERSISTENT_VOLUME_CLAIM: {"spec": volumes.claim()["spec"]},
    kinds.STORAGE_CLASS: {"provisioner": "loopkube.io/directory"},
    kinds.INGRESS_CLASS: {"spec": {"controller": "loopkube.io/ingress"}},
    kinds.ENDPOINT_SLICE: {
        "addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"port": 80}],
    },
    kinds.HORIZONTAL_POD_AUTOSCALER: {"spec": autoscaler()["spec"]},
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: {
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3},
    },
    kinds.CONTROLLER_REVISION: {"data": {"spec": {}}, "revision": 1},
    kinds.EVENT: {"involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}},
    kinds.EVENTS_EVENT: {
        "regarding": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a/b",
        "reportingInstance": "i", "action": "Start", "reason": "Started", "type": "Normal",
    },
}  # fmt: skip


def example(kind: Kind) -> Object:
    obj = copy_of(EXAMPLES.get(kind, {}))
    obj.setdefault("metadata", manifests.metadata(namespace="default" if kind.namespaced else ""))
    obj |= {"apiVersion": kind.api_version, "kind": kind.kind}
    return obj


def created(kind: Kind) -> Object:
    """A valid object of a kind after decoding, strategy and defaults."""
    resource = RESOURCES[kind]
    obj = copy_of(check(example(kind), schema_of(resource.definition)).obj)
    resource.strategy.prepare_create(obj)
    resource.default(obj)
    return obj


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_ordinary_object_is_valid(kind: Kind) -> None:
    decoded = check(example(kind), schema_of(RESOURCES[kind].definition))
    assert (decoded.unknown, decoded.error) == ([], "")
    assert [str(fault) for fault in RESOURCES[kind].validate(created(kind))] == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_defaults_settle_and_fit_the_schema(kind: Kind) -> None:
    obj = created(kind)
    again = copy_of(obj)
    RESOURCES[kind].default(again)
    assert again == obj
    decoded = check(obj, schema_of(RESOURCES[kind].definition))
    assert (decoded.unknown, decoded.error) == ([], "")
    ours = {key: value for key, value in obj.items() if key != "status"}
    theirs = {key: value for key, value in decoded.obj.items() if key != "status"}
    if kind is not kinds.SERVICE_ACCOUNT:
        assert ours == theirs, "decoding an object that the server made changes nothing"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_update_without_a_change_is_valid(kind: Kind) -> None:
    old = created(kind)
    old["metadata"] |= {"resourceVersion": "1", "uid": old["metadata"].get("uid", "u")}
    resource = RESOURCES[kind]
    new = copy_of(old)
    resource.strategy.prepare_update(new, old)
    assert new == old
    assert [str(fault) for fault in resource.validate_update(new, old)] == []
    resource.strategy.prepare_status_update(new, old)
    assert new == old
    assert [str(fault) for fault in resource.validate_status_update(new, old)] == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_empty_object_is_refused_and_shown_without_failing(kind: Kind) -> None:
    resource = RESOURCES[kind]
    obj: Object = {}
    assert "metadata.name" in {fault.field for fault in resource.validate(obj)}
    assert all(column.cell(obj, NOW) is not None for column in resource.columns)
    resource.default(obj)
    assert resource.validate(obj)
    assert all(column.cell(obj, NOW) is not None for column in resource.columns)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows_are_found_by_path_and_have_a_name_column(kind: Kind) -> None:
    resource = BY_PATH[kind.group, kind.version, kind.plural]
    assert resource is RESOURCES[kind]
    assert [column.format for column in resource.columns].count("name") == 1
    assert resource.validate_name is not None
    assert resource.validate_name("a", False) == []
    assert resource.validate_name("a-", True) == []
    is_written = "update" in resource.verbs
    assert resource.has_status == (is_written and "status" in schema_of(resource.definition).properties)


def test_subresources_and_verbs() -> None:
    scalable = {kind for kind, resource in RESOURCES.items() if resource.has_scale}
    assert scalable == {kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.REPLICATION_CONTROLLER, kinds.STATEFUL_SET}
    assert "deletecollection" not in RESOURCES[kinds.NAMESPACE].verbs
    assert "deletecollection" in RESOURCES[kinds.POD].verbs
    assert [kind for kind, resource in RESOURCES.items() if resource.graceful] == [kinds.POD]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_whatever_decodes_gets_an_answer(data: st.DataObject) -> None:
    """No object, however odd, makes the scheme fail: it is valid, or it has faults."""
    kind = data.draw(st.sampled_from(KINDS))
    resource = RESOURCES[kind]
    schema = schema_of(resource.definition)
    spec = schema.properties.get("spec", schema)
    part = data.draw(fitting(spec))
    obj: Object = {"metadata": manifests.metadata(), **({"spec": part} if spec is not schema else part)}
    if "status" in schema.properties:
        obj["status"] = data.draw(fitting(schema.properties["status"], 5))
    decoded = check(obj, schema)
    assert (decoded.unknown, decoded.error) == ([], "")
    new = copy_of(decoded.obj)
    resource.default(new)
    assert all(str(fault) for fault in resource.validate(new))
    old = created(kind)
    assert all(str(fault) for fault in resource.validate_update(new, old))
    assert all(str(fault) for fault in resource.validate_status_update(new, old))
    resource.strategy.prepare_update(new, old)
    resource.strategy.prepare_status_update(copy_of(decoded.obj), old)
    resource.strategy.prepare_create(new)
    assert all(isinstance(text, str) for text in resource.warnings(new, old))
    assert all(column.cell(decoded.obj, NOW) is not None for column in resource.columns)
    assert all(isinstance(value, str) for value in resource.selectable_fields(decoded.obj).values())


def test_the_rows_are_cheap_to_import() -> None:
    """The schemas are not even read before somebody asks for one."""
    code = "import control.api.rows, control.api.schemas as s; print(s.load_structure.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
