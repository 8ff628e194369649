"""What the cluster's rules add to a write, or refuse of it."""

from __future__ import annotations

from tests.fakes.cluster import CORE, cluster, pod, service

PODS = f"{CORE}/pods"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"


async def test_nothing_is_created_where_no_namespace_is() -> None:
    async with cluster() as api:
        reply = await api.post("/api/v1/namespaces/nowhere/pods", pod())
        assert (reply.status, reply.message) == (404, 'namespaces "nowhere" not found')


async def test_a_pod_gets_account_tolerations_and_priority() -> None:
    async with cluster() as api:
        spec = (await api.post(PODS, pod())).body["spec"]
        assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        assert [(one["key"], one["effect"], one["tolerationSeconds"]) for one in spec["tolerations"]] == [
            ("node.kubernetes.io/not-ready", "NoExecute", 300),
            ("node.kubernetes.io/unreachable", "NoExecute", 300),
        ]
        assert "volumes" not in spec


async def test_own_tolerations_stay() -> None:
    async with cluster() as api:
        own = [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 1, "effect": "NoExecute"}
        ]
        spec = (await api.post(PODS, pod(tolerations=own))).body["spec"]
        assert [one["tolerationSeconds"] for one in spec["tolerations"]] == [1, 300]
        every = [{"operator": "Exists"}]
        assert (await api.post(PODS, pod("q", tolerations=every))).body["spec"]["tolerations"] == every


async def test_a_named_account_must_exist() -> None:
    async with cluster() as api:
        reply = await api.post(PODS, pod(serviceAccountName="robot"))
        assert (reply.status, reply.message) == (
            403,
            'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
        )
        await api.post(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
        assert (await api.post(PODS, pod(serviceAccountName="robot"))).status == 201


async def test_a_class_becomes_a_number() -> None:
    async with cluster() as api:
        assert (await api.post(PODS, pod(priorityClassName="none"))).message == (
            'pods "p" is forbidden: no PriorityClass with name none was found'
        )
        system = (await api.post(PODS, pod(priorityClassName="system-node-critical"))).body["spec"]
        assert system["priority"] == 2_000_001_000
        body = {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True, "preemptionPolicy": "Never"}
        assert (await api.post(CLASSES, body)).status == 201
        spec = (await api.post(PODS, pod("q"))).body["spec"]
        assert (spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]) == ("usual", 7, "Never")
        reply = await api.post(PODS, pod("r", priority=9))
        assert "the integer value of priority (9) must not be provided in pod spec" in reply.message
        reply = await api.post(CLASSES, {**body, "metadata": {"name": "second"}})
        assert reply.message == (
            'priorityclasses.scheduling.k8s.io "second" is forbidden: '
            "PriorityClass usual is already marked as default. Only one default can exist"
        )


def _ingress(name: str, **spec: object) -> dict[str, object]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {"metadata": {"name": name}, "spec": {"defaultBackend": backend, **spec}}


async def test_an_ingress_gets_the_newest_default_class() -> None:
    async with cluster() as api:
        await api.post(f"{CORE}/services", service())
        assert (await api.post(INGRESSES, _ingress("a"))).body["spec"]["ingressClassName"] == "loopkube"
        named = await api.post(INGRESSES, _ingress("b", ingressClassName="other"))
        assert named.body["spec"]["ingressClassName"] == "other"
        old = _ingress("c")
        old["metadata"] = {"name": "c", "annotations": {"kubernetes.io/ingress.class": "nginx"}}
        assert "ingressClassName" not in (await api.post(INGRESSES, old)).body["spec"]
        api.clock.advance(5)
        newer = {"name": "newer", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
        await api.post(INGRESS_CLASSES, {"metadata": newer, "spec": {"controller": "example.com/c"}})
        assert (await api.post(INGRESSES, _ingress("d"))).body["spec"]["ingressClassName"] == "newer"
