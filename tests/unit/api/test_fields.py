"""Selectable fields."""

from __future__ import annotations

from control.api import kinds
from control.api.fields import PATHS, selectable
from control.api.objects import Object


def test_pods() -> None:
    pod: Object = {
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"nodeName": "node", "hostNetwork": True, "restartPolicy": "Always"},
        "status": {"phase": "Running", "podIPs": [{"ip": "127.244.0.2"}]},
    }
    found = selectable(kinds.POD)(pod)
    assert found == {
        "metadata.name": "a", "metadata.namespace": "n", "spec.nodeName": "node", "spec.restartPolicy": "Always",
        "spec.schedulerName": "", "spec.serviceAccountName": "", "spec.hostNetwork": "true", "status.phase": "Running",
        "status.nominatedNodeName": "", "status.podIP": "127.244.0.2", "status.podIPs": "127.244.0.2",
    }  # fmt: skip


def test_absent_parts_are_empty_texts() -> None:
    for kind in kinds.KINDS:
        found = selectable(kind)({})
        assert found["metadata.name"] == ""
        assert ("metadata.namespace" in found) is kind.namespaced
        assert set(PATHS.get(kind, ())) <= found.keys()
        assert all(value in ("", "false", "0") for value in found.values())


def test_fields_that_live_elsewhere() -> None:
    assert selectable(kinds.JOB)({"status": {"succeeded": 3}})["status.successful"] == "3"
    assert selectable(kinds.EVENT)({"reportingComponent": "kubelet"})["source"] == "kubelet"
    assert selectable(kinds.EVENT)({"source": {"component": "x"}, "reportingComponent": "y"})["source"] == "x"
    assert selectable(kinds.NODE)({"spec": {"unschedulable": True}})["spec.unschedulable"] == "true"
