"""Every operation on every workload kind, as the conformance tests of [sig-apps] play them: create, read, list, watch,
patch, replace, status, delete by label."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.kinds import Kind
from control.api.objects import Object
from tests.fakes.cluster import Cluster, cluster

LABELS = {"app": "web"}
POD = {"containers": [{"name": "c", "image": "nginx:1"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
JOB = {"template": {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}}

BODIES: dict[Kind, Object] = {
    kinds.REPLICATION_CONTROLLER: {"spec": {"selector": LABELS, "template": TEMPLATE}},
    kinds.REPLICA_SET: {"spec": SELECTED},
    kinds.DEPLOYMENT: {"spec": SELECTED},
    kinds.STATEFUL_SET: {"spec": {**SELECTED, "serviceName": "web"}},
    kinds.DAEMON_SET: {"spec": SELECTED},
    kinds.JOB: {"spec": JOB},
    kinds.CRON_JOB: {"spec": {"schedule": "*/1 * * * ?", "jobTemplate": {"spec": JOB}}},
    kinds.POD_DISRUPTION_BUDGET: {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
    kinds.CONTROLLER_REVISION: {"data": {"spec": {}}, "revision": 1},
    kinds.RESOURCE_QUOTA: {"spec": {"hard": {"pods": "5"}}},
    kinds.LIMIT_RANGE: {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
}
CHANGES: dict[Kind, tuple[Object, Object]] = {
    kinds.DAEMON_SET: ({"minReadySeconds": 5}, {"minReadySeconds": 6}),
    kinds.JOB: ({"parallelism": 2}, {"suspend": True}),
    kinds.CRON_JOB: ({"suspend": True}, {"schedule": "0 0 * * *"}),
    kinds.POD_DISRUPTION_BUDGET: ({"minAvailable": 2}, {"minAvailable": "50%"}),
    kinds.RESOURCE_QUOTA: ({"hard": {"pods": "6"}}, {"hard": {"secrets": "1"}}),
    kinds.LIMIT_RANGE: (
        {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]},
        {"limits": [{"type": "Pod", "min": {"cpu": "1"}}]},
    ),
}
"""What a patch and a replacement change of a spec; of the others, `replicas`."""

STATUSES: dict[Kind, tuple[Object, Object]] = {
    kinds.REPLICATION_CONTROLLER: ({"replicas": 1}, {"replicas": 1, "readyReplicas": 1}),
    kinds.REPLICA_SET: ({"replicas": 1}, {"replicas": 1, "readyReplicas": 1}),
    kinds.DEPLOYMENT: ({"replicas": 1}, {"replicas": 1, "updatedReplicas": 1}),
    kinds.STATEFUL_SET: ({"replicas": 1}, {"replicas": 1, "readyReplicas": 1}),
    kinds.DAEMON_SET: ({"numberReady": 1}, {"numberReady": 2}),
    kinds.JOB: ({"active": 1}, {"active": 2, "startTime": "2026-01-02T03:04:05Z"}),
    kinds.CRON_JOB: ({"lastScheduleTime": "2026-01-02T03:04:00Z"}, {"lastScheduleTime": "2026-01-02T03:05:00Z"}),
    kinds.POD_DISRUPTION_BUDGET: ({"currentHealthy": 1}, {"disruptedPods": {"p": "2026-01-02T03:04:05Z"}}),
    kinds.RESOURCE_QUOTA: ({"hard": {"pods": "5"}}, {"hard": {"pods": "5"}, "used": {"pods": "1"}}),
}


def body(kind: Kind, name: str = "web", **labels: str) -> Object:
    metadata = {"name": name, "labels": {**LABELS, **labels}}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **BODIES[kind]}


def changed(kind: Kind, obj: Object, step: int) -> Object:
    if kind == kinds.CONTROLLER_REVISION:
        return {**obj, "revision": step + 2}
    return {**obj, "spec": {**obj["spec"], **CHANGES.get(kind, ({"replicas": 2}, {"replicas": 3}))[step]}}


async def created(api: Cluster, kind: Kind, *names: str, **labels: str) -> None:
    for name in names:
        assert (await api.post(kind.path("default"), body(kind, name, **labels))).status == 201


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.kind)
async def test_every_kind_has_all_operations(kind: Kind) -> None:
    async with cluster() as api:
        where = kind.path("default")
        revision = (await api.get(where)).body["metadata"]["resourceVersion"]
        watcher = await api.watch(f"{where}?watch=1&resourceVersion={revision}")
        await created(api, kind, "web", "other")
        assert [one["metadata"]["name"] for one in (await api.get(kind.path())).body["items"]] == ["other", "web"]
        at = kind.path("default", "web")
        found = (await api.get(at)).body
        patched = changed(kind, found, 0)
        fields = {key: patched[key] for key in patched if patched[key] != found[key]}
        reply = await api.patch(at, {"metadata": {"labels": {"test": "patched"}}, **fields})
        assert reply.status == 200, reply.body
        assert reply.body["metadata"]["labels"] == {**LABELS, "test": "patched"}
        reply = await api.put(at, changed(kind, reply.body, 1))
        assert reply.status == 200, reply.body
        for key in fields:
            assert (await api.get(at)).body[key] == reply.body[key] != found[key]
        assert (await api.delete(at)).status == 200
        assert (await api.get(at)).status == 404
        assert await watcher.names(5) == [
            ("ADDED", "web"), ("ADDED", "other"), ("MODIFIED", "web"), ("MODIFIED", "web"), ("DELETED", "web"),
        ]  # fmt: skip


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.kind)
async def test_a_status_is_read_patched_and_replaced(kind: Kind) -> None:
    async with cluster() as api:
        await created(api, kind, "web")
        at = kind.path("default", "web", "status")
        first, second = STATUSES[kind]
        before = (await api.get(at)).body
        reply = await api.patch(at, {"metadata": {"annotations": {"patched": "status"}}, "status": first})
        assert reply.status == 200, reply.body
        assert reply.body["status"].items() >= first.items()
        assert reply.body["spec"] == before["spec"]
        condition: dict[str, Any] = {}
        if kind not in (kinds.CRON_JOB, kinds.RESOURCE_QUOTA, kinds.POD_DISRUPTION_BUDGET):
            one = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
            condition = {"conditions": [one]}
        status = {**reply.body["status"], **second, **condition}
        reply = await api.put(at, {**reply.body, "spec": {}, "status": status})
        assert reply.status == 200, reply.body
        found = (await api.get(kind.path("default", "web"))).body
        assert (found["status"], found["spec"]) == (status, before["spec"])


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.kind)
async def test_a_collection_goes_by_label(kind: Kind) -> None:
    async with cluster() as api:
        await created(api, kind, "a", "b", set="one")
        await created(api, kind, "c", set="two")
        where = kind.path("default")
        listed = (await api.get(f"{kind.path()}?labelSelector=set%3Done")).body["items"]
        assert [one["metadata"]["name"] for one in listed] == ["a", "b"]
        assert (await api.delete(f"{where}?labelSelector=set%3Done")).status == 200
        assert [one["metadata"]["name"] for one in (await api.get(where)).body["items"]] == ["c"]
