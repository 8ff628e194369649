"""Scale, eviction, binding, tokens, finalize, reviews, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.kinds import DEPLOYMENT, POD, SERVICE_ACCOUNT
from control.api.status import StatusError
from tests.fakes.cluster import APPS, CORE, JSON_PATCH, Cluster, cluster, deployment, pod

PODS = f"{CORE}/pods"
PDBS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
SCALE = f"{APPS}/deployments/web/scale"


async def test_scale_is_a_view_that_can_be_written() -> None:
    async with cluster() as api:
        made = (await api.post(f"{APPS}/deployments", deployment(replicas=3))).body
        scale = (await api.get(SCALE)).body
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert scale["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 0, "selector": "app=web"})
        scale["spec"]["replicas"] = 5
        put = (await api.put(SCALE, scale)).body
        assert put["spec"] == {"replicas": 5}
        found = (await api.get(f"{APPS}/deployments/web")).body
        assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 2)
        assert (await api.put(SCALE, scale)).reason == "Conflict"
        assert (await api.patch(SCALE, {"spec": {"replicas": 0}})).body["spec"] == {}
        steps = [{"op": "replace", "path": "/spec", "value": {"replicas": 2}}]
        assert (await api.patch(SCALE, steps, JSON_PATCH)).body["spec"] == {"replicas": 2}
        reply = await api.patch(SCALE, {"spec": {"replicas": -1}})
        assert reply.message == (
            'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
        )
        assert (await api.get(f"{APPS}/daemonsets/x/scale")).status == 404


async def test_scale_through_the_local_client() -> None:
    async with cluster() as api:
        await api.post(f"{APPS}/deployments", deployment())
        scale = (await api.get(SCALE)).body
        scale["spec"] = {"replicas": 4}
        assert (await api.local.update(DEPLOYMENT, scale, subresource="scale"))["spec"] == {"replicas": 4}


async def _running_pod(api: Cluster, name: str = "p", ready: str = "True") -> dict[str, Any]:
    await api.post(PODS, pod(name, nodeName="n1"))
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    return (await api.patch(f"{PODS}/{name}/status", {"status": status})).body  # type: ignore[no-any-return]


async def _budget(api: Cluster, allowed: int, *, name: str = "b", current: int = 2, **spec: Any) -> None:
    body = {
        "metadata": {"name": name},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    await api.post(PDBS, body)
    status = {
        "disruptionsAllowed": allowed,
        "desiredHealthy": 2,
        "currentHealthy": current,
        "expectedPods": 3,
        "observedGeneration": 1,
    }
    reply = await api.patch(f"{PDBS}/{name}/status", {"status": status})
    assert reply.status == 200, reply.body


EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}


async def test_an_eviction_without_a_budget_deletes_gracefully() -> None:
    async with cluster() as api:
        await _running_pod(api)
        reply = await api.post(f"{PODS}/p/eviction", EVICTION)
        assert (reply.status, reply.body["status"]) == (201, "Success")
        found = (await api.get(f"{PODS}/p")).body
        assert found["metadata"]["deletionGracePeriodSeconds"] == 30
        condition = next(one for one in found["status"]["conditions"] if one["type"] == "DisruptionTarget")
        assert condition["reason"] == "EvictionByEvictionAPI"


async def test_an_eviction_in_the_version_of_old_clients() -> None:
    async with cluster() as api:
        await _running_pod(api)
        assert (await api.post(f"{PODS}/p/eviction", {**EVICTION, "apiVersion": "policy/v1beta1"})).status == 201
        assert (await api.post(f"{PODS}/p/eviction", {**EVICTION, "apiVersion": "policy/v2"})).status == 400


async def test_an_eviction_takes_from_the_budget() -> None:
    async with cluster() as api:
        await _running_pod(api)
        await _budget(api, 1)
        assert (await api.post(f"{PODS}/p/eviction", EVICTION)).status == 201
        status = (await api.get(f"{PDBS}/b")).body["status"]
        assert (status["disruptionsAllowed"], status["disruptedPods"]) == (0, {"p": "2026-01-02T03:04:05Z"})


async def test_an_empty_budget_refuses_with_429() -> None:
    async with cluster() as api:
        await _running_pod(api)
        await _budget(api, 0)
        reply = await api.post(f"{PODS}/p/eviction", EVICTION)
        assert (reply.status, reply.reason) == (429, "TooManyRequests")
        assert reply.message == "Cannot evict pod as it would violate the pod's disruption budget."
        assert reply.body["details"]["causes"] == [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget b needs 2 healthy pods and has 2 currently",
            }
        ]
        assert reply.answer.headers is None, "a client that is told when to come again sleeps until then"
        assert "deletionTimestamp" not in (await api.get(f"{PODS}/p")).body["metadata"]


async def test_two_budgets_cannot_be_decided() -> None:
    async with cluster() as api:
        await _running_pod(api)
        await _budget(api, 1)
        await _budget(api, 1, name="c")
        reply = await api.post(f"{PODS}/p/eviction", EVICTION)
        assert (reply.status, "more than one PodDisruptionBudget" in reply.message) == (500, True)


async def test_a_pod_that_is_not_ready_may_go_if_the_others_are_healthy() -> None:
    async with cluster() as api:
        await _running_pod(api, ready="False")
        await _budget(api, 0, current=2)
        assert (await api.post(f"{PODS}/p/eviction?dryRun=All", EVICTION)).status == 201
        assert "deletionTimestamp" not in (await api.get(f"{PODS}/p")).body["metadata"]
        assert (await api.post(f"{PODS}/p/eviction", EVICTION)).status == 201


@pytest.mark.parametrize(("policy", "status"), [("AlwaysAllow", 201), ("IfHealthyBudget", 429)])
async def test_where_the_others_are_not_healthy_the_policy_decides_of_a_pod_that_is_not_ready(
    policy: str, status: int
) -> None:
    async with cluster() as api:
        await _running_pod(api, ready="False")
        await _budget(api, 0, current=1, unhealthyPodEvictionPolicy=policy)
        assert (await api.post(f"{PODS}/p/eviction", EVICTION)).status == status
        assert (await api.get(f"{PDBS}/b")).body["status"].get("disruptedPods") is None


async def test_an_eviction_names_its_pod() -> None:
    async with cluster() as api:
        assert (await api.post(f"{PODS}/p/eviction", EVICTION)).status == 404
        reply = await api.post(f"{PODS}/q/eviction", EVICTION)
        assert reply.message == "name in URL does not match name in Eviction object"


async def test_a_pod_is_bound_once() -> None:
    async with cluster() as api:
        await api.post(PODS, pod())
        binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n1"}}
        assert (await api.post(f"{PODS}/p/binding", binding)).status == 201
        found = (await api.get(f"{PODS}/p")).body
        assert found["spec"]["nodeName"] == "n1"
        scheduled = next(one for one in found["status"]["conditions"] if one["type"] == "PodScheduled")
        assert scheduled["status"] == "True"
        reply = await api.post(f"{CORE}/bindings", binding)
        assert (reply.status, reply.message) == (
            409,
            'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
        )
        with pytest.raises(StatusError, match="not found"):
            await api.local.create(
                POD, {**binding, "metadata": {"namespace": "default"}}, subresource="binding", name="x"
            )


async def test_a_token_is_somebody() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
        url = f"{CORE}/serviceaccounts/robot/token"
        reply = await api.post(url, {"spec": {"audiences": [], "expirationSeconds": 900}})
        assert (reply.status, reply.body["status"]["expirationTimestamp"]) == (201, "2026-01-02T03:19:05Z")
        token = reply.body["status"]["token"]
        review = {"spec": {"token": token}}
        reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
        user = (await api.post(reviews, review)).body["status"]["user"]
        assert user["username"] == "system:serviceaccount:default:robot"
        assert "system:serviceaccounts:default" in user["groups"]
        reply = await api.post(url, {"spec": {"audiences": [], "expirationSeconds": 10}})
        assert "may not specify a duration less than 10 minutes" in reply.message
        api.clock.advance(901)
        assert (await api.post(reviews, review)).body["status"]["error"] == "invalid bearer token"


async def test_a_token_ends_with_what_it_is_bound_to() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
        await api.post(PODS, pod())
        bound = {"spec": {"audiences": [], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}
        reply = await api.post(f"{CORE}/serviceaccounts/robot/token", bound)
        review = {"spec": {"token": reply.body["status"]["token"]}}
        reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
        status = (await api.post(reviews, review)).body["status"]
        assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
        await api.delete(f"{PODS}/p")
        assert "authenticated" not in (await api.post(reviews, review)).body["status"]
        made = await api.local.create(
            SERVICE_ACCOUNT, {"metadata": {"namespace": "default"}, "spec": {}}, subresource="token", name="robot"
        )
        assert made["status"]["token"].count(".") == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (
            "authentication.k8s.io/v1/selfsubjectreviews",
            {},
            {"userInfo": {"username": "ann", "groups": ["system:masters", "system:authenticated"]}},
        ),
        (
            "authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}},
            {"allowed": True},
        ),
        (
            "authorization.k8s.io/v1/subjectaccessreviews",
            {"spec": {"user": "system:anonymous", "nonResourceAttributes": {"path": "/", "verb": "get"}}},
            {"allowed": False, "reason": "anonymous requests are not authenticated"},
        ),
        (
            "authorization.k8s.io/v1/selfsubjectrulesreviews",
            {"spec": {"namespace": "default"}},
            {
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": False,
            },
        ),
        (
            "authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
            {"spec": {"user": "bob", "resourceAttributes": {"verb": "get"}}},
            {"allowed": True},
        ),
    ],
)
async def test_reviews_are_answered(path: str, body: dict[str, Any], status: dict[str, Any]) -> None:
    async with cluster() as api:
        reply = await api.post(f"/apis/{path}", body)
        assert (reply.status, reply.body["status"]) == (201, status)
        assert (await api.get(f"/apis/{path}")).status == 405


async def test_a_review_must_ask_something() -> None:
    async with cluster() as api:
        reply = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {}})
        assert (reply.status, "exactly one of" in reply.message) == (422, True)
        reply = await api.post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"resourceAttributes": {"verb": "get"}}}
        )
        assert "at least one of user or group must be specified" in reply.message
        assert (await api.post("/apis/authorization.k8s.io/v1/localsubjectaccessreviews", {})).status == 404


@pytest.mark.parametrize("name", ["exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize"])
async def test_what_needs_containers_is_refused_in_plain_words(name: str) -> None:
    async with cluster() as api:
        reply = await api.get(f"{PODS}/p/{name}")
        assert (reply.status, reply.message.startswith("loopkube does not implement")) == (501, True)


async def test_subresources_have_their_own_verbs() -> None:
    async with cluster() as api:
        assert (await api.get(f"{PODS}/p/eviction")).status == 405
        assert (await api.delete(f"{APPS}/deployments/web/scale")).status == 405
        assert (await api.get(f"{PODS}/p/nonsense")).status == 404
