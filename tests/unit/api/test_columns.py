"""Printer columns: what kubectl users see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.api import kinds
from control.api.columns.cells import human_duration, since
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.rows import RESOURCES
from tests.fakes.manifests import cron_job, deployment, job, metadata, service

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
S, M, H, D = 1, 60, 3600, 86400


def row(kind: Kind, obj: Object) -> dict[str, Any]:
    return {column.name: column.cell(obj, NOW) for column in RESOURCES[kind].columns}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (9 * M + 59, "9m59s"),
        (10 * M + 5, "10m"), (179 * M, "179m"), (3 * H, "3h"), (5 * H + 3 * M, "5h3m"), (8 * H + 5 * M, "8h"),
        (47 * H, "47h"), (2 * D, "2d"), (2 * D + 4 * H, "2d4h"), (8 * D + H, "8d"), (700 * D, "700d"), (730 * D, "2y"),
        (3 * 365 * D + 45 * D, "3y45d"), (9 * 365 * D + D, "9y"),
    ],
)  # fmt: skip
def test_durations(seconds: int, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


def test_ages() -> None:
    assert since("2026-01-01T11:57:00Z", NOW) == "3m"
    assert since(None, NOW) == "<unknown>"


# --- pods ---------------------------------------------------------------------------------------------------------


def waiting(reason: str, restarts: int = 0) -> Object:
    return {"name": "c", "state": {"waiting": {"reason": reason}}, "restartCount": restarts}


def running(*, ready: bool = True, name: str = "c", **more: Any) -> Object:
    return {"name": name, "ready": ready, "started": True, "state": {"running": {}}, **more}


def ended(code: int = 0, reason: str = "", **more: Any) -> Object:
    return {"name": "c", "state": {"terminated": {"exitCode": code, "reason": reason, **more}}}


READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("status", "word", "ready"),
    [
        ({"phase": "Pending"}, "Pending", 0),
        ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, "ContainerCreating", 0),
        ({"phase": "Running", "containerStatuses": [running()]}, "Running", 1),
        ({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}, "CrashLoopBackOff", 0),
        ({"phase": "Running", "containerStatuses": [ended(1, "Error")]}, "Error", 0),
        ({"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")]}, "Completed", 0),
        ({"phase": "Failed", "containerStatuses": [ended(3)]}, "ExitCode:3", 0),
        ({"phase": "Failed", "containerStatuses": [ended(137, signal=9)]}, "Signal:9", 0),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted", 0),
        ({"phase": "Running", "containerStatuses": [ended(0, "Completed"), running()]}, "NotReady", 1),
        (
            {"phase": "Running", "conditions": READY, "containerStatuses": [ended(0, "Completed"), running()]},
            "Running",
            1,
        ),
        ({"phase": "Running", "containerStatuses": [ended(1, "Error"), waiting("CrashLoopBackOff")]}, "Error", 0),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            "SchedulingGated",
            0,
        ),
    ],
)
def test_pod_status(status: Object, word: str, ready: int) -> None:
    containers = [{"name": "c"} for _ in status.get("containerStatuses", [1])]
    found = row(kinds.POD, {"metadata": metadata(), "spec": {"containers": containers}, "status": status})
    assert found["Status"] == word
    assert found["Ready"] == f"{ready}/{len(containers)}"


def init(*statuses: Object, spec: list[Object] | None = None, regular: Object | None = None) -> dict[str, Any]:
    containers = spec or [{"name": f"i{index}"} for index in range(3)]
    named = [{**status, "name": f"i{index}"} for index, status in enumerate(statuses)]
    status: Object = {"phase": "Pending", "initContainerStatuses": named}
    if regular:
        status["containerStatuses"] = [regular]
    return row(kinds.POD, {"spec": {"containers": [{"name": "c"}], "initContainers": containers}, "status": status})


def test_pod_status_while_initializing() -> None:
    creating = waiting("PodInitializing")
    assert init(creating)["Status"] == "Init:0/3"
    assert init(ended(0), running(ready=False), regular=creating)["Status"] == "Init:1/3"
    assert init(ended(0), waiting("CrashLoopBackOff", 4))["Status"] == "Init:CrashLoopBackOff"
    assert init(ended(0), waiting("CrashLoopBackOff", 4))["Restarts"] == "4"
    assert init(ended(1, "Error"))["Status"] == "Init:Error"
    assert init(ended(2))["Status"] == "Init:ExitCode:2"
    assert init(ended(0), ended(0), ended(0), regular=creating)["Status"] == "PodInitializing"


def test_sidecars_count_as_containers() -> None:
    found = init(running(restartCount=2), spec=[{"name": "i0", "restartPolicy": "Always"}], regular=running())
    assert (found["Status"], found["Ready"], found["Restarts"]) == ("Pending", "2/2", "2")


def test_restarts_say_when() -> None:
    last = {"terminated": {"finishedAt": "2026-01-01T11:55:00Z"}}
    status = {"phase": "Running", "containerStatuses": [running(restartCount=3, lastState=last)]}
    assert row(kinds.POD, {"status": status})["Restarts"] == "3 (5m ago)"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"phase": "Running", "containerStatuses": [running()]}, "Terminating"),
        ({"phase": "Succeeded"}, "Succeeded"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
    ],
)
def test_pods_that_are_deleted(status: Object, word: str) -> None:
    assert (
        row(kinds.POD, {"metadata": {"deletionTimestamp": "2026-01-01T11:00:00Z"}, "status": status})["Status"] == word
    )


def test_wide_pods() -> None:
    gates = [{"conditionType": "a"}, {"conditionType": "b"}]
    status = {"podIPs": [{"ip": "127.244.0.2"}], "conditions": [{"type": "a", "status": "True"}]}
    found = row(kinds.POD, {"spec": {"nodeName": "n", "readinessGates": gates}, "status": status})
    assert (found["IP"], found["Node"], found["Readiness Gates"]) == ("127.244.0.2", "n", "1/2")
    wide = {column.name for column in RESOURCES[kinds.POD].columns if column.priority}
    assert wide == {"IP", "Node", "Nominated Node", "Readiness Gates"}


# --- the others ---------------------------------------------------------------------------------------------------


def test_deployments() -> None:
    obj = deployment(replicas=3)
    obj["status"] = {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    found = row(kinds.DEPLOYMENT, obj)
    assert (found["Ready"], found["Up-to-date"], found["Available"]) == ("2/3", 1, 2)
    assert (found["Containers"], found["Images"], found["Selector"]) == ("c", "nginx:1.29", "app=web")


@pytest.mark.parametrize(
    ("spec", "status", "cluster", "external", "ports"),
    [
        ({"clusterIP": "127.96.0.9"}, {}, "127.96.0.9", "<none>", "80/TCP"),
        ({"clusterIPs": ["None"]}, {}, "None", "<none>", "80/TCP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000, "protocol": "UDP"}]}, {}, "<none>", "<none>",
         "80:30000/UDP"),
        ({"type": "LoadBalancer"}, {}, "<none>", "<pending>", "80/TCP"),
        ({"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}, "<none>", "127.0.0.1",
         "80/TCP"),
        ({"type": "ExternalName", "externalName": "a.b", "ports": []}, {}, "<none>", "a.b", "<none>"),
        ({"externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, "<none>", "1.1.1.1,2.2.2.2", "80/TCP"),
    ],
)  # fmt: skip
def test_services(spec: Object, status: Object, cluster: str, external: str, ports: str) -> None:
    found = row(kinds.SERVICE, {**service(**spec), "status": status})
    assert (found["Cluster-IP"], found["External-IP"], found["Port(s)"]) == (cluster, external, ports)


def test_endpoints_show_the_first_three() -> None:
    addresses = [{"ip": f"127.244.0.{n}"} for n in range(2, 7)]
    obj = {"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}
    assert row(kinds.ENDPOINTS, obj)["Endpoints"] == "127.244.0.2:80,127.244.0.3:80,127.244.0.4:80 + 2 more..."
    slice_ = {"endpoints": [{"addresses": ["127.244.0.2"]}], "ports": [{"port": 80}, {"name": "any"}]}
    found = row(kinds.ENDPOINT_SLICE, slice_)
    assert (found["Endpoints"], found["Ports"]) == ("127.244.0.2", "80,*")


@pytest.mark.parametrize(
    ("labels", "conditions", "spec", "roles", "status"),
    [
        ({}, [], {}, "<none>", "Unknown"),
        ({"node-role.kubernetes.io/worker": ""}, READY, {}, "worker", "Ready"),
        ({"kubernetes.io/role": "x"}, [{"type": "Ready", "status": "False"}], {"unschedulable": True}, "x",
         "NotReady,SchedulingDisabled"),
    ],
)  # fmt: skip
def test_nodes(labels: Object, conditions: list[Object], spec: Object, roles: str, status: str) -> None:
    found = row(kinds.NODE, {"metadata": {"labels": labels}, "spec": spec, "status": {"conditions": conditions}})
    assert (found["Roles"], found["Status"]) == (roles, status)


def test_both_generations_of_events() -> None:
    old = {
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "reason": "Started", "type": "Normal", "message": " m\n", "count": 3,
        "firstTimestamp": "2026-01-01T11:00:00Z", "lastTimestamp": "2026-01-01T11:59:00Z",
        "source": {"component": "kubelet", "host": "n"},
    }  # fmt: skip
    found = row(kinds.EVENT, old)
    assert [found[name] for name in ("Last Seen", "First Seen", "Object", "Message", "Count", "Source")] == [
        "60s", "60m", "pod/p", "m", "3", "kubelet, n",
    ]  # fmt: skip
    new = {
        "regarding": {"kind": "Pod", "name": "p"}, "note": "n", "eventTime": "2026-01-01T11:59:50.000000Z",
        "reportingController": "a/b", "series": {"count": 9, "lastObservedTime": "2026-01-01T11:59:55.000000Z"},
    }  # fmt: skip
    found = row(kinds.EVENTS_EVENT, new)
    assert [found[name] for name in ("Last Seen", "First Seen", "Object", "Message", "Count", "Source")] == [
        "5s", "10s", "pod/p", "n", "9", "a/b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "conditions", "status", "completions"),
    [
        ({"completions": 3}, [], "Running", "1/3"),
        ({"parallelism": 4}, [], "Running", "1/1 of 4"),
        ({"parallelism": 1}, [{"type": "Complete", "status": "True"}], "Complete", "1/1"),
        ({"completions": 1}, [{"type": "Failed", "status": "True"}], "Failed", "1/1"),
        ({"completions": 1}, [{"type": "Suspended", "status": "True"}], "Suspended", "1/1"),
    ],
)
def test_jobs(spec: Object, conditions: list[Object], status: str, completions: str) -> None:
    obj = job(**spec)
    obj["status"] = {"succeeded": 1, "conditions": conditions, "startTime": "2026-01-01T11:59:00Z"}
    found = row(kinds.JOB, obj)
    assert (found["Status"], found["Completions"], found["Duration"]) == (status, completions, "60s")


def test_cron_jobs() -> None:
    obj = cron_job(suspend=True)
    obj["status"] = {"active": [{}], "lastScheduleTime": "2026-01-01T11:59:00Z"}
    found = row(kinds.CRON_JOB, obj)
    shown = [found[name] for name in ("Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Containers")]
    assert shown == ["*/5 * * * *", "<none>", "True", 1, "60s", "c"]


QUOTA = {"status": {"hard": {"requests.cpu": "1", "pods": "2", "limits.cpu": "3"}, "used": {"pods": "1"}}}


@pytest.mark.parametrize(
    ("kind", "obj", "column", "cell"),
    [
        (kinds.INGRESS, {"spec": {"rules": [{"host": h} for h in "abcd"]}}, "Hosts", "a,b,c + 1 more..."),
        (kinds.INGRESS, {"spec": {"tls": [{}]}}, "Ports", "80, 443"),
        (kinds.INGRESS, {"spec": {"ingressClassName": "x"}}, "Class", "x"),
        (kinds.INGRESS_CLASS, {"spec": {"parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}, "Parameters",
         "K.g/n"),
        (kinds.SECRET, {"type": "Opaque", "data": {"a": "", "b": ""}}, "Data", 2),
        (kinds.CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"b": ""}}, "Data", 2),
        (kinds.POD_DISRUPTION_BUDGET, {"spec": {"minAvailable": "50%"}}, "Min Available", "50%"),
        (kinds.LEASE, {"spec": {"holderIdentity": "me"}}, "Holder", "me"),
        (kinds.CONTROLLER_REVISION, {"metadata": {"ownerReferences": [
            {"controller": True, "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d"}]}}, "Controller",
         "daemonset.apps/d"),
        (kinds.DAEMON_SET, {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}, "Node Selector", "a=b"),
        (kinds.REPLICATION_CONTROLLER, {"spec": {"selector": {"a": "b"}, "replicas": 2}}, "Selector", "a=b"),
        (kinds.REPLICA_SET, {"status": {"readyReplicas": 2}}, "Ready", 2),
        (kinds.STATEFUL_SET, {"spec": {"replicas": 2}}, "Ready", "0/2"),
        (kinds.NAMESPACE, {"status": {"phase": "Active"}}, "Status", "Active"),
        (kinds.PRIORITY_CLASS, {"value": 7, "globalDefault": True}, "Global-Default", True),
        (kinds.RESOURCE_QUOTA, QUOTA, "Request", "pods: 1/2, requests.cpu: 0/1"),
        (kinds.RESOURCE_QUOTA, QUOTA, "Limit", "limits.cpu: 0/3"),
        (kinds.LIMIT_RANGE, {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}, "Created At",
         "2026-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_single_cells(kind: Kind, obj: Object, column: str, cell: Any) -> None:
    assert row(kind, obj)[column] == cell
