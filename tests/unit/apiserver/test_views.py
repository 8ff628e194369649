"""Events through both groups, and when they are forgotten; autoscalers in both versions."""

from __future__ import annotations

from tests.fakes.autoscalers import autoscaler, pods
from tests.fakes.cluster import CORE, cluster

NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
CORE_EVENT = {
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    "message": "hello",
    "reason": "Started",
    "type": "Normal",
    "count": 3,
    "source": {"component": "kubelet"},
    "firstTimestamp": "2026-01-02T03:00:00Z",
    "lastTimestamp": "2026-01-02T03:04:05Z",
}


async def test_a_core_event_is_seen_through_the_other_group() -> None:
    async with cluster() as api:
        assert (await api.post(f"{CORE}/events", CORE_EVENT)).status == 201
        seen = (await api.get(f"{NEW}/e")).body
        assert (seen["apiVersion"], seen["note"], seen["deprecatedCount"]) == ("events.k8s.io/v1", "hello", 3)
        assert seen["regarding"]["name"] == "p"
        assert seen["deprecatedSource"] == {"component": "kubelet"}
        assert "message" not in seen
        listed = (await api.get(NEW)).body
        assert (listed["kind"], listed["items"]) == ("EventList", [seen])


async def test_and_the_other_way_round() -> None:
    async with cluster() as api:
        watch = await api.watch(f"{CORE}/events?watch=1&resourceVersion={api.store.revision}")
        event = {
            "metadata": {"name": "n", "namespace": "default"},
            "eventTime": "2026-01-02T03:04:05.000006Z",
            "reportingController": "example.com/c",
            "reportingInstance": "i",
            "action": "Do",
            "reason": "Done",
            "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
            "note": "hi",
            "type": "Normal",
        }
        reply = await api.post(NEW, event)
        assert reply.status == 201, reply.body
        core = (await api.get(f"{CORE}/events/n")).body
        assert (core["message"], core["involvedObject"]["name"]) == ("hi", "p")
        assert core["reportingComponent"] == "example.com/c"
        assert await watch.next() == ("ADDED", core)
        changed = await api.patch(f"{NEW}/n", {"note": "bye"})
        assert (changed.status, changed.body["note"]) == (200, "bye")
        assert (await api.get(f"{CORE}/events/n")).body["message"] == "bye"
        assert (await api.delete(f"{NEW}/n")).status == 200
        assert (await api.get(f"{CORE}/events/n")).status == 404


async def test_events_are_chosen_by_what_they_are_about() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/events", CORE_EVENT)
        found = (await api.get(f"{CORE}/events?fieldSelector=involvedObject.name%3Dp,reason%3DStarted")).body["items"]
        assert len(found) == 1
        assert (await api.get(f"{CORE}/events?fieldSelector=involvedObject.name%3Dq")).body["items"] == []


async def test_events_are_forgotten_an_hour_after_they_were_last_seen() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/events", CORE_EVENT)
        api.clock.advance(3599)
        await api.server.tend()
        assert (await api.get(f"{CORE}/events/e")).status == 200
        api.clock.advance(1)
        await api.server.tend()
        assert (await api.get(f"{CORE}/events/e")).status == 404


V1, V2 = (f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers" for version in ("v1", "v2"))
AUTOSCALER = {
    "metadata": {"name": "web"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3},
}


async def test_an_autoscaler_of_v1_is_one_of_v2() -> None:
    async with cluster() as api:
        made = await api.post(V1, AUTOSCALER)
        assert (made.status, made.body["spec"]["targetCPUUtilizationPercentage"]) == (201, 80)
        seen = (await api.get(f"{V2}/web")).body
        target = {"type": "Utilization", "averageUtilization": 80}
        assert seen["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        assert seen["metadata"]["generation"] == 1
        status = {"currentReplicas": 1, "desiredReplicas": 2, "currentMetrics": []}
        assert (await api.put(f"{V2}/web/status", {**seen, "status": status})).status == 200
        patch = {"spec": {"targetCPUUtilizationPercentage": 50}}
        patched = await api.patch(f"{V1}/web", patch)
        assert patched.body["status"] == {"currentReplicas": 1, "desiredReplicas": 2}
        seen = (await api.get(f"{V2}/web")).body
        assert seen["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
        assert (seen["metadata"]["generation"], seen["status"]["desiredReplicas"]) == (2, 2)
        assert [item["metadata"]["name"] for item in (await api.get(V1)).body["items"]] == ["web"]


async def test_a_metric_that_v1_has_no_field_for_survives_a_write_through_v1() -> None:
    async with cluster() as api:
        metric = pods("hits", averageValue="3")
        assert (await api.post(V2, autoscaler("web", metric))).status == 201
        seen = (await api.get(f"{V1}/web")).body
        assert "targetCPUUtilizationPercentage" not in seen["spec"]
        assert (await api.put(f"{V1}/web", {**seen, "spec": {**seen["spec"], "maxReplicas": 4}})).status == 200
        after = (await api.get(f"{V2}/web")).body
        assert (after["spec"]["metrics"], after["spec"]["maxReplicas"]) == ([metric], 4)
        assert "annotations" not in after["metadata"]
