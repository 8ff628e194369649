"""Stored objects are shared by everybody, so no request may change one in place.

Every door is used once on one object after another; after each request everything that the store has ever handed out
must still say what its own bytes say.
"""

from __future__ import annotations

from typing import Any

import orjson

from control.api.kinds import DEPLOYMENT, KINDS
from control.store.records import Stored
from tests.fakes.cluster import (
    APPLY,
    APPS,
    CORE,
    JSON_PATCH,
    STRATEGIC,
    TABLE,
    Cluster,
    cluster,
    deployment,
    pod,
    service,
)

POD, WEB, SVC = f"{CORE}/pods/p", f"{APPS}/deployments/web", f"{CORE}/services/web"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
PDBS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
BINDING = {"target": {"kind": "Node", "name": "n1"}}
CONTAINERS = {"containers": [{"name": "c", "image": "nginx:2"}, {"name": "d", "image": "busybox"}]}
BUDGET = {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
BUDGET_STATUS = {
    "disruptionsAllowed": 1,
    "observedGeneration": 1,
    "currentHealthy": 1,
    "desiredHealthy": 0,
    "expectedPods": 1,
}
EVENT = {
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    "type": "Normal",
    "reason": "Started",
    "action": "Start",
    "reportingComponent": "kubelet",
    "reportingInstance": "n1",
    "eventTime": "2026-01-02T03:04:05.000000Z",
}

RUNNING = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

DOORS: list[tuple[str, str, Any, str]] = [
    ("POST", f"{APPS}/deployments", deployment(), ""),
    ("PATCH", WEB, {"spec": {"replicas": 3}, "metadata": {"labels": {"a": "b"}}}, ""),
    ("PATCH", WEB, {"spec": {"template": {"spec": CONTAINERS}}}, STRATEGIC),
    ("PATCH", WEB, [{"op": "add", "path": "/spec/template/spec/dnsPolicy", "value": "Default"}], JSON_PATCH),
    ("PATCH", f"{WEB}?fieldManager=me&force=true", deployment(replicas=5), APPLY),
    ("PATCH", f"{WEB}?fieldManager=you", {"metadata": {"labels": {"mine": "1"}}}, APPLY),
    ("PATCH", f"{WEB}?fieldManager=you", {"metadata": {}}, APPLY),
    ("PATCH", f"{WEB}/status", {"status": {"replicas": 1, "conditions": [{"type": "X", "status": "True"}]}}, ""),
    ("PATCH", f"{WEB}/scale", {"spec": {"replicas": 7}}, ""),
    ("PATCH", f"{WEB}?dryRun=All", {"spec": {"replicas": 70}}, ""),
    ("POST", f"{CORE}/services", service(type="NodePort"), ""),
    ("PUT", SVC, service(type="LoadBalancer", externalTrafficPolicy="Local"), ""),
    ("PATCH", SVC, {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}}, ""),
    ("PATCH", f"{SVC}/status", {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}, ""),
    ("POST", f"{CORE}/pods", pod(), ""),
    ("POST", f"{POD}/binding", BINDING, ""),
    ("PATCH", f"{POD}/status", {"status": RUNNING}, ""),
    ("POST", PDBS, BUDGET, ""),
    ("PATCH", f"{PDBS}/b/status", {"status": BUDGET_STATUS}, ""),
    ("POST", f"{POD}/eviction", {"metadata": {"name": "p"}}, ""),
    ("POST", f"{CORE}/events", EVENT, ""),
    ("PATCH", f"{EVENTS}/e", {"note": "n"}, ""),
    ("DELETE", f"{WEB}?propagationPolicy=Foreground", b"", ""),
    ("DELETE", f"{POD}?gracePeriodSeconds=1", b"", ""),
    ("DELETE", SVC, b"", ""),
]  # fmt: skip


def _everything(api: Cluster) -> list[Stored]:
    return [stored for kind in KINDS for stored in api.store.list(kind.resource)]


async def test_no_door_changes_what_others_hold() -> None:
    async with cluster() as api:
        seen: dict[int, Stored] = {}
        for method, url, body, media in DOORS:
            headers = {
                "Content-Type": media or ("application/merge-patch+json" if method == "PATCH" else "application/json")
            }
            answer = await api.send(method, url, body, headers=headers)
            assert answer.status in (200, 201, 202), (method, url, answer)
            await api.get(url.partition("?")[0].replace("/binding", "").replace("/eviction", ""), Accept=TABLE)
            for stored in _everything(api):
                seen.setdefault(id(stored), stored)
                assert stored.obj is stored.obj
            for stored in seen.values():
                assert stored.obj == orjson.loads(stored.data), (method, url)


async def test_the_local_client_leaves_what_it_is_given_alone() -> None:
    async with cluster() as api:
        obj = deployment()
        obj["metadata"]["namespace"] = "default"
        before = orjson.dumps(obj)
        made = await api.local.create(DEPLOYMENT, obj)
        assert orjson.dumps(obj) == before
        held = orjson.dumps(made)
        update = {**made, "spec": {**made["spec"], "replicas": 9}}
        given = orjson.dumps(update)
        await api.local.update(DEPLOYMENT, update)
        await api.local.update(DEPLOYMENT, {**made, "metadata": {**made["metadata"], "resourceVersion": ""}})
        assert (orjson.dumps(made), orjson.dumps(update)) == (held, given)
